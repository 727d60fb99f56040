"""What every page begins with."""

from collections.abc import Callable, Mapping

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.pages_manager import PagesManager

from seglab.ui import presenting


def begin(title: str, question: str = "") -> None:
    """Show a page's title and its question.

    A folder called ``pages`` makes Streamlit run a linked page without the router as long as nobody has opened the router
    since the server's start (narrow, with another menu). Then this switches that off and starts again, through the router.
    """
    if PagesManager.uses_pages_directory and is_served():
        PagesManager.uses_pages_directory = False
        st.rerun()
    st.session_state["script-run"], st.session_state["page"] = script_run() + 1, title
    st.title(title, anchor=False)
    if question and not presenting.asked():
        st.markdown(question)
    presenting.begin()


def tabs(bodies: Mapping[str, Callable[[], object]], key: str = "tab") -> None:
    """Show lazy tabs, bound to the link: only the open one's body runs.

    A click that meets the answer to an earlier click is undone by Streamlit's browser part, which then asks for the
    earlier tab; but the link already names the new one. So where the link moved and the tab did not, the link is right.
    """
    labels = list(bodies)
    linked = st.query_params.get(key, labels[0])
    seen = st.session_state.get(f"{key}-seen")
    if seen is not None and st.session_state.get(key) == seen[0] and linked != seen[1] and linked in labels:
        st.session_state[key] = linked
    for label, tab in zip(labels, st.tabs(labels, key=key, on_change="rerun", bind="query-params"), strict=True):
        if tab.open:
            st.session_state[f"{key}-seen"] = (label, linked)
            with tab:
                bodies[label]()


def script_run() -> int:
    """Return how many times a page of this session has run from its beginning."""
    return int(st.session_state.get("script-run", 0))


def current() -> str:
    """Return the title of the page that runs."""
    return str(st.session_state.get("page", ""))


def is_served() -> bool:
    """Tell whether a server runs the page, and no test of one page (which has a stand-in for the runtime)."""
    return Runtime.exists() and type(Runtime.instance()) is Runtime
