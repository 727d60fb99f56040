"""What does each model see in my photo?"""

import streamlit as st

from seglab.ui import compare, compare_tabs, page, photos

page.begin("What does each model see in your photo?")
if not compare.bundled_models():
    st.info(
        "There is no trained model here yet. Train the bundled ones with "
        "`python -m trainers.train trainers/recipes/camvid-fpn_convnextv2.yaml --data DIR`."
    )
    st.stop()

chosen_photo, *other_photos = photos.picker()
chosen = compare.settings()
answers = compare.results(chosen_photo, chosen)
compare_tabs.tabs(chosen_photo, other_photos, chosen, answers)
