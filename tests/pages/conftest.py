"""Pages driven without a browser: Compare through the router until its models have answered, the others by their file."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "streamlit_app.py"
RUN_S = 120
ANSWER_S = 600  # the first run on a machine converts four models

OpenPage = Callable[..., AppTest]


def run(page: AppTest) -> AppTest:
    """Run a page once; it must never show an exception."""
    page.run()
    assert not page.exception, page.exception[0].value
    return page


def plain(text: str) -> str:
    """Return text as a reader sees it: without the backslashes that keep markup from being markup."""
    return text.replace("\\", "")


def said(page: AppTest) -> str:
    """Return all that a page says outside tables and charts."""
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error, page.success, page.subheader)
    return plain("\n".join(str(element.value) for kind in kinds for element in kind))


def figure(page: AppTest, number: int = 0) -> dict[str, Any]:
    """Return a chart's Plotly figure as JSON has it."""
    spec: dict[str, Any] = json.loads(page.get("plotly_chart")[number].proto.spec)
    return spec


def settle(page: AppTest) -> AppTest:
    """Run a page until no model is at work; it must never show an exception."""
    until = time.monotonic() + ANSWER_S
    page.run()
    while page.progress and not page.exception and time.monotonic() < until:
        time.sleep(0.5)
        page.run()
    assert not page.exception, page.exception[0].value
    assert not page.progress, page.progress[0].text
    return page


def send(page: AppTest, key: str, *files: tuple[str, bytes]) -> AppTest:
    """Upload files and wait for the models' answers."""
    for name, data in files:
        page.file_uploader(key=key).upload(name, data)
    return settle(page)


def viewer(page: AppTest) -> dict[str, Any]:
    """Return what the page sent to the viewer."""
    sent: dict[str, Any] = json.loads(page.get_by_key("viewer").proto.json)
    return sent


def panels(page: AppTest) -> dict[str, dict[str, Any]]:
    """Return what the page sent to the viewer, by panel."""
    return {panel["key"]: panel for panel in viewer(page)["panels"]}


@pytest.fixture
def open_page(own_cache: Path) -> OpenPage:
    """Open the default page at a link: query parameters in, a page on which the models have answered out."""

    def open_at(**link: str | list[str]) -> AppTest:
        page = AppTest.from_file(str(APP), default_timeout=RUN_S)
        for name, value in link.items():
            page.query_params[name] = value
        return settle(page)

    return open_at


@pytest.fixture
def open_in(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> OpenPage:
    """Open the page that the test module names as ``PAGE`` on a store of results: query parameters in, the page out."""

    def open_at(results: Path, **link: str | list[str]) -> AppTest:
        monkeypatch.setattr("seglab.records.store.RESULTS", results)
        page = AppTest.from_file(str(request.module.PAGE), default_timeout=60)
        for name, value in link.items():
            page.query_params[name] = value
        return run(page)

    return open_at


@pytest.fixture
def open_at(open_in: OpenPage, store: Path) -> OpenPage:
    """Open that page on the module's ``store``."""
    return lambda **link: open_in(store, **link)
