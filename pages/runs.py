"""What was run, on what, and what does it cost?"""

from seglab.ui import page, results
from seglab.ui.runs import frontier, import_export, listing, published, searches

page.begin(
    "What was run, on what, and what does it cost?",
    "Every run with its recipe, data, machine and cost. Tick one for its record, two to see what differs.",
)
found = results.all_runs()
sound = listing.with_state(found)
results.damaged(found)
page.tabs(
    {
        "Runs": lambda: listing.listing(sound),
        "Accuracy and latency": lambda: frontier.frontier(sound),
        "Searches": searches.searches,
        "Published figures": lambda: published.figures(sound),
        "Import and export": lambda: import_export.import_export(sound),
    }
)
