"""A click while the script is busy: what the overtaken run still does must not take the new run's place."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.server import serve

pytestmark = pytest.mark.browser

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
