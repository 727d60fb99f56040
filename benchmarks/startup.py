"""Seconds from starting the server to a usable first page, beside an empty Streamlit app in the same run.

python benchmarks/startup.py [--results DIR] [--repeats 3]
"""

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from playwright.sync_api import Browser, Page

from seglab.records.store import RESULTS
from tests.browser.server import APP, open_browser, serve, wait_for_panels

EMPTY = 'import streamlit as st\n\nst.write("An empty app.")\n'


def seconds_until(usable: Callable[[Page], object], script: Path, results: Path, browser: Browser) -> float:
    """Start a server and a fresh browser profile; return the seconds until the page is usable."""
    context = browser.new_context(reduced_motion="reduce")
    page = context.new_page()
    start = time.monotonic()
    with serve(script, {"SEGLAB_RESULTS": str(results)}) as server:
        page.goto(server.url)
        usable(page)
        spent = time.monotonic() - start
    context.close()
    return spent


def main() -> int:
    """Print the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    results = args.results.resolve()
    stored = len(list((results / "first-screen").glob("*.npz")))
    ours, empty = [], []
    with tempfile.TemporaryDirectory() as folder, open_browser() as browser:
        script = Path(folder) / "empty.py"
        script.write_text(EMPTY)
        for _ in range(args.repeats + 1):  # the first pair warms the disk's cache and is dropped
            empty.append(
                seconds_until(lambda page: page.get_by_text("An empty app.").wait_for(), script, results, browser)
            )
            ours.append(seconds_until(wait_for_panels, APP, results, browser))
    ours_s, empty_s = statistics.median(ours[1:]), statistics.median(empty[1:])
    print(f"first page, four panels ready   {ours_s:6.2f} s   ({stored} stored answers, median of {args.repeats})")
    print(f"empty Streamlit app             {empty_s:6.2f} s   ratio {ours_s / empty_s:4.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
