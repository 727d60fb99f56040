"""What does bad weather, blur or noise do to each?"""

from seglab.ui import models, page
from seglab.ui.robustness import photo, split

page.begin(
    "What does bad weather, blur or noise do to each?",
    "Fifteen corruptions, one at a time, in three severities: what is left of the masks, and which model loses least?",
)
if not models.offered():
    models.nothing()
page.tabs({"This photo": photo.photo, "On a whole split": split.whole_split}, key="part")
