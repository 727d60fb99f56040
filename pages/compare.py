"""What does each model see in my photo?"""

from seglab.ui import models, page, photos, workbench
from seglab.ui.compare import panels, tabs

page.begin("What does each model see in your photo?")
if not models.offered():
    models.nothing()

chosen_photo, *other_photos = photos.picker()
chosen = panels.settings()
answers = panels.results(chosen_photo, chosen)
tabs.tabs(chosen_photo, other_photos, chosen, answers)
workbench.workbench().warm_up()
