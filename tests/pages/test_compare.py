"""The Compare page, driven without a browser: what it shows, what it refuses, and that nothing stops it."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
import zlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from seglab.data.scenes import make_scene
from seglab.images import FORMATS, SUFFIXES, ImageError, encode_jpeg, encode_png, open_mask, open_photo
from seglab.labels import remap, space
from seglab.predict.samples import FOLDER, SAMPLES
from seglab.predict.scores import working_size
from seglab.predict.segmenter import Segmenter
from seglab.predict.shelf import EXPERIMENT, shelf
from seglab.predict.sources import hub, open_model
from seglab.ui import asking, models, photos, workbench
from seglab.ui.compare import panels as compare
from seglab.ui.photos import sample_photo
from tests.hostile import corpus
from tests.pages.conftest import APP, ROOT, RUN_S, OpenPage, panels, said, send, settle, viewer

KEYS = ["deeplabv3plus", "mask2former", "fpn_convnextv2", "upernet_convnextv2"]
TABS = ("Disagreement", "Area per class", "Ground truth", "Models", "All photos", "Downloads")
CAMVID, EIGHT = space("camvid-11"), space("cityscapes-8")
HEIGHT, WIDTH = 96, 128
HOSTILE = (
    "one-byte.png",
    "flipped.png",
    "three-thousand-scans.jpg",
    "frame-bomb.webp",
    "huge-width.bmp",
    "all-nan.tif",
    "huge-grid.heic",
    "larger-than-it-says.avif",
    "huge-screen.gif",
)
OPEN_TABS = """
import json, sys
from streamlit.testing.v1 import AppTest
for tab in sys.argv[2:]:
    page = AppTest.from_file(sys.argv[1], default_timeout=120)
    page.query_params["tab"] = tab
    page.run()
    assert not page.exception and not page.progress and not page.error, tab
print(*(panel["status"] for panel in json.loads(page.get_by_key("viewer").proto.json)["panels"]))
print(*{"torch", "transformers", "openvino", "timm"} & sys.modules.keys())
"""
ODD_RECORDS: dict[str, dict[str, Any]] = {
    "unfinished": {"status": "running"},
    "another architecture": {"model": {"key": "resnet", "size": "bundled"}},
    "text for a number": {"model": {"key": "fpn_convnextv2", "size": "bundled", "parameters": "many"}},
    "text for a figure": {"metrics": {"miou": "good"}},
    "a list for figures": {"metrics": [1]},
    "a list for the data's split": {"data": {"val": [1]}},
    "a number for a commit": {"environment": {"git_commit": 123}},
    "a figure beyond any float": {"metrics": {"miou": 10**400}},
    "another hash": {"weights": {"sha256": "0" * 64}},
}


@cache
def street(seed: int) -> bytes:
    return encode_jpeg(make_scene(seed, HEIGHT, WIDTH).image)


def labels_of(page: AppTest, key: str) -> NDArray[np.uint8]:
    """Return the label map that the page sent for a panel."""
    sent = viewer(page)
    packed = base64.b64decode(panels(page)[key]["labels"]["zlib"])
    return np.frombuffer(zlib.decompress(packed), np.uint8).reshape(sent["height"], sent["width"])


def look_until_complete(page: AppTest) -> None:
    """Look at the table of all photos again until no answer is missing; at most a minute."""
    until = time.monotonic() + 60
    settle(page)
    while any("still being worked on" in caption.value for caption in page.caption):
        assert time.monotonic() < until, "the table never fills"
        time.sleep(0.5)
        settle(page)


def own_run(**changes: Any) -> tuple[bytes, bytes]:
    """Return record and weights of a bundled run, the record changed."""
    folder = next(ref.measured for ref in shelf() if ref.key == "fpn_convnextv2")
    record = json.loads((folder / "run.json").read_text()) | changes
    return json.dumps(record).encode(), (folder / "weights.safetensors").read_bytes()


def test_the_page_opens_on_the_first_sample_with_four_answers(open_page: OpenPage) -> None:
    page = open_page()
    assert page.button_group(key="photo").value == f"sample:{SAMPLES[0].key}"
    assert viewer(page)["photo"]["alt"].startswith("Sample scene: ")
    assert list(panels(page)) == KEYS
    assert {panel["status"] for panel in panels(page).values()} == {"ready"}
    assert not page.error


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens_from_a_link_and_no_other_is_computed(open_page: OpenPage, tab: str) -> None:
    page = open_page(tab=tab)
    filled = [one.label for one in page.tabs if len(one.children) > 0]
    assert filled == [tab]
    assert not page.error


def test_test_figures_stand_beside_val_and_the_page_says_that_val_flatters(open_page: OpenPage) -> None:
    page = open_page(tab="Models")
    captions = [panel["caption"] for panel in panels(page).values()]
    assert captions[0].startswith("val mIoU 64.8 %, test 55.5 % (CamVid, 11 classes)")
    assert "test not measured" in captions[1]
    assert "Val is one clip of one street (101 frames) and flatters: it lies 9 to 14 points above test" in said(page)
    assert "not used for any choice" in said(page)
    by_class = page.dataframe[1].value
    assert list(by_class.columns) == ["DeepLabV3+ ResNet-10-T", "FPN-ConvNeXtV2-atto", "UPerNet-ConvNeXtV2-atto"]
    assert by_class.loc["bicyclist"].round().tolist() == [33, 24, 31]


def test_the_label_space_changes_the_legend_and_the_answers(open_page: OpenPage) -> None:
    page = open_page()
    eleven = labels_of(page, "fpn_convnextv2")
    page.button_group(key="classes").set_value("cityscapes-8")
    settle(page)
    assert [known["name"] for known in viewer(page)["classes"]] == list(EIGHT.names)
    np.testing.assert_array_equal(labels_of(page, "fpn_convnextv2"), remap(eleven, "camvid-11", "cityscapes-8"))


def test_the_toggle_for_colour_blind_readers_changes_the_colours_and_nothing_else(open_page: OpenPage) -> None:
    page = open_page()
    before = labels_of(page, "mask2former")
    assert [tuple(known["colour"]) for known in viewer(page)["classes"]] == list(CAMVID.colours)
    page.toggle(key="safe").set_value(True)
    settle(page)
    assert [tuple(known["colour"]) for known in viewer(page)["classes"]] == list(CAMVID.safe_colours)
    np.testing.assert_array_equal(labels_of(page, "mask2former"), before)


def test_a_link_reproduces_every_setting(open_page: OpenPage) -> None:
    titles = {ref.key: ref.title for ref in shelf()}
    page = open_page(
        photo="Sample: Rain at dusk",
        classes="8 groups",
        safe="true",
        models=[titles["mask2former"], titles["fpn_convnextv2"]],
        tab="Area per class",
        view="mask.80.swipe.h0-3~photo~fpn_convnextv2",
    )
    sent = viewer(page)
    assert "Rain" in page.button_group(key="photo").formatted_values[0]
    assert [tuple(known["colour"]) for known in sent["classes"]] == list(EIGHT.safe_colours)
    assert list(panels(page)) == ["mask2former", "fpn_convnextv2"]
    assert list(page.dataframe[0].value.columns) == [titles["mask2former"], titles["fpn_convnextv2"]]
    wanted = {"mode": "mask", "opacity": 80, "hidden": [0, 3], "swipe": ["photo", "fpn_convnextv2"], "layout": "swipe"}
    assert sent["view"] == wanted


def test_a_link_full_of_nonsense_opens_the_default_view(open_page: OpenPage) -> None:
    nonsense = dict.fromkeys(("photo", "classes", "safe", "fine", "models", "tab", "view"), "<script>alert(1)</script>")
    page = open_page(**nonsense)
    assert list(panels(page)) == KEYS
    assert viewer(page)["view"]["opacity"] == 55
    assert page.button_group(key="photo").value == f"sample:{SAMPLES[0].key}"


def test_one_model_alone_is_shown_and_has_nobody_to_disagree_with(open_page: OpenPage) -> None:
    title = shelf()[0].title
    page = open_page(models=title, tab="Disagreement")
    assert list(panels(page)) == KEYS[:1]
    assert "at least two models" in page.info[0].value


def test_an_uploaded_photo_is_chosen_and_segmented_as_the_library_does_it(open_page: OpenPage) -> None:
    data = street(1)
    page = send(open_page(), "upload", ("my street.jpg", data))
    assert page.button_group(key="photo").formatted_values == ["my street.jpg"]
    assert viewer(page)["photo"]["alt"] == f"Photo my street.jpg, {WIDTH} by {HEIGHT} pixels"
    assert all(panel["caption"].endswith(" ms") for panel in panels(page).values())
    folder = next(ref.measured for ref in shelf() if ref.key == "fpn_convnextv2")
    expected = Segmenter(open_model(folder)).predict(open_photo(data).pixels).labels
    np.testing.assert_array_equal(labels_of(page, "fpn_convnextv2"), expected)


def test_two_photos_of_one_name_can_both_be_chosen(open_page: OpenPage) -> None:
    page = send(open_page(), "upload", ("image.jpg", street(1)), ("image.jpg", street(2)))
    options = page.button_group(key="photo").options
    assert options[:2] == ["image.jpg", "image (2).jpg"]
    first, second = page.session_state["shelf"].photos
    shown = []
    for key in (first, second):
        page.button_group(key="photo").set_value(key)
        settle(page)
        assert page.button_group(key="photo").value == key
        shown.append(viewer(page)["photo"]["hash"])
    assert shown[0] != shown[1]


def test_the_table_of_all_photos_has_a_row_for_each_photo_and_model(open_page: OpenPage) -> None:
    page = send(open_page(), "upload", ("a.jpg", street(1)), ("b.jpg", street(2)))
    page.session_state["tab"] = "All photos"
    look_until_complete(page)
    table = page.dataframe[0].value
    assert sorted(table["photo"].unique()) == ["a.jpg", "b.jpg"]
    assert table.groupby("photo").size().tolist() == [len(KEYS)] * 2
    shares = table[[f"{name} (%)" for name in CAMVID.names]].sum(axis=1)
    np.testing.assert_allclose(shares, 100, atol=0.01)


def test_the_table_of_all_photos_fills_though_their_answers_do_not_fit_into_memory(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = workbench.Workbench()
    for module in (asking, compare):
        monkeypatch.setattr(module, "workbench", lambda: bench)
    two_answers = 2 * CAMVID.num_classes * HEIGHT * WIDTH * 2
    monkeypatch.setattr(asking, "MAX_SESSION_BYTES", two_answers)
    monkeypatch.setattr(workbench, "MAX_ANSWER_BYTES", two_answers)
    files = [(f"{seed}.jpg", street(seed)) for seed in range(1, 6)]
    title = next(ref.title for ref in shelf() if ref.key == "fpn_convnextv2")
    page = send(open_page(models=title, tab="All photos"), "upload", *files)
    look_until_complete(page)
    assert sorted(page.dataframe[0].value["photo"]) == [name for name, _ in files]


def test_hostile_files_get_one_sentence_each_and_the_good_photo_works(open_page: OpenPage) -> None:
    cases = [case for case in corpus() if case.name in HOSTILE]
    assert len(cases) == len(HOSTILE)
    page = send(open_page(), "upload", *((case.name, case.data) for case in cases), ("good.jpg", street(1)))
    said = []
    for case in cases:
        with pytest.raises(ImageError) as refusal:
            open_photo(case.data, case.name)
        said.append(str(refusal.value))
    assert [error.value for error in page.error] == said
    assert page.button_group(key="photo").formatted_values == ["good.jpg"]
    assert {panel["status"] for panel in panels(page).values()} == {"ready"}


def test_the_uploader_takes_every_ending_of_every_format(open_page: OpenPage) -> None:
    (types,) = (up.proto.type for up in open_page().run().file_uploader if up.key == "upload")
    assert {word.strip(".") for word in types} == set(SUFFIXES)
    for word in re.findall(r"[A-Z]\w+", FORMATS):
        assert word.lower() in SUFFIXES


def test_a_phones_photo_is_segmented(open_page: OpenPage) -> None:
    phone = next(case for case in corpus() if case.name == "turned-twice.heic")
    page = send(open_page(), "upload", (phone.name, phone.data))
    assert not page.error
    assert page.button_group(key="photo").value == page.session_state["photo"]
    assert next(iter(page.session_state["shelf"].photos.values())).format == "HEIC"
    assert {panel["status"] for panel in panels(page).values()} == {"ready"}


def test_a_photo_too_many_is_left_out_until_another_is_removed(open_page: OpenPage) -> None:
    files = [(f"{n}.jpg", street(1)) for n in range(photos.MAX_PHOTOS + 1)]
    page = send(open_page(), "upload", *files)
    assert [error.value.split(" was left out")[0] for error in page.error] == [files[-1][0]]
    page.file_uploader(key="upload").clear()
    send(page, "upload", *files[1:])
    assert not page.error
    assert files[-1][0] in page.button_group(key="photo").options


def test_without_a_trained_model_the_page_says_which_command_makes_one(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(models, "shelf", lambda: shelf(tmp_path))
    page = AppTest.from_file(str(APP), default_timeout=RUN_S).run()
    assert not page.exception
    (info,) = page.info
    command = re.search(r"`python -m trainers\.train (\S+) --data \S+`", info.value)
    assert command
    assert (ROOT / command[1]).is_file()
    assert len(page.file_uploader) == 0


def test_a_failing_model_says_why_the_others_stay_and_it_can_be_asked_again(
    open_page: OpenPage, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    experiment = tmp_path / EXPERIMENT
    for ref in shelf():
        if ref.key in ("deeplabv3plus", "fpn_convnextv2"):
            shutil.copytree(ref.measured, experiment / ref.measured.name)
    refs = {ref.key: ref for ref in shelf(tmp_path)}
    weights = refs["deeplabv3plus"].measured / "weights.safetensors"
    whole = weights.read_bytes()
    weights.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    bench = workbench.Workbench()
    monkeypatch.setattr(models, "shelf", lambda: list(refs.values()))
    for module in (asking, compare):
        monkeypatch.setattr(module, "workbench", lambda: bench)

    page = send(open_page(), "upload", ("street.jpg", street(3)))
    broken, good = panels(page)["deeplabv3plus"], panels(page)["fpn_convnextv2"]
    assert (broken["status"], good["status"]) == ("failed", "ready")
    assert "does not have the hash" in broken["message"]

    weights.write_bytes(whole)
    next(button for button in page.button if button.label == "Try the failed models again").click()
    settle(page)
    assert [(panel["status"], panel.get("message")) for panel in panels(page).values()] == [("ready", "")] * 2


def test_an_uploaded_run_joins_the_models_and_every_tab_still_opens(open_page: OpenPage) -> None:
    record, weights = own_run()
    page = send(open_page(), "own-upload", ("run.json", record), ("weights.safetensors", weights))
    assert not page.error
    page.button_group(key="models").set_value(["fpn_convnextv2", "own1"])
    settle(page)
    assert list(panels(page)) == ["fpn_convnextv2", "own1"]
    np.testing.assert_array_equal(labels_of(page, "own1"), labels_of(page, "fpn_convnextv2"))
    for tab in TABS:
        page.session_state["tab"] = tab
        settle(page)


def test_a_checkpoint_of_the_hub_is_fetched_when_its_size_is_known(
    open_page: OpenPage, published: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[tuple[str, str | None]] = []

    def fetch(name: str, revision: str | None = None) -> Path:
        fetched.append((name, revision))
        return published

    monkeypatch.setattr(hub, "size_of", lambda name, revision=None: 3 * 2**20)
    monkeypatch.setattr(hub, "fetch", fetch)
    page = open_page()
    page.text_input(key="own-hub").set_value("some-one/a-model@v2")
    settle(page)
    assert not fetched, "nothing is fetched unasked"
    assert page.button(key="own-hub-fetch").label == "Fetch 3 MiB"
    page.button(key="own-hub-fetch").click()
    settle(page)
    assert fetched == [("some-one/a-model", "v2")]
    assert {key: panel["status"] for key, panel in panels(page).items()} == dict.fromkeys([*KEYS, "own1"], "ready")
    assert panels(page)["own1"]["title"] == "a-model (own 1)"
    assert "in 8 groups" in said(page), "what the common label space merges is told"


def test_without_the_hub_the_page_says_so_at_once(open_page: OpenPage, monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(name: str, revision: str | None = None) -> int:
        raise hub._unreached(name, OSError("Network is unreachable"))

    monkeypatch.setattr(hub, "size_of", offline)
    page = open_page()
    page.text_input(key="own-hub").set_value("some-one/a-model")
    settle(page)
    assert "the hub could not give some-one/a-model: Network is unreachable" in page.error[0].value.replace("\\", "")
    page.text_input(key="own-hub").set_value("../../etc/passwd")
    settle(page)
    assert not page.error
    assert "A name of the hub is OWNER/NAME." in said(page)


def test_a_pickle_renamed_to_safetensors_is_refused(open_page: OpenPage) -> None:
    pickle = next(case.data for case in corpus() if case.name == "model.pickle")
    page = send(open_page(), "own-upload", ("run.json", own_run()[0]), ("weights.safetensors", pickle))
    (error,) = page.error
    assert error.value.replace("\\", "") == "weights.safetensors is not a safetensors file; pickled weights are refused"
    assert len(page.button_group(key="models").options) == len(shelf())


@pytest.mark.parametrize("changes", ODD_RECORDS.values(), ids=ODD_RECORDS)
def test_an_odd_record_is_refused_with_a_reason(open_page: OpenPage, changes: dict[str, Any]) -> None:
    record, weights = own_run(**changes)
    page = send(open_page(), "own-upload", ("run.json", record), ("weights.safetensors", weights))
    (error,) = page.error
    assert error.value
    assert "Traceback" not in error.value
    assert len(page.button_group(key="models").options) == len(shelf())
    assert {panel["status"] for panel in panels(page).values()} == {"ready"}


def test_the_iou_table_of_a_sample_is_that_of_its_exact_mask(open_page: OpenPage) -> None:
    page = open_page(tab="Ground truth")
    table = page.dataframe[0].value
    titles = {ref.key: ref.title for ref in shelf()}
    assert list(table.index) == [titles[key] for key in KEYS]
    truth = open_mask(FOLDER / f"{SAMPLES[0].key}.mask.png")
    labels = labels_of(page, "fpn_convnextv2")  # samples are shown at their own size
    for index, name in enumerate(CAMVID.names):
        pred, target = (labels == index) & (truth != 255), truth == index
        expected = 100 * (pred & target).sum() / (pred | target).sum() if (pred | target).any() else np.nan
        np.testing.assert_allclose(table.loc[titles["fpn_convnextv2"], name], expected, atol=1e-6)


def test_an_uploaded_mask_gives_the_table_that_the_sample_has(open_page: OpenPage) -> None:
    expected = open_page(tab="Ground truth").dataframe[0].value
    page = send(open_page(tab="Ground truth"), "upload", ("mine.jpg", (FOLDER / f"{SAMPLES[0].key}.jpg").read_bytes()))
    assert "With a mask of the photo" in page.info[0].value
    send(
        page,
        f"truth-upload-{page.session_state['photo']}",
        ("mask.png", (FOLDER / f"{SAMPLES[0].key}.mask.png").read_bytes()),
    )
    np.testing.assert_array_equal(page.dataframe[0].value.to_numpy(), expected.to_numpy())


def test_a_photo_of_an_overtaken_run_is_shown_by_the_next(open_page: OpenPage) -> None:
    page = send(open_page(), "upload", ("a.jpg", street(1)), ("b.jpg", street(2)))
    first, second = page.session_state["shelf"].photos
    assert page.session_state["photo"] == second
    page.session_state["shelf"].arrived = first  # on the shelf, and its run ended before the choice was made
    settle(page)
    assert page.button_group(key="photo").value == first
    page.button_group(key="photo").set_value(second)
    settle(page)
    assert page.button_group(key="photo").value == second


def test_a_mask_belongs_to_its_photo(open_page: OpenPage) -> None:
    page = send(open_page(tab="Ground truth"), "upload", ("a.jpg", street(1)), ("b.jpg", street(2)))
    first = page.session_state["photo"]
    send(page, f"truth-upload-{first}", ("mask.png", encode_png(np.zeros((HEIGHT, WIDTH), np.uint8))))
    assert len(page.dataframe) == 1
    page.session_state["photo"] = next(key for key in page.session_state["shelf"].photos if key != first)
    settle(page)
    assert len(page.dataframe) == 0
    assert "With a mask of the photo" in page.info[0].value


def test_ids_that_a_label_space_does_not_have_are_named(open_page: OpenPage) -> None:
    page = send(open_page(tab="Ground truth"), "upload", ("a.jpg", street(1)))
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[: HEIGHT // 4] = 26  # a raw Cityscapes id
    send(page, f"truth-upload-{page.session_state['photo']}", ("raw.png", encode_png(mask)))
    assert page.warning[0].value.startswith("25.0% of raw.png holds ids")


def test_an_uploaded_run_with_the_bundled_weights_in_another_network_is_another_model() -> None:
    bundled = shelf()[0]
    network = {**bundled.network, "options": {"decoder_atrous_rates": [1, 1, 1]}}
    altered = replace(bundled, network=network, stored=False)
    bench, photo = workbench.Workbench(), sample_photo(SAMPLES[0].key)
    assert altered.id != bundled.id
    assert bench.ask(bundled, photo, "standard") is not None  # stored ahead of time
    bench.pool.shutdown()  # nothing is worked on here
    with pytest.raises(RuntimeError):
        bench.ask(altered, photo, "standard")


def test_another_seed_of_a_bundled_model_is_offered_beside_it(tmp_path: Path) -> None:
    ref = shelf()[0]
    for name in (ref.measured.name, "deeplabv3plus-seed7"):
        shutil.copytree(ref.measured, tmp_path / EXPERIMENT / name)
    refs = shelf(tmp_path)
    assert [(r.key, r.measured.name) for r in refs] == [
        ("deeplabv3plus", "deeplabv3plus-seed42"),
        ("deeplabv3plus-seed7", "deeplabv3plus-seed7"),
    ]
    assert len({r.title for r in refs}) == 2


def test_a_mask_of_another_size_is_refused_in_a_sentence_with_both_sizes(open_page: OpenPage) -> None:
    page = send(open_page(tab="Ground truth"), "upload", ("street.jpg", street(1)))
    send(page, f"truth-upload-{page.session_state['photo']}", ("small.png", encode_png(np.zeros((40, 60), np.uint8))))
    (error,) = page.error
    assert "small.png" in error.value
    assert all(str(side) in error.value for side in (40, 60, HEIGHT, WIDTH))
    assert len(page.dataframe) == 0


def test_stored_answers_are_shown_without_importing_torch(tmp_path: Path) -> None:
    shutil.copytree(FOLDER, tmp_path / FOLDER.name, ignore=shutil.ignore_patterns("*.npz"))
    photo = open_photo(FOLDER / f"{SAMPLES[0].key}.jpg")
    scores = np.zeros((CAMVID.num_classes, *working_size(photo.height, photo.width)), np.uint8)
    scores[3] = 255
    for ref in shelf():
        folder = tmp_path / EXPERIMENT / ref.measured.name
        folder.mkdir(parents=True)
        record = json.loads((ref.measured / "run.json").read_text()) | {"weights": {"sha256": ref.sha256}}
        (folder / "run.json").write_text(json.dumps(record))
        (folder / "weights.safetensors").touch()
        np.savez_compressed(tmp_path / FOLDER.name / f"{photo.sha256[:12]}-{ref.sha256[:12]}.npz", scores=scores)
    env = {**os.environ, "SEGLAB_RESULTS": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", OPEN_TABS, str(APP), *TABS], cwd=ROOT, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["ready"] * len(KEYS)
