"""The pages that read results, in a real browser: the scrubber, links from outside, charts saved as files."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import OpenPage
from tests.browser.server import Server, serve
from tests.synthetic import write_experiment

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Serve an experiment in which C leads early and D late."""
    results = tmp_path_factory.mktemp("results")
    write_experiment(results)
    with serve(env={"SEGLAB_RESULTS": str(results)}) as running:
        yield running


def expect_leader(page: Page, letter: str) -> None:
    """Wait for the leader in the table beside the scrubber; a data frame's canvas holds its cells for screen readers."""
    cells = page.locator("[data-testid=stDataFrame]").first.locator("canvas td")
    expect(cells.nth(1)).to_have_text(re.compile(f"^{letter}: "))


def test_a_link_to_a_page_is_the_whole_app_even_as_a_servers_first_visit(open_page: OpenPage) -> None:
    page = open_page("/convergence?epoch=10", height=1000)
    expect(page.get_by_text("At epoch 10 C leads")).to_be_visible()
    expect(page.get_by_role("link", name="Compare")).to_be_visible()
    box = page.locator(".js-plotly-plot").first.bounding_box()
    assert box is not None
    assert box["width"] > 1000, "the wide layout of the router"


def test_dragging_the_scrubber_from_160_to_5_changes_the_ranking(open_page: OpenPage) -> None:
    page = open_page("/convergence?epoch=160", height=1000)
    expect(page.get_by_text("At epoch 160 D leads")).to_be_visible()
    expect(page.locator("[data-testid=stDataFrame]").first).to_be_visible()
    expect_leader(page, "D")
    slider = page.get_by_test_id("stSlider").first
    handle = slider.get_by_role("slider").locator("xpath=../..").bounding_box()  # what one sees around the hidden input
    track = slider.bounding_box()
    assert handle is not None
    assert track is not None
    middle = handle["y"] + handle["height"] / 2
    page.mouse.move(handle["x"] + handle["width"] / 2, middle)
    page.mouse.down()
    page.mouse.move(track["x"] + track["width"] / 2, middle, steps=4)
    page.mouse.move(track["x"] + track["width"] * 4.5 / 160, middle, steps=12)
    page.mouse.up()
    expect(page.get_by_text(re.compile(r"At epoch (4|5|6) C leads"))).to_be_visible()
    expect(page.get_by_text(re.compile(r"Ranking at epoch (4|5|6)"))).to_be_visible()
    expect_leader(page, "C")
    expect(page).to_have_url(re.compile(r"epoch=(4|5|6)"))


@pytest.mark.parametrize(("kind", "start"), [("PNG", b"\x89PNG"), ("SVG", b"<svg")])
def test_a_chart_is_saved_as_image_and_its_data_as_csv(
    open_page: OpenPage, tmp_path: Path, kind: str, start: bytes
) -> None:
    page = open_page("/convergence", height=1000)
    chart = page.locator(".js-plotly-plot").first
    expect(chart).to_be_visible()
    page.get_by_role("radio", name=kind).click()
    expect(page.get_by_role("radio", name=kind)).to_be_checked()
    page.wait_for_timeout(800)  # the chart takes the new setting with the next run
    chart.hover()
    with page.expect_download() as image:
        chart.locator("[data-title*='Download plot']").click()
    image.value.save_as(tmp_path / "chart")
    assert image.value.suggested_filename == f"seglab-curves.{kind.lower()}"
    assert (tmp_path / "chart").read_bytes().startswith(start)
    with page.expect_download() as table:
        page.get_by_test_id("stDownloadButton").first.get_by_role("button").click()
    table.value.save_as(tmp_path / "data")
    lines = (tmp_path / "data").read_text().splitlines()
    assert lines[0].startswith("variant,epoch,mean,half_width,n,seed 42")
    assert len(lines) == 1 + 4 * 160


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [380, 1400])
def test_no_page_is_wider_than_its_screen(open_page: OpenPage, width: int, scheme: str) -> None:
    for name in ("convergence", "classes"):
        page = open_page(f"/{name}", width=width, color_scheme=scheme)
        expect(page.locator(".js-plotly-plot").first).to_be_visible()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), name


def test_a_ranking_shows_all_its_columns_at_1400_pixels(open_page: OpenPage) -> None:
    page = open_page("/convergence", width=1400, height=1400)
    expect(page.get_by_text("Ranking at epoch 160")).to_be_visible()
    tables = page.locator("[data-testid=stDataFrame]")
    for number in range(2):
        scroller = tables.nth(number).locator(".dvn-scroller")
        expect(scroller).to_be_visible()
        page.wait_for_timeout(500)  # the table settles its columns
        assert scroller.evaluate("one => one.scrollWidth - one.clientWidth") <= 1
