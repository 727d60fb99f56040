"""Which classes pay for it?"""

from seglab.ui import page, results
from seglab.ui.classes import choices, tabs

page.begin(
    "Which classes pay for it?",
    "Take one variant for another: some classes gain and some may pay. Which of that is more than noise?",
)
runs = results.all_runs()
if results.sound(runs).empty:
    results.damaged(runs)
    results.nothing("no run with figures per class")
view = choices.controls(results.sound(runs))
tabs.answer(view)
results.said_by_source(view.runs)
results.damaged(runs)
