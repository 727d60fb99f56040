"""Which recipe wins at epoch k, and is it real?"""

from seglab.ui import page, results
from seglab.ui.convergence import choices, sections

page.begin(
    "Which recipe wins at which epoch, and is it real?",
    "Move the epoch and see the ranking change. A lead counts only if seeds alone would not make it.",
)
runs = results.all_runs()
comparable = choices.comparable(runs)
if comparable.empty:
    results.damaged(runs)
    results.nothing("no experiment with two variants to compare")
view = choices.controls(comparable)
sections.evidence(view)
sections.notes(view)
results.damaged(runs)
