"""The Grad-CAM page in a real browser: a mark by mouse and by keyboard, its link, narrow screens."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.server import ANSWER_S

pytestmark = pytest.mark.browser

TABS = ("Maps", "Why here?", "Difference", "Blank the evidence", "Downloads")
ONE = "models=FPN-ConvNeXtV2-atto"


def expect_explained(page: Page, words: str) -> None:
    expect(page.get_by_text(re.compile(words))).to_be_visible(timeout=ANSWER_S * 1000)


def test_a_box_drawn_on_the_photo_is_explained_and_in_the_link(open_page: OpenPage) -> None:
    page = open_page(f"/gradcam?tab=Why+here%3F&{ONE}", height=1200)
    photo = page.get_by_test_id("pointer")
    expect(photo).to_be_visible(timeout=ANSWER_S * 1000)
    page.wait_for_timeout(1000)  # the layout settles before a box is drawn
    box = photo.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.1, box["y"] + box["height"] * 0.9)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + box["height"] * 0.99, steps=4)
    page.mouse.up()
    expect_explained(page, "explains road at the mark, .* inside the box")
    expect(page).to_have_url(re.compile("at=100-9.*-400-9"))
    expect(photo.locator(".mark")).to_be_visible()


def test_the_keyboard_marks_a_place_too(open_page: OpenPage) -> None:
    page = open_page(f"/gradcam?tab=Why+here%3F&{ONE}", height=1200)
    photo = page.get_by_test_id("pointer")
    expect(photo).to_be_visible(timeout=ANSWER_S * 1000)
    photo.focus()
    for _ in range(5):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect_explained(page, "explains .* at the mark")
    expect(page).to_have_url(re.compile("at=500-600-500-600"))


@pytest.mark.parametrize("tab", TABS)
def test_no_tab_is_wider_than_a_phone(open_page: OpenPage, tab: str) -> None:
    page = open_page(f"/gradcam?tab={tab.replace(' ', '+')}&{ONE}", width=380, color_scheme="dark")
    expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true", timeout=ANSWER_S * 1000)
    expect(page.get_by_test_id("stProgress")).to_have_count(0, timeout=ANSWER_S * 1000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
