"""The Runs page in a real browser: ticks and links, markup from records, import and removal, narrow screens."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from seglab.evidence.runs.table import template_csv
from tests.browser.conftest import OpenPage
from tests.browser.server import Server, serve
from tests.synthetic import study_values, write_experiment

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
ABLATION = "camvid-boundary-ablation"
TABS = ("Runs", "Accuracy and latency", "Searches", "Published figures", "Import and export")
MARKUP = "<img src=x onerror=alert(1)> ![x](/evil.png) [a](javascript:alert(1)) :red[b]"
ROW_PX = 35


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    results = tmp_path_factory.mktemp("results")
    write_experiment(results, ABLATION, epochs=3, counts_at=())
    odd = {"title": MARKUP, "status": "failed", "message": MARKUP}
    write_experiment(results, "hostile", seeds=[1], epochs=1, counts_at=(), variants={"h": "h"}, **odd)
    for name, title in (("first", "First search"), ("second", "Second search")):
        study = study_values() | {"variant": name, "title": title, "experiment": "searched"}
        (results / "searched").mkdir(exist_ok=True)
        (results / "searched" / f"{name}.study.json").write_text(json.dumps(study))
    (results / "published-deeplab-mask2former").symlink_to(ROOT / "results" / "published-deeplab-mask2former")
    with serve(env={"SEGLAB_RESULTS": str(results)}) as running:
        yield running


def tick(page: Page, row: int) -> None:
    """Set or take away the tick of a row of the table."""
    table = page.locator(".st-key-runs-table [data-testid=stDataFrame]")
    expect(table.locator("canvas").first).to_be_visible()
    page.wait_for_timeout(800)  # the table settles before it takes clicks
    box = table.bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + 16, box["y"] + ROW_PX * (row + 1) + ROW_PX / 2)


def test_ticked_rows_are_in_the_link_and_the_link_shows_what_its_sender_saw(open_page: OpenPage) -> None:
    page = open_page(f"/runs?experiment={ABLATION}", width=1400, height=1000)
    tick(page, 0)
    expect(page.get_by_role("heading", name="A: CE")).to_be_visible()
    tick(page, 3)
    expect(page.get_by_text("1 setting differs: 1 in the recipe.")).to_be_visible()
    expect(page).to_have_url(re.compile("run=.*a-ce-seed42.*with=.*b-ce-dice-seed42"))
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_text("1 setting differs: 1 in the recipe.")).to_be_visible()
    tick(page, 0)
    expect(page).to_have_url(re.compile("run=.*b-ce-dice-seed42$"))


def test_markup_in_a_record_makes_no_element(open_page: OpenPage, server: Server) -> None:
    page, asked = open_page("about:blank"), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{server.url}/runs?run=hostile/h-seed1")
    expect(page.get_by_role("heading", name="<img src=x")).to_be_visible()
    expect(page.get_by_test_id("stMain").locator("img, a[href^=javascript]")).to_have_count(0)
    assert not [url for url in asked if "evil" in url]


def test_a_file_comes_in_and_goes_out_again(open_page: OpenPage) -> None:
    page = open_page("/runs?tab=Import+and+export", width=1400, height=1000)
    file = {"name": "Mine (1).csv", "mimeType": "text/csv", "buffer": template_csv()}
    page.locator(".st-key-import-0 input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_role("button", name="Import 4 runs").click()
    expect(page.get_by_text("Imported 4 runs as the experiment mine-1.")).to_be_visible()
    expect(page.get_by_role("link", name="Its curves on Convergence")).to_have_attribute(
        "href", re.compile("convergence.*experiment=mine-1")
    )
    page.get_by_role("button", name="Its runs in the table").click()
    expect(page.get_by_text("4 imported.")).to_be_visible()
    page.get_by_role("tab", name="Import and export").click()
    page.get_by_role("button", name="Remove…").click()
    page.get_by_role("button", name="Yes, delete it").click()
    expect(page.get_by_text("Removed the experiment mine-1 with its 4 runs.")).to_be_visible()


def test_curves_are_saved_as_csv(open_page: OpenPage, tmp_path: Path) -> None:
    page = open_page("/runs?tab=Import+and+export", width=1400, height=1000)
    with page.expect_download() as file:
        page.get_by_role("button", name="All its curves (CSV)").click()
    file.value.save_as(tmp_path / "curves.csv")
    lines = (tmp_path / "curves.csv").read_text().splitlines()
    assert lines[0] == "run,experiment,variant,seed,epoch,metric,class,value"
    assert file.value.suggested_filename == f"seglab-{ABLATION}-curves.csv"
    assert len([line for line in lines if f"{ABLATION}/a-ce-seed42,{ABLATION},a-ce,42,3,miou,," in line]) == 1


@pytest.mark.parametrize("tab", TABS)
def test_no_tab_is_wider_than_a_phone(open_page: OpenPage, tab: str) -> None:
    page = open_page(f"/runs?tab={tab.replace(' ', '+')}&run={ABLATION}/a-ce-seed42", width=380)
    expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.get_by_test_id("stMain").evaluate("main => main.scrollWidth <= innerWidth")


def test_a_search_is_chosen_seen_and_in_the_link(open_page: OpenPage) -> None:
    page = open_page("/runs?tab=Searches", width=1400, height=1000)
    expect(page.get_by_text("6 trials")).to_be_visible()
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    page.get_by_role("combobox", name=re.compile("Search")).click()
    page.get_by_role("option", name=re.compile("Second search")).click()
    expect(page).to_have_url(re.compile("search=searched.*second"))
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    expect(page.get_by_role("combobox", name=re.compile("Search"))).to_have_value(re.compile("second"))
    expect(page.locator(".js-plotly-plot")).to_have_count(3)
