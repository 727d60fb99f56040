"""What does each model see in my photo?"""

from contextlib import nullcontext

import streamlit as st

from seglab.ui import models, page, photos, presenting, workbench
from seglab.ui.compare import panels, tabs

page.begin("What does each model see in your photo?")
if not models.offered():
    models.nothing()

chosen_photo, *other_photos = photos.picker()
chosen = panels.settings()
first = st.container() if presenting.front() else nullcontext()
answers = panels.results(chosen_photo, chosen)
with first:
    tabs.tabs(chosen_photo, other_photos, chosen, answers)
workbench.workbench().warm_up()
