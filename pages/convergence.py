"""Which recipe wins at epoch k, and is it real?"""

from seglab.ui import convergence, convergence_sections, page, results

page.begin(
    "Which recipe wins at which epoch, and is it real?",
    "Move the epoch and see the ranking change. A lead counts only if seeds alone would not make it.",
)
runs = results.all_runs()
comparable = convergence.comparable(runs)
if comparable.empty:
    results.damaged(runs)
    results.nothing("no experiment with two variants to compare")
view = convergence.controls(comparable)
convergence_sections.evidence(view)
convergence_sections.notes(view)
results.damaged(runs)
