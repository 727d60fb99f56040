"""Where did each model look?"""

from seglab.ui import models, page
from seglab.ui.gradcam import average, maps

page.begin(
    "Where did each model look?",
    "Two masks differ: which places of the photo spoke for a class? Grad-CAM answers for each model.",
)
if not models.offered():
    models.nothing()
page.tabs({"This photo": maps.photo, "On average": average.average}, key="part")
