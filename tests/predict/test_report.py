"""The report of a comparison: complete, self-contained, and no place for markup from outside."""

import re

import numpy as np
import pytest

from seglab.data.scenes import make_scene
from seglab.predict.report import Entry, report

PIXELS = make_scene(1, 96, 128).image
ROAD = np.full((96, 128), 3, np.uint8)
HALF = np.where(np.arange(128) < 64, 3, 5)[None].repeat(96, 0).astype(np.uint8)
MARKUP = "<img src=x onerror=alert(1)>"


def entry(title: str, labels: np.typing.NDArray[np.uint8]) -> Entry:
    spent = {"decode": 1.0, "forward": 23.4}
    return Entry(title, "val mIoU 58.2 %", labels, spent, "torch", {"run": "camvid/a-seed42", "commit": "abc1234"})


def page(**more: object) -> str:
    entries = [entry("One", ROAD), entry(MARKUP, HALF)]
    return report(MARKUP, (960, 1280), PIXELS, entries, "camvid-11", **more).decode()  # type: ignore[arg-type]


def test_it_says_what_was_compared_and_by_what() -> None:
    text = page(opacity=0.3)
    assert "960" in text
    assert "overlays at 30 %" in text
    assert "same answer on 50.0% of the photo" in text
    assert text.count("data:image/jpeg;base64,") == 3
    for words in ("camvid/a-seed42", "abc1234", "val mIoU 58.2 %", "<td>23</td>", "pedestrian", "background: #804080"):
        assert words in text
    assert re.findall(r"<td>(100\.0|50\.0)</td>", text)


def test_markup_from_outside_is_text_and_nothing_is_loaded() -> None:
    text = page()
    assert MARKUP not in text
    assert "&lt;img src=x" in text
    assert not re.findall(r"(?:src|href)=\"(?!data:)", text)
    assert "http://" not in text.replace("http-equiv", "")
    assert "https://" not in text


def test_hidden_classes_stay_photo_and_still_count() -> None:
    whole, without = page(), page(hidden=[3])
    assert whole != without
    assert "same answer on 50.0% of the photo" in without


def test_labels_of_another_size_are_refused() -> None:
    for entries in ([], [entry("One", ROAD[:50])]):
        with pytest.raises(ValueError, match=r"expected one or more models with labels of \(96, 128\)"):
            report("a", (96, 128), PIXELS, entries, "camvid-11")
