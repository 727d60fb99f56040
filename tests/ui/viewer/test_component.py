"""The viewer's Python side: what it sends to the browser is exact, and what comes from a link cannot hurt it."""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from streamlit.testing.v1 import AppTest

from seglab.labels import VOID, space
from seglab.ui.viewer import (
    DEFAULT_VIEW,
    LAYOUTS,
    MAX_PANELS,
    MAX_SIDE_PX,
    MODES,
    Panel,
    clean_view,
    display_size,
    format_view,
    parse_view,
    payload,
)

CAMVID = space("camvid-11")
TOOLBAR = Path(__file__).parents[3] / "seglab/ui/viewer/js/toolbar.js"


def photo_of(height: int, width: int) -> NDArray[np.uint8]:
    return np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)


def labels_of(height: int, width: int) -> NDArray[np.uint8]:
    labels = np.random.default_rng(2).integers(0, CAMVID.num_classes, (height, width), dtype=np.uint8)
    labels[0, 0] = VOID
    return labels


def unpacked(packed: dict[str, str], height: int, width: int) -> NDArray[np.uint8]:
    return np.frombuffer(zlib.decompress(base64.b64decode(packed["zlib"])), np.uint8).reshape(height, width)


def test_labels_and_confidence_arrive_bit_for_bit() -> None:
    labels = labels_of(30, 40)
    confidence = np.arange(1200, dtype=np.uint16).astype(np.uint8).reshape(30, 40)
    (panel,) = payload(photo_of(30, 40), [Panel("a", "A", labels, confidence)], CAMVID)["panels"]
    np.testing.assert_array_equal(unpacked(panel["labels"], 30, 40), labels)
    np.testing.assert_array_equal(unpacked(panel["confidence"], 30, 40), confidence)


def test_the_layout_of_the_array_in_memory_does_not_change_what_arrives() -> None:
    labels = labels_of(30, 40)
    fortran, view = np.asfortranarray(labels), np.repeat(labels, 2, axis=1)[:, ::2]
    sent = [
        payload(photo_of(30, 40), [Panel("a", "A", a)], CAMVID)["panels"][0]["labels"] for a in (labels, fortran, view)
    ]
    assert sent[0] == sent[1] == sent[2]


def test_the_payload_is_plain_json() -> None:
    data = payload(photo_of(30, 40), [Panel("a", "A", labels_of(30, 40))], CAMVID)
    assert json.loads(json.dumps(data)) == data


def test_the_classes_carry_names_and_colours_of_the_chosen_palette() -> None:
    sent = payload(photo_of(8, 8), [], CAMVID, palette="colour-blind")["classes"]
    assert [known["name"] for known in sent] == list(CAMVID.names)
    assert [tuple(known["colour"]) for known in sent] == list(CAMVID.safe_colours)


@pytest.mark.parametrize("size", [(100, 4000), (4000, 100), (1024, 2048), (1281, 1281), (1, 9000)])
def test_nothing_is_shown_larger_than_the_limit_and_the_shape_is_kept(size: tuple[int, int]) -> None:
    height, width = display_size(*size)
    assert max(height, width) == MAX_SIDE_PX
    assert min(height, width) == max(1, round(min(size) * MAX_SIDE_PX / max(size)))


def test_a_small_photo_is_not_enlarged() -> None:
    assert display_size(7, 9) == (7, 9)


def test_a_large_photo_and_its_labels_shrink_to_the_same_size() -> None:
    labels = labels_of(900, 1500)
    data = payload(photo_of(900, 1500), [Panel("a", "A", labels)], CAMVID)
    assert (data["height"], data["width"], data["full"]) == (768, 1280, [1500, 900])
    jpeg = base64.b64decode(data["photo"]["src"].removeprefix("data:image/jpeg;base64,"))
    assert Image.open(io.BytesIO(jpeg)).size == (1280, 768)
    assert unpacked(data["panels"][0]["labels"], 768, 1280).shape == (768, 1280)


def test_shrunk_labels_are_the_pixel_under_the_centre_and_never_a_mix() -> None:
    labels = labels_of(640, 2560)
    shown = unpacked(payload(photo_of(640, 2560), [Panel("a", "A", labels)], CAMVID)["panels"][0]["labels"], 320, 1280)
    np.testing.assert_array_equal(shown, labels[1::2, 1::2])


def test_labels_at_display_size_pass_untouched() -> None:
    labels = labels_of(640, 1280)
    (panel,) = payload(photo_of(1024, 2048), [Panel("a", "A", labels)], CAMVID)["panels"]
    np.testing.assert_array_equal(unpacked(panel["labels"], 640, 1280), labels)


def test_equal_content_has_equal_hashes_and_one_changed_pixel_another() -> None:
    labels, changed = labels_of(30, 40), labels_of(30, 40)
    changed[5, 5] = (changed[5, 5] + 1) % CAMVID.num_classes
    a, b, c = payload(
        photo_of(30, 40), [Panel("a", "A", labels), Panel("b", "B", labels.copy()), Panel("c", "C", changed)], CAMVID
    )["panels"]
    assert a["labels"] == b["labels"]
    assert a["labels"]["hash"] != c["labels"]["hash"]


@pytest.mark.parametrize("status", ["waiting", "failed"])
def test_a_panel_without_a_result_carries_its_message_and_no_pixels(status: str) -> None:
    panel = Panel("a", "A", labels_of(5, 5), status=status, message="No weights yet.")  # type: ignore[arg-type]
    (sent,) = payload(photo_of(30, 40), [panel], CAMVID)["panels"]
    assert (sent["status"], sent["message"], sent["labels"], sent["confidence"]) == (
        status,
        "No weights yet.",
        None,
        None,
    )


def test_every_picture_has_words_for_those_who_cannot_see_it() -> None:
    data = payload(photo_of(8, 8), [Panel("a", "PIDNet-S", labels_of(8, 8))], CAMVID)
    assert data["photo"]["alt"]
    assert "PIDNet-S" in data["panels"][0]["alt"]


@pytest.mark.parametrize(
    ("photo", "panels", "message"),
    [
        (np.zeros((8, 8), np.uint8), [], "expected a photo"),
        (np.zeros((8, 8, 3), np.float32), [], "expected a photo"),
        (np.zeros((0, 8, 3), np.uint8), [], "expected a photo"),
        (photo_of(8, 8), [Panel("a", "A", labels_of(8, 9))], "expected labels of panel 'a'"),
        (photo_of(8, 8), [Panel("a", "A", labels_of(8, 8).astype(np.int64))], "expected labels of panel 'a'"),  # type: ignore[arg-type]
        (photo_of(8, 8), [Panel("a", "A", labels_of(8, 8), labels_of(4, 4))], "expected confidence of panel 'a'"),
        (photo_of(8, 8), [Panel("a", "A", None)], "expected labels for the ready panel 'a'"),
        (photo_of(8, 8), [Panel("a", "A", labels_of(8, 8))] * 2, "expected different panel keys"),
        (photo_of(8, 8), [Panel("photo", "A", labels_of(8, 8))], "expected different panel keys"),
        (photo_of(8, 8), [Panel("a~b", "A", labels_of(8, 8))], "expected different panel keys"),
        (photo_of(8, 8), [Panel(str(i), "A", labels_of(8, 8)) for i in range(MAX_PANELS + 1)], "at most 6 panels"),
    ],
)
def test_what_cannot_be_shown_is_refused_with_a_reason(
    photo: NDArray[np.uint8], panels: list[Panel], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        payload(photo, panels, CAMVID)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_view_survives_the_way_through_a_link(mode: str, layout: str) -> None:
    view = {"mode": mode, "opacity": 7, "hidden": [0, 3, 18], "swipe": ["photo", "unet.r18-v2"], "layout": layout}
    assert parse_view(format_view(view)) == view


def test_the_short_form_is_the_documented_one() -> None:
    assert format_view({**DEFAULT_VIEW, "hidden": [7, 3]}) == "overlay.55.grid.h3-7"
    assert format_view(None) == "overlay.55.grid"


@pytest.mark.parametrize(
    "text",
    [
        *("", ".", "~", "~~", "<script>alert(1)</script>", "overlay\n55", "\x00", "x" * 10_000),
        *("101", "-5", "1e2", "٥٥", "h", "h-", "h255", "h999", "h" + "-".join(["1"] * 5000)),
        *("~a", "~a~b~c", "~a~a", "~a b~c", "~" + "k" * 65 + "~photo"),
    ],
)
def test_a_hostile_link_opens_the_default_view(text: str) -> None:
    assert parse_view(text) == DEFAULT_VIEW


def test_a_text_of_the_wrong_type_opens_the_default_view() -> None:
    assert parse_view(["overlay"]) == DEFAULT_VIEW  # type: ignore[arg-type]


def test_a_link_keeps_what_is_good_in_it() -> None:
    assert parse_view("nonsense.80.swipe.h3") == {**DEFAULT_VIEW, "opacity": 80, "layout": "swipe", "hidden": [3]}


@pytest.mark.parametrize(
    "view",
    [
        None,
        7,
        "overlay",
        [],
        {"mode": "rm -rf", "layout": None, "opacity": "55", "hidden": "1", "swipe": "ab"},
        {"mode": ["overlay"], "layout": {}, "opacity": float("nan"), "hidden": {1}, "swipe": [[], {}]},
        {"opacity": -1, "hidden": [-1, 11, 255, 1e9, "1", None, True, [1]], "swipe": ["a", "gone"]},
        {"opacity": True, "swipe": ["a", "a"], "__proto__": {"x": 1}, "onload": "alert(1)"},
    ],
)
def test_whatever_is_unknown_or_impossible_in_a_view_is_dropped(view: object) -> None:
    assert clean_view(view, CAMVID.num_classes, {"photo", "a"}) == DEFAULT_VIEW


def test_a_cleaned_view_shares_nothing_with_the_defaults() -> None:
    clean_view(None)["hidden"].append(3)
    assert DEFAULT_VIEW["hidden"] == []


def test_python_and_the_browser_know_the_same_modes() -> None:
    source = TOOLBAR.read_text("utf-8")
    assert all(f'["{word}", "' in source for word in (*MODES, *LAYOUTS))


def script() -> None:
    import numpy as np
    import streamlit as st

    from seglab.labels import space
    from seglab.ui.viewer import Panel, parse_view, viewer

    labels = np.zeros((20, 30), np.uint8)
    panels = [
        Panel("a", "A", labels, labels),
        Panel("b", "B", None, status="waiting"),
        Panel("c", "C", None, status="failed", message="No weights."),
    ]
    photo = np.zeros((20, 30, 3), np.uint8)
    view = viewer(photo, panels, space("camvid-11"), view=parse_view(st.query_params.get("view", "")))
    st.text(f"view {view}")


def mounted(at: AppTest) -> dict[str, object]:
    proto = at.get("bidi_component")[0].proto
    return json.loads(proto.mixed.json or proto.json)  # type: ignore[no-any-return]


def test_a_script_with_the_viewer_runs_and_knows_no_view_before_the_reader_acts() -> None:
    at = AppTest.from_function(script, default_timeout=20).run()
    assert not at.exception
    assert at.text[0].value == "view None"
    assert [panel["status"] for panel in mounted(at)["panels"]] == ["ready", "waiting", "failed"]  # type: ignore[attr-defined]


def test_a_link_decides_what_the_viewer_opens_with() -> None:
    at = AppTest.from_function(script, default_timeout=20)
    at.query_params["view"] = "mask.80.swipe.h3-200~photo~gone"
    at.run()
    assert not at.exception
    assert mounted(at)["view"] == {"mode": "mask", "opacity": 80, "hidden": [3], "swipe": [], "layout": "swipe"}


def test_running_again_sends_the_same_bytes() -> None:
    at = AppTest.from_function(script, default_timeout=20).run()
    before = mounted(at)
    assert mounted(at.run()) == before


def test_the_answer_of_the_browser_is_cleaned_and_does_not_come_back_as_a_new_payload() -> None:
    at = AppTest.from_function(script, default_timeout=20).run()
    before = mounted(at)
    at.session_state["viewer"] = {"view": {"mode": "edges", "opacity": 1e9, "hidden": [3, "x"], "other": 1}}
    at.query_params["view"] = "edges.55.grid.h3"
    at.run()
    assert not at.exception
    assert at.text[0].value == f"view { {**DEFAULT_VIEW, 'mode': 'edges', 'hidden': [3]} }"
    assert mounted(at) == before
