"""Which classes pay for it?"""

from seglab.ui import class_tabs, classes, page, results

page.begin(
    "Which classes pay for it?",
    "Take one variant for another: some classes gain and some may pay. Which of that is more than noise?",
)
runs = results.all_runs()
if results.sound(runs).empty:
    results.damaged(runs)
    results.nothing("no run with figures per class")
view = classes.controls(results.sound(runs))
class_tabs.answer(view)
results.damaged(runs)
