"""A click while the script is busy: what the overtaken run still does must not take the new run's place."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, WebSocketRoute, expect
from streamlit.proto.BackMsg_pb2 import BackMsg

from tests.browser.server import ROOT, serve

pytestmark = pytest.mark.browser

TABS = """
import sys
import streamlit as st
sys.path.insert(0, {root!r})
from seglab.ui import page

page.tabs({{name: lambda name=name: st.markdown(f"body of {{name}}") for name in ("one", "two", "three")}})
"""
PAGES = """
import sys, time
import streamlit as st
sys.path.insert(0, {root!r})
from seglab.ui import page, presenting

presenting.begin = lambda: None

def first():
    page.begin("first")
    st.fragment(lambda: st.markdown("looks again"), run_every=0.2)()
    if st.button("Go"):
        st.switch_page(second)

def other():
    page.begin("second")
    time.sleep(1)
    st.markdown("body of second")

first_page, second = st.Page(first, default=True), st.Page(other, url_path="second")
st.navigation([first_page, second]).run()
"""
SCRIPT = """
import time
import streamlit as st

def show(word):
    st.markdown(f"shows {word}")

word = "new" if st.checkbox("Change") else "old"
if word == "old":
    time.sleep(3)  # works without a word to Streamlit, as models and arrays do
st.fragment(show, run_every=0.3)(word)
"""


def test_a_busy_run_that_is_overtaken_leaves_no_fragment_behind(chromium: Browser, tmp_path: Path) -> None:
    script = tmp_path / "busy.py"
    script.write_text(SCRIPT, "utf-8")
    with serve(script) as running:
        page = chromium.new_page()
        page.goto(running.url)
        page.get_by_text("Change").click()
        expect(page.get_by_text("shows new")).to_be_visible()
        page.wait_for_timeout(4000)  # the old run is over and the fragment has run ten times
        expect(page.get_by_text("shows new")).to_be_visible()
        page.close()


def test_a_tab_that_is_opened_while_another_ones_answer_arrives_stays_open(chromium: Browser, tmp_path: Path) -> None:
    script = tmp_path / "tabs.py"
    script.write_text(TABS.format(root=str(ROOT)), "utf-8")
    undone = []

    def undo(route: WebSocketRoute) -> None:
        """Ask for the tab before, as the browser does where an answer arrives between a click and its message."""
        server = route.connect_to_server()

        def ask(data: str | bytes) -> None:
            message = BackMsg()
            message.ParseFromString(data if isinstance(data, bytes) else data.encode())
            if "tab=three" in message.rerun_script.query_string and not undone:
                for widget in message.rerun_script.widget_states.widgets:
                    undone.append(widget.string_value)
                    widget.string_value = "two"
            server.send(message.SerializeToString())

        route.on_message(ask)
        server.on_message(lambda data: route.send(data))

    with serve(script) as running:
        page = chromium.new_page()
        page.route_web_socket("**/_stcore/stream", undo)
        page.goto(running.url)
        page.get_by_role("tab", name="two").click()
        expect(page.get_by_text("body of two")).to_be_visible()
        page.get_by_role("tab", name="three").click()
        expect(page.get_by_text("body of three")).to_be_visible()
        expect(page.get_by_role("tab", name="three")).to_have_attribute("aria-selected", "true")
        page.get_by_role("tab", name="one").click()
        expect(page.get_by_text("body of one")).to_be_visible()
        page.close()
    assert undone == ["three"]


def test_a_fragment_that_asks_once_more_after_its_page_was_left_does_not_empty_the_next(
    chromium: Browser, tmp_path: Path
) -> None:
    script = tmp_path / "pages.py"
    script.write_text(PAGES.format(root=str(ROOT)), "utf-8")
    late: list[bytes] = []

    def repeat(route: WebSocketRoute) -> None:
        """Ask for the first page's fragment after the click, before and while the second page runs, as slow lines do."""
        server = route.connect_to_server()
        looked: list[bytes] = []

        def ask(data: str | bytes) -> None:
            raw = data if isinstance(data, bytes) else data.encode()
            message = BackMsg()
            message.ParseFromString(raw)
            server.send(raw)
            if message.rerun_script.fragment_id:
                looked.append(raw)
            elif looked and not late:
                for _ in range(3):
                    late.append(looked[-1])
                    server.send(looked[-1])
                    page.wait_for_timeout(150)

        route.on_message(ask)
        server.on_message(lambda data: route.send(data))

    with serve(script) as running:
        page = chromium.new_page()
        page.route_web_socket("**/_stcore/stream", repeat)
        page.goto(running.url)
        expect(page.get_by_text("looks again")).to_be_visible()
        page.wait_for_timeout(1000)
        page.get_by_role("button", name="Go").click()
        expect(page.get_by_text("body of second")).to_be_visible()
        page.wait_for_timeout(1500)
        expect(page.get_by_text("body of second")).to_be_visible()
        page.close()
    assert len(late) == 3
