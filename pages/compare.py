"""What does each model see in my photo?"""

from seglab.ui import compare, compare_tabs, page, photos

page.begin("What does each model see in your photo?")
if not compare.bundled_models():
    compare.nothing()

chosen_photo, *other_photos = photos.picker()
chosen = compare.settings()
answers = compare.results(chosen_photo, chosen)
compare_tabs.tabs(chosen_photo, other_photos, chosen, answers)
compare.workbench().warm_up()
