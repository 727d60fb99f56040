"""Where did each model look?"""

import streamlit as st

from seglab.ui import compare, gradcam, gradcam_maps, page, photos

page.begin(
    "Where did each model look?",
    "Two masks differ: which places of the photo spoke for a class? Grad-CAM answers for each model.",
)
if not compare.bundled_models():
    compare.nothing()
photo = photos.picker()[0]
view = gradcam.controls(photo)
classes = gradcam.classes(view)
sections = {
    "Maps": gradcam_maps.maps,
    "Why here?": gradcam_maps.why_here,
    "Difference": gradcam_maps.difference,
    "Blank the evidence": gradcam_maps.blanking,
    "Downloads": gradcam_maps.downloads,
}
for tab, section in zip(
    st.tabs(list(sections), key="tab", on_change="rerun", bind="query-params"), sections, strict=True
):
    if tab.open:
        with tab:
            sections[section](view, classes)
gradcam.look_on(view)
