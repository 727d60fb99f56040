"""What every page begins with."""

from collections.abc import Callable, Mapping

import streamlit as st
from streamlit.runtime import Runtime
from streamlit.runtime.pages_manager import PagesManager
from streamlit.runtime.scriptrunner import get_script_run_ctx
from streamlit.runtime.scriptrunner_utils.script_requests import ScriptRequestType

from seglab.ui import presenting


def begin(title: str, question: str = "") -> None:
    """Show a page's title and its question.

    A folder called ``pages`` makes Streamlit run a linked page without the router as long as nobody has opened the router
    since the server's start (narrow, with another menu). Then this switches that off and starts again, through the router.
    """
    if PagesManager.uses_pages_directory and is_served():
        PagesManager.uses_pages_directory = False
        st.rerun()
    if current() != title and is_served():
        _forget_fragments()
    st.session_state["script-run"], st.session_state["page"] = script_run() + 1, title
    st.title(title, anchor=False)
    if question and not presenting.asked():
        st.markdown(question)
    presenting.begin()


def _forget_fragments() -> None:
    """Drop what the fragments of the page before still ask for.

    Their timers go on in the browser until it hears of the new page. Streamlit 1.67 keeps such a request until the new page
    has run, then runs it as one of the old page, and the browser is left with an empty page.
    """
    context = get_script_run_ctx()
    if context is None or context.script_requests is None:
        return
    context.fragment_storage.clear()  # what comes from now on is refused when it comes
    requests = context.script_requests
    with requests._lock:
        if requests._state == ScriptRequestType.RERUN and requests._rerun_data.fragment_id_queue:
            requests._state = ScriptRequestType.CONTINUE


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
