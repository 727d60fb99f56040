"""The Robustness page in a real browser: a corruption by click is in the link, and no part is wider than a phone."""

import re

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import OpenPage
from tests.browser.server import ANSWER_S

pytestmark = pytest.mark.browser

ONE = "models=FPN-ConvNeXtV2-atto"


def test_a_corruption_by_click_shows_its_masks_and_is_in_the_link(open_page: OpenPage) -> None:
    page = open_page(f"/robustness?{ONE}", height=1400)
    expect(page.get_by_test_id("stImage")).not_to_have_count(0)
    page.locator(".st-key-corruption").get_by_text("RandomSnow", exact=True).click()
    expect(page.get_by_text("snow on bright ground")).to_be_visible(timeout=ANSWER_S * 1000)
    expect(page.get_by_text("Same: share of the pixels")).to_be_visible(timeout=ANSWER_S * 1000)
    expect(page).to_have_url(re.compile("corruption=RandomSnow"))
    expect(page.get_by_role("img", name=re.compile("FPN-ConvNeXtV2-atto, after"))).to_be_visible()


def test_a_click_on_a_small_picture_opens_its_corruption(open_page: OpenPage) -> None:
    page = open_page(f"/robustness?{ONE}", height=1400)
    snow = page.locator(".st-key-thumb-snow")
    expect(page.get_by_text("Same: share of the pixels")).to_be_visible(
        timeout=ANSWER_S * 1000
    )  # nothing moves any more
    snow.scroll_into_view_if_needed()
    box = snow.locator("img").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 3)  # the button reaches over the picture
    expect(page).to_have_url(re.compile("corruption=RandomSnow"))
    expect(page.get_by_text("snow on bright ground")).to_be_visible(timeout=ANSWER_S * 1000)
    page.locator(".st-key-open-fog").get_by_role("button").press("Enter")
    expect(page).to_have_url(re.compile(r"^(?!.*corruption=RandomSnow)"))


@pytest.mark.parametrize("part", ["This photo", "On a whole split"])
def test_no_part_is_wider_than_a_phone(open_page: OpenPage, part: str) -> None:
    page = open_page(f"/robustness?part={part.replace(' ', '+')}&{ONE}", width=380, color_scheme="dark")
    expect(page.get_by_role("tab", name=part)).to_have_attribute("aria-selected", "true", timeout=ANSWER_S * 1000)
    expect(page.get_by_test_id("stProgress")).to_have_count(0, timeout=ANSWER_S * 1000)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
