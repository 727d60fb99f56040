"""The Classes page in a real browser: a click on a cell of the confusions, the slider of epochs, a narrow screen."""

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.server import ROOT, Server, serve
from tests.synthetic import write_experiment

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    results = tmp_path_factory.mktemp("results")
    write_experiment(results, epochs=20, counts_at=(10, 20))
    with serve(ROOT / "pages" / "classes.py", env={"SEGLAB_RESULTS": str(results)}) as running:
        yield running


def click_cell(page: Page, row: int, column: int, classes: int = 11) -> None:
    area = page.locator(".js-plotly-plot .nsewdrag").first
    expect(area).to_be_visible()
    box = area.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * (column + 0.5) / classes, box["y"] + box["height"] * (row + 0.5) / classes
    page.mouse.move(x - 2, y)
    page.wait_for_timeout(300)  # a click counts where the pointer hovers
    page.mouse.click(x, y)


def test_a_click_on_a_cell_shows_what_is_behind_it_and_is_in_the_link(open_page: OpenPage) -> None:
    page = open_page("/?tab=Confusions", height=1400)
    expect(page.locator(".heatmaplayer")).to_have_count(1)
    page.wait_for_timeout(1500)  # the chart takes its final width
    click_cell(page, 8, 0)  # car taken for sky
    expect(page.get_by_text(re.compile("Of the pixels of car, D: CE"))).to_be_visible()
    expect(page.get_by_role("combobox", name="Predicted as")).to_have_value("sky")
    expect(page).to_have_url(re.compile("class=car"))
    click_cell(page, 2, 5)
    expect(page.get_by_text(re.compile("Of the pixels of pole, D: CE"))).to_be_visible()
    expect(page.get_by_role("combobox", name="Predicted as")).to_have_value("tree")


def test_moving_the_epoch_changes_the_answer(open_page: OpenPage) -> None:
    page = open_page("/", height=1400)
    expect(page.get_by_text(re.compile("at epoch 20, in points"))).to_be_visible()
    handle = page.get_by_test_id("stSlider").first.get_by_role("slider")
    for epoch in (19, 18):
        handle.press("ArrowLeft")
        expect(page.get_by_text(re.compile(f"at epoch {epoch}, in points"))).to_be_visible()
    expect(page).to_have_url(re.compile("epoch=18"))


@pytest.mark.parametrize(
    "tab", ["Class by class", "All variants", "Over the epochs", "Confusions", "Who should pick what"]
)
def test_no_tab_is_wider_than_a_phone(open_page: OpenPage, tab: str) -> None:
    page = open_page(f"/?tab={tab}", width=380, color_scheme="dark")
    expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
    expect(page.locator(".js-plotly-plot, [data-testid=stTable]").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
