"""The Compare page in a real browser: first screen, upload, viewer, downloads, links, narrow and dark screens."""

import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Page, expect

from seglab.data.scenes import make_scene
from seglab.images import ImageError, blend, open_mask, open_photo
from seglab.labels import space
from tests.browser.conftest import OpenPage
from tests.browser.server import upload, wait_for_panels
from tests.hostile import STORED, corpus, encoded, exif

pytestmark = pytest.mark.browser

HEIGHT, WIDTH = 540, 720
KEYS = ["deeplabv3plus", "mask2former", "fpn_convnextv2", "upernet_convnextv2"]
TABS = ("Disagreement", "Area per class", "Ground truth", "Models", "All photos", "Downloads")
CAMVID = space("camvid-11")
HOSTILE = (
    "empty.jpg",
    "noise.jpg",
    "cut-50.jpeg",
    "bomb-claimed.png",
    "1x1.png",
    "model.pt.png",
    "noise-for-pixels.heic",
)
# Elements of the page and of the open shadow trees in it; a data frame's canvas holds a table for screen readers.
UNNAMED = """() => {
  const found = []
  const walk = (root) => {
    for (const element of root.querySelectorAll("*")) {
      if (element.shadowRoot) walk(element.shadowRoot)
      if (!element.matches("img, canvas") || !element.checkVisibility()) continue
      if (element.closest("[data-testid=stDataFrame]")) continue
      const name = element.getAttribute("alt") || element.getAttribute("aria-label")
      if (!name && !element.closest("[aria-hidden=true]")) found.push(element.outerHTML.slice(0, 200))
    }
  }
  walk(document)
  return found
}"""
FOCUSED = """() => {
  let element = document.activeElement
  while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement
  return element?.dataset?.testid ?? ""
}"""


def set_opacity(page: Page, presses: int) -> int:
    """Move the opacity slider by keyboard and return where it stands."""
    slider = page.get_by_test_id("viewer-opacity")
    slider.focus()
    for _ in range(abs(presses)):
        slider.press("ArrowRight" if presses > 0 else "ArrowLeft")
    return int(slider.input_value())


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name).click()
    expect(page.get_by_role("tab", name=name)).to_have_attribute("aria-selected", "true")
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def seen(page: Page, test_id: str) -> NDArray[np.uint8]:
    """Return what the screen shows of an element, as RGB."""
    return open_photo(page.get_by_test_id(test_id).screenshot(), "screen.png").pixels


def test_the_first_screen_shows_a_sample_as_four_models_see_it(open_page: OpenPage) -> None:
    page = open_page()
    assert wait_for_panels(page, photo="Sample scene") == KEYS
    for key in KEYS:
        assert seen(page, f"viewer-panel-{key}").std() > 10


@pytest.mark.parametrize("orientation", [1, 6])
def test_an_uploaded_photo_comes_back_as_files_of_its_own_size(open_page: OpenPage, orientation: int) -> None:
    scene = make_scene(4242, HEIGHT, WIDTH).image
    stored = np.ascontiguousarray(STORED[orientation](scene))
    data = encoded("JPEG", stored, quality=90, exif=exif(orientation))
    page = open_page()
    upload(page, (f"street-{orientation}.jpg", data))
    assert wait_for_panels(page, photo=f"street-{orientation}.jpg") == KEYS
    assert seen(page, "viewer-panel-mask2former").std() > 10
    open_tab(page, "Downloads")
    opacity = set_opacity(page, 5)
    expect(page).to_have_url(re.compile(rf"[?&]view=overlay\.{opacity}\.grid"))

    with page.expect_download(timeout=120_000) as download:
        page.get_by_role("button", name="Everything of this photo").click()
    assert download.value.suggested_filename == f"street-{orientation}.seglab.zip"
    with zipfile.ZipFile(download.value.path()) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    check_files(files, f"street-{orientation}", open_photo(data).pixels, KEYS, opacity / 100)


def check_files(
    files: Mapping[str, bytes], stem: str, photo: NDArray[np.uint8], keys: Sequence[str], opacity: float
) -> None:
    """Check that a download holds, for every model, ids and overlay of the photo's size, and outlines of these ids."""
    suffixes = ("labels.png", "overlay.png", "geojson")
    assert set(files) == {f"{stem}.{key}.{suffix}" for key in keys for suffix in suffixes} | {"summary.json"}
    for key in keys:
        ids, overlay, outlines = (files[f"{stem}.{key}.{suffix}"] for suffix in suffixes)
        assert Image.open(io.BytesIO(ids)).mode == "L"
        labels = open_mask(ids, size=photo.shape[:2])
        assert labels.max() < CAMVID.num_classes
        np.testing.assert_array_equal(open_photo(overlay).pixels, blend(photo, labels, CAMVID.lut(), opacity))
        features = [feature["properties"] for feature in json.loads(outlines)["features"]]
        counts = dict(zip(*np.unique(labels, return_counts=True), strict=True))
        assert {feature["class_id"]: feature["area_px"] for feature in features} == counts
    summary = json.loads(files["summary.json"])
    assert [row["model"] for row in summary] == list(keys)
    for row in summary:
        assert sum(row["share_frac"].values()) == pytest.approx(1, abs=1e-4)
        assert row["latency_ms"]["forward"] > 0


def test_the_opacity_slider_answers_the_keyboard_and_changes_the_picture(open_page: OpenPage) -> None:
    page = open_page()
    wait_for_panels(page)
    viewer = page.get_by_test_id("viewer")
    expect(viewer).to_have_attribute("data-opacity", "55")
    page.get_by_test_id("viewer-opacity").press("Home")
    expect(viewer).to_have_attribute("data-opacity", "0")
    plain = seen(page, "viewer-panel-fpn_convnextv2")
    page.get_by_test_id("viewer-opacity").press("End")
    expect(viewer).to_have_attribute("data-opacity", "100")
    assert np.abs(plain.astype(int) - seen(page, "viewer-panel-fpn_convnextv2")).mean() > 10


def test_swipe_puts_two_pictures_under_one_divider(open_page: OpenPage) -> None:
    page = open_page()
    wait_for_panels(page)
    page.get_by_test_id("viewer-layout-swipe").check()
    swipe, divider = page.get_by_test_id("viewer-swipe"), page.get_by_test_id("viewer-divider")
    expect(swipe).to_be_visible()
    expect(swipe).to_have_attribute("data-ready", "true")
    expect(page.get_by_test_id("viewer-grid")).to_be_hidden()
    divider.press("Home")
    expect(divider).to_have_attribute("aria-valuenow", "0")
    right = seen(page, "viewer-swipe")
    divider.press("End")
    expect(divider).to_have_attribute("aria-valuenow", "100")
    assert (right != seen(page, "viewer-swipe")).mean() > 0.05
    expect(page).to_have_url(re.compile(r"[?&]view=overlay\.55\.swipe"))


def test_a_phone_gets_one_column_and_nothing_sticks_out(open_page: OpenPage) -> None:
    page = open_page(width=380, height=800)
    wait_for_panels(page)
    boxes = [page.get_by_test_id(f"viewer-panel-{key}").bounding_box() for key in KEYS]
    assert len({round(box["x"]) for box in boxes if box}) == 1
    assert all(box and box["width"] <= 380 for box in boxes)
    sticking_out = {}
    for tab in TABS:
        open_tab(page, tab)
        sticking_out[tab] = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    page.get_by_test_id("viewer-layout-swipe").check()
    expect(page.get_by_test_id("viewer-swipe")).to_be_visible()
    sticking_out["swipe"] = page.evaluate("document.scrollingElement.scrollWidth - innerWidth")
    assert all(pixels <= 0 for pixels in sticking_out.values()), sticking_out


def test_a_dark_browser_gets_a_dark_page_with_light_text(open_page: OpenPage) -> None:
    page = open_page(color_scheme="dark")
    wait_for_panels(page)
    colour = "(element, name) => getComputedStyle(element)[name].match(/\\d+/g).slice(0, 3).map(Number)"
    assert max(page.get_by_test_id("stApp").evaluate(colour, "backgroundColor")) < 64
    assert min(page.get_by_test_id("viewer").evaluate(colour, "color")) > 160


def test_a_copied_link_shows_what_its_sender_saw(open_page: OpenPage) -> None:
    mine = open_page()
    wait_for_panels(mine)
    mine.get_by_role("radio", name="8 groups").click()
    expect(mine.get_by_test_id("viewer-legend-flat")).to_be_visible()
    opacity = set_opacity(mine, -12)
    expect(mine).to_have_url(re.compile(rf"classes=8.groups.*view=overlay\.{opacity}|view=overlay\.{opacity}.*classes"))
    yours = open_page(mine.url)
    wait_for_panels(yours)
    expect(yours.get_by_test_id("viewer")).to_have_attribute("data-opacity", str(opacity))
    expect(yours.get_by_test_id("viewer-legend-flat")).to_be_visible()
    expect(yours.get_by_test_id("viewer-legend-road")).to_have_count(0)


def test_hostile_files_get_a_sentence_each_and_the_good_photo_beside_them_works(open_page: OpenPage) -> None:
    cases = [case for case in corpus() if case.name in HOSTILE]
    assert len(cases) == len(HOSTILE)
    page = open_page()
    page.on("dialog", lambda dialog: pytest.fail(f"a file name ran as a script: {dialog.message}"))
    nasty = ("<img src=x onerror=alert(1)>.png", b"GIF89a")
    good = ("good street.jpg", encoded("JPEG", make_scene(77, 360, 480).image))
    upload(page, *((case.name, case.data) for case in cases), nasty, good)
    assert wait_for_panels(page, photo="good street.jpg") == KEYS
    for name, data in [*((case.name, case.data) for case in cases), nasty]:
        with pytest.raises(ImageError) as refusal:
            open_photo(data, name)
        expect(page.get_by_test_id("stAlert").get_by_text(str(refusal.value))).to_be_visible()
    expect(page.locator("img[src=x]")).to_have_count(0)


def test_the_keyboard_reaches_the_slider_and_every_class(open_page: OpenPage) -> None:
    page = open_page()
    wait_for_panels(page)
    reached = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(FOCUSED))
    wanted = {"viewer-opacity", *(f"viewer-legend-{name}" for name in CAMVID.names)}
    assert wanted <= reached


@pytest.mark.parametrize("tab", ["Disagreement", "Ground truth"])
def test_every_picture_says_what_it_shows(open_page: OpenPage, tab: str) -> None:
    page = open_page(f"/?tab={tab}")
    wait_for_panels(page)
    expect(page.get_by_test_id("stImage").first).to_be_visible()
    assert page.evaluate(UNNAMED) == []
