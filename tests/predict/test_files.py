"""Comparing answers counts what one can count by hand, and the files hold what the answers say."""

import io
import json
import zipfile
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from seglab.labels import VOID
from seglab.measure.agreement import distinct_answers, pairwise_agreement
from seglab.predict.files import geojson, geojson_bytes, mask_files, summary_row, zip_files
from seglab.predict.segmenter import Prediction

Labels = NDArray[np.uint8]


def answers(seed: int, models: int) -> list[Labels]:
    return [np.random.default_rng([seed, m]).integers(0, 3, (9, 11)).astype(np.uint8) for m in range(models)]


def prediction(labels: Labels) -> Prediction:
    scores = np.zeros((11, *labels.shape), np.float16)
    return Prediction(
        labels, np.full(labels.shape, 51, np.uint8), "camvid-11", {"preprocess": 1.0, "forward": 2.0}, "engine", scores
    )


@pytest.mark.parametrize("models", [1, 2, 3, 5])
def test_distinct_answers_count_the_different_labels_of_each_pixel(models: int) -> None:
    given = answers(0, models)
    expected = [[len({int(m[y, x]) for m in given}) for x in range(11)] for y in range(9)]
    assert distinct_answers(given).tolist() == expected
    assert distinct_answers(given).dtype == np.uint8


def test_agreement_is_the_share_of_pixels_with_one_label() -> None:
    a, b, c = (np.array([row], np.uint8) for row in ([0, 1, 2, 3], [0, 1, 2, 0], [0, 1, 0, 1]))
    assert pairwise_agreement([a, b, c]).tolist() == [[1, 0.75, 0.5], [0.75, 1, 0.5], [0.5, 0.5, 1]]


def shapes() -> Labels:
    """Return a map with a disc, a block with a hole and an island inside the hole, and specks."""
    labels = np.full((120, 160), 3, np.uint8)
    y, x = np.mgrid[:120, :160]
    labels[(y - 30) ** 2 + (x - 40) ** 2 < 400] = 8
    labels[60:110, 60:150] = 1
    labels[75:100, 80:130] = VOID
    labels[82:94, 95:115] = 1
    labels[5, 5] = 10
    labels[10:100, 155] = 2  # a pole one pixel wide
    return labels


def ring_area(ring: list[list[int]]) -> float:
    return sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in pairwise(ring)) / 2


def test_the_outlines_are_closed_rings_turned_as_geojson_asks() -> None:
    for feature in geojson(shapes(), "camvid-11")["features"]:
        assert feature["geometry"]["type"] == "MultiPolygon"
        for outer, *holes in feature["geometry"]["coordinates"]:
            for ring in (outer, *holes):
                assert ring[0] == ring[-1]
                assert len(ring) >= 4
            assert ring_area(outer) > 0
            assert all(ring_area(hole) < 0 for hole in holes)


def test_the_outlines_area_is_close_to_the_masks() -> None:
    labels = shapes()
    features = {f["properties"]["class"]: f for f in geojson(labels, "camvid-11")["features"]}
    assert list(features) == ["building", "pole", "road", "car", "bicyclist"]
    for name in ("building", "road", "car"):
        properties, polygons = features[name]["properties"], features[name]["geometry"]["coordinates"]
        assert properties["area_px"] == (labels == properties["class_id"]).sum()
        drawn = np.zeros(labels.shape, np.uint8)
        for outer, *holes in polygons:
            cv2.fillPoly(drawn, [np.array(ring) for ring in (outer, *holes)], 1)
        mask = labels == properties["class_id"]
        overlap = (mask & (drawn > 0)).sum() / (mask | (drawn > 0)).sum()
        assert overlap > 0.93
    assert len(features["building"]["geometry"]["coordinates"]) == 2  # the block with its hole, and the island
    assert features["bicyclist"]["geometry"]["coordinates"] == []  # a speck of one pixel
    assert features["pole"]["geometry"]["coordinates"] == []
    assert features["pole"]["properties"]["area_px"] == 90


def test_a_map_of_one_class_is_one_rectangle_and_a_void_map_has_no_feature() -> None:
    whole = geojson(np.full((20, 30), 4, np.uint8), "camvid-11")
    assert whole["properties"]["height_px"] == 20
    assert whole["properties"]["width_px"] == 30
    assert len(whole["features"]) == 1
    ring = whole["features"][0]["geometry"]["coordinates"][0][0]
    assert {tuple(p) for p in ring} == {(0, 0), (29, 0), (29, 19), (0, 19)}
    assert geojson(np.full((20, 30), VOID, np.uint8), "camvid-11")["features"] == []


def test_geojson_is_json() -> None:
    assert json.loads(geojson_bytes(shapes(), "camvid-11")) == json.loads(json.dumps(geojson(shapes(), "camvid-11")))


def test_the_label_png_holds_the_ids_and_the_overlay_the_photos_size() -> None:
    labels = answers(0, 1)[0]
    files = mask_files("photo", "fpn", np.zeros((9, 11, 3), np.uint8), prediction(labels))
    assert list(files) == ["photo.fpn.labels.png", "photo.fpn.overlay.png"]
    read = cv2.imdecode(np.frombuffer(files["photo.fpn.labels.png"], np.uint8), cv2.IMREAD_UNCHANGED)
    assert read is not None
    assert read.dtype == np.uint8
    assert np.array_equal(read, labels)
    overlay = cv2.imdecode(np.frombuffer(files["photo.fpn.overlay.png"], np.uint8), cv2.IMREAD_UNCHANGED)
    assert overlay is not None
    assert overlay.shape == (9, 11, 3)


def test_a_summary_row_says_where_the_time_went_and_what_was_seen() -> None:
    row = summary_row("a/b.jpg", "fpn", "exp/run", prediction(np.array([[0, 0, 0, 3]], np.uint8)), 0.44)
    assert row["latency_ms"] == {"decode": 0.4, "preprocess": 1.0, "forward": 2.0, "total": 3.4}
    assert row["share_frac"]["sky"] == 0.75
    assert row["share_frac"]["road"] == 0.25
    assert sum(row["share_frac"].values()) == pytest.approx(1)
    assert row["mean_confidence"] == 0.2
    assert (row["height_px"], row["width_px"]) == (1, 4)
    json.dumps(row, allow_nan=False)


def test_a_zip_opens_and_holds_every_file_whole() -> None:
    files = {"a.labels.png": b"\x89PNG" * 99, "ä b.geojson": b"{}" * 999, "summary.json": b"[]"}
    with zipfile.ZipFile(io.BytesIO(zip_files(files))) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == files
        assert archive.getinfo("a.labels.png").compress_type == zipfile.ZIP_STORED
        assert archive.getinfo("ä b.geojson").compress_size < 200
