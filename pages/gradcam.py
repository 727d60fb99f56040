"""Where did each model look?"""

import streamlit as st

from seglab.ui import compare, gradcam_average, gradcam_maps, page

page.begin(
    "Where did each model look?",
    "Two masks differ: which places of the photo spoke for a class? Grad-CAM answers for each model.",
)
if not compare.bundled_models():
    compare.nothing()
parts = {"This photo": gradcam_maps.photo, "On average": gradcam_average.average}
for tab, part in zip(st.tabs(list(parts), key="part", on_change="rerun", bind="query-params"), parts, strict=True):
    if tab.open:
        with tab:
            parts[part]()
