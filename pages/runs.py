"""What was run, on what, and what does it cost?"""

import streamlit as st

from seglab.ui import frontier, import_export, page, published, results, runs

page.begin(
    "What was run, on what, and what does it cost?",
    "Every run with its recipe, data, machine and cost. Tick one for its record, two to see what differs.",
)
found = results.all_runs()
sound = runs.with_state(found)
results.damaged(found)
sections = {
    "Runs": runs.listing,
    "Accuracy and latency": frontier.frontier,
    "Published figures": published.figures,
    "Import and export": import_export.import_export,
}
for tab, section in zip(
    st.tabs(list(sections), key="tab", on_change="rerun", bind="query-params"), sections, strict=True
):
    if tab.open:
        with tab:
            sections[section](sound)
