"""One server and one Chromium for all browser tests; a fresh profile for each page."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.server import Server, open_browser, serve, watch

OpenPage = Callable[..., Page]
BROKEN_PICTURES = """() => [...document.querySelectorAll("img")]
  .filter(image => image.complete && !image.naturalWidth).map(image => image.src)"""
expect.set_options(timeout=30_000)  # a busy machine is slow, not wrong


@pytest.fixture(scope="package")
def server(cache: Path) -> Iterator[Server]:
    with serve(env={"SEGLAB_CACHE": str(cache)}) as running:
        yield running


@pytest.fixture(scope="package")
def chromium() -> Iterator[Browser]:
    with open_browser() as running:
        yield running


@pytest.fixture
def open_page(server: Server, chromium: Browser) -> Iterator[OpenPage]:
    """Open the app at a link; in the end neither page nor server may have complained or shown a traceback."""
    pages: list[Page] = []
    complaints: list[str] = []

    def open_at(link: str = "/", width: int = 1280, height: int = 900, **options: Any) -> Page:
        context = chromium.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", accept_downloads=True, **options
        )
        page = context.new_page()
        page.set_default_timeout(60_000)
        watch(page, server, complaints)
        page.goto(server.url + link if link.startswith("/") else link)
        pages.append(page)
        return page

    yield open_at
    texts = [page.locator("body").inner_text() for page in pages]
    broken = [source for page in pages for source in page.evaluate(BROKEN_PICTURES)]
    for page in pages:
        page.context.close()
    assert complaints == []
    assert broken == []
    for text in [*texts, server.log]:
        assert "Traceback" not in text
