"""Where did each model look?"""

from seglab.ui import compare, gradcam_average, gradcam_maps, page

page.begin(
    "Where did each model look?",
    "Two masks differ: which places of the photo spoke for a class? Grad-CAM answers for each model.",
)
if not compare.bundled_models():
    compare.nothing()
page.tabs({"This photo": gradcam_maps.photo, "On average": gradcam_average.average}, key="part")
