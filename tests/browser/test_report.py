"""The report as a reader gets it: downloaded, opened without a network, printed."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.conftest import BROKEN_PICTURES, OpenPage
from tests.browser.server import wait_for_panels

pytestmark = pytest.mark.browser


def test_the_report_opens_offline_and_prints_on_two_pages(
    open_page: OpenPage, chromium: Browser, tmp_path: Path
) -> None:
    page = open_page("/?tab=Downloads")
    wait_for_panels(page)
    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Report (HTML)").click()
    assert download.value.suggested_filename.endswith(".report.html")
    file = tmp_path / "report.html"
    download.value.save_as(file)
    context = chromium.new_context(offline=True)
    report = context.new_page()
    said: list[str] = []
    report.on("console", lambda message: said.append(message.text))
    report.goto(file.as_uri())
    assert report.locator("img").count() == 5
    assert report.evaluate(BROKEN_PICTURES) == []
    assert report.get_by_text("camvid-architectures/mask2former-seed42").count() == 1
    pdf = report.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b(?!s)", pdf)) == 2
    assert said == []
    context.close()
