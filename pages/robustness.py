"""What does bad weather, blur or noise do to each?"""

from seglab.ui import compare, page, robustness_photo, robustness_split

page.begin(
    "What does bad weather, blur or noise do to each?",
    "Fifteen corruptions, one at a time, in three severities: what is left of the masks, and which model loses least?",
)
if not compare.bundled_models():
    compare.nothing()
page.tabs({"This photo": robustness_photo.photo, "On a whole split": robustness_split.whole_split}, key="part")
