"""Boundary F1 and Trimap IoU equal plain SciPy loops over full-size masks that share no code with them."""

import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion

from seglab.measure import boundary, metrics
from seglab.measure.counts import count_image, summarise_images

VOID = 255
NAMES = ("a", "b", "c")
Ids = NDArray[np.uint8]


def square(radius: int) -> NDArray[np.bool_]:
    return np.ones((2 * radius + 1, 2 * radius + 1), bool)


def contour_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return dilation XOR erosion; outside the image is background for both."""
    edge: NDArray[np.bool_] = binary_dilation(mask, square(1)) ^ binary_erosion(mask, square(1), border_value=0)
    return edge


def reference_f1(pred: Ids, target: Ids, num_classes: int, reach: int) -> list[float]:
    valid, scores = target != VOID, []
    for c in range(num_classes):
        truth, guess = (target == c) & valid, (pred == c) & valid
        if not truth.any() or not guess.any():
            scores.append(0.0 if truth.any() else math.nan)
            continue
        truth, guess = contour_of(truth), contour_of(guess)
        precision = (guess & binary_dilation(truth, square(reach))).sum() / guess.sum()
        recall = (truth & binary_dilation(guess, square(reach))).sum() / truth.sum()
        scores.append(2 * precision * recall / (precision + recall) if precision + recall else 0.0)
    return scores


def reference_band(target: Ids, width: int) -> NDArray[np.bool_]:
    """Return the band by looking at every pixel's four neighbours, and from every pixel around itself."""
    height, length = target.shape
    edge = np.zeros(target.shape, bool)
    for y, x in np.ndindex(height, length):
        for v, u in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            inside = 0 <= v < height and 0 <= u < length
            if inside and target[y, x] != target[v, u] and VOID not in (target[y, x], target[v, u]):
                edge[y, x] = True
    band = np.zeros(target.shape, bool)
    for y, x in np.ndindex(height, length):
        near = edge[max(0, y - width) : y + width + 1, max(0, x - width) : x + width + 1]
        band[y, x] = near.any() and target[y, x] != VOID
    return band


def reference_trimap(pred: Ids, target: Ids, num_classes: int, width: int) -> list[float]:
    band, scores = reference_band(target, width), []
    for c in range(num_classes):
        truth, guess = (target == c) & band, (pred == c) & band
        union = (truth | guess).sum()
        scores.append((truth & guess).sum() / union if union else math.nan)
    return scores


def pair(seed: int, num_classes: int = 5) -> tuple[Ids, Ids]:
    """Return a blocky prediction and target that agree on about half of the image; void in clumps and in specks."""
    rng = np.random.default_rng(seed)
    height, width, side = *rng.integers(1, 45, 2), int(rng.integers(1, 14))

    def blocks(classes: list[int]) -> NDArray[np.int64]:
        small = rng.choice(classes, (-(-height // side), -(-width // side)))
        return small.repeat(side, 0).repeat(side, 1)[:height, :width]

    known = [c for c in range(num_classes) if c != rng.integers(num_classes)]  # one class may be absent
    target = blocks([*known, *([VOID] if seed % 2 else [])])
    shifted = np.roll(target, rng.integers(-3, 4, 2), (0, 1))
    pred = np.where((rng.random((height, width)) < 0.05) | (shifted == VOID), blocks(known), shifted)
    target = np.where(rng.random((height, width)) < 0.03, VOID, target)
    return pred.astype(np.uint8), target.astype(np.uint8)


@pytest.mark.parametrize("seed", range(40))
def test_both_metrics_equal_the_plain_loops(seed: int) -> None:
    pred, target = pair(seed)
    for reach in (0, 1, 3, 5):
        expected = reference_f1(pred, target, 5, reach)
        np.testing.assert_allclose(boundary.boundary_f1(pred, target, 5, reach), expected, rtol=0, atol=1e-9)
        assert np.array_equal(boundary.trimap_band(target, reach), reference_band(target, reach))
        expected = reference_trimap(pred, target, 5, reach)
        np.testing.assert_allclose(boundary.trimap_iou(pred, target, 5, reach), expected, rtol=0, atol=1e-9)


def test_the_reference_itself_meets_every_case() -> None:
    f1 = np.array([reference_f1(*pair(seed), 5, 3) for seed in range(40)])
    trimap = np.array([reference_trimap(*pair(seed), 5, 3) for seed in range(40)])
    for values in (f1, trimap):
        assert np.isnan(values).any()
        assert (values == 0).any()
        assert ((values > 0.2) & (values < 0.9)).any()


def dot(row: int, column: int, side: int = 15) -> Ids:
    """Return a map of class 0 with one pixel of class 1."""
    ids = np.zeros((side, side), np.uint8)
    ids[row, column] = 1
    return ids


@pytest.mark.parametrize(("shift", "f1"), [(0, 1.0), (3, 1.0), (4, 2 / 3), (5, 1 / 3), (6, 0.0)])
def test_boundary_f1_of_two_dots_by_hand(shift: int, f1: float) -> None:
    # a dot's contour is 3x3; what lies more than 3 px further than the other's is lost, a column at a time
    pred, target = dot(7, 4 + shift), dot(7, 4)
    assert boundary.boundary_f1(pred, target, 2)[1] == pytest.approx(f1, abs=1e-9)


def test_the_images_rim_is_a_contour_for_outside_is_background() -> None:
    target, pred = np.zeros((5, 5), np.uint8), np.ones((5, 5), np.uint8)
    pred[2, 2] = 0
    # the target's contour is the rim, 16 px; the prediction's the 3x3 in the middle, whose centre is 2 px from the rim
    assert boundary.boundary_f1(pred, target, 2, 0)[0] == 0
    assert boundary.boundary_f1(pred, target, 2, 1)[0] == pytest.approx(2 * (8 / 9) / (8 / 9 + 1), abs=1e-9)
    assert boundary.boundary_f1(target, target, 2)[0] == 1


def test_void_cuts_the_masks_and_not_their_contours() -> None:
    target = np.array([[1, 1, 1, VOID, VOID, VOID]], np.uint8)
    pred = np.array([[1, 1, 1, 1, 1, 1]], np.uint8)
    assert boundary.boundary_f1(pred, target, 2, 0)[1] == 1  # what is predicted on void is in neither mask
    shorter = np.array([[1, 1, 0, 0, 0, 0]], np.uint8)
    # contours: columns 0 to 3 of the target (one in the void) and 0 to 2 of the prediction
    assert boundary.boundary_f1(shorter, target, 2, 0)[1] == pytest.approx(2 * (3 / 4) / (1 + 3 / 4), abs=1e-9)


def test_a_class_that_is_not_predicted_is_0_and_one_that_is_not_in_the_target_is_nan() -> None:
    target, pred = np.zeros((6, 6), np.uint8), np.zeros((6, 6), np.uint8)
    target[:3], pred[:3] = 1, 2
    assert boundary.boundary_f1(pred, target, 4).tolist()[:2] == [1, 0]
    assert np.isnan(boundary.boundary_f1(pred, target, 4)[2:]).all()
    trimap = boundary.trimap_iou(pred, target, 4).tolist()
    assert trimap[:3] == [1, 0, 0]  # a class that is only predicted has a union
    assert math.isnan(trimap[3])


def test_trimap_iou_of_a_row_by_hand() -> None:
    target = np.array([[0, 0, 0, 0, 0, 1, 1, 1, 1, 1]], np.uint8)
    pred = np.array([[1, 0, 0, 0, 1, 1, 1, 1, 1, 0]], np.uint8)
    assert boundary.trimap_band(target, 1).nonzero()[1].tolist() == [3, 4, 5, 6]
    assert boundary.trimap_iou(pred, target, 2, 1).tolist() == pytest.approx([1 / 2, 2 / 3], abs=1e-9)


def test_void_makes_no_border_and_is_in_no_band() -> None:
    target = np.array([[0, 0, VOID, 1, 1]], np.uint8)
    assert not boundary.trimap_band(target).any()
    assert np.isnan(boundary.trimap_iou(np.zeros((1, 5), np.uint8), target, 2)).all()
    beside = np.array([[VOID, 0, 1, VOID]], np.uint8)
    assert boundary.trimap_band(beside).tolist() == [[False, True, True, False]]


def test_without_a_valid_pixel_both_metrics_are_nan() -> None:
    pred, target = np.zeros((4, 5), np.uint8), np.full((4, 5), VOID, np.uint8)
    assert np.isnan(boundary.boundary_f1(pred, target, 3)).all()
    assert np.isnan(boundary.trimap_iou(pred, target, 3)).all()


def test_another_ignored_id_takes_the_place_of_255() -> None:
    pred, target = pair(4)
    other = np.where(target == VOID, 9, target).astype(np.uint8)
    for metric in (boundary.boundary_f1, boundary.trimap_iou):
        np.testing.assert_array_equal(metric(pred, other, 5, ignore_index=9), metric(pred, target, 5))


@pytest.mark.parametrize("metric", [boundary.boundary_f1, boundary.trimap_iou])
def test_what_is_no_pair_of_label_maps_is_refused(metric: Any) -> None:
    zero = np.zeros((2, 3), np.uint8)
    with pytest.raises(ValueError, match=r"one shape \(H, W\), got \(2, 3\) and \(3, 2\)"):
        metric(zero, zero.T, 2)
    with pytest.raises(ValueError, match=r"one shape \(H, W\)"):
        metric(zero[None], zero[None], 2)
    with pytest.raises(ValueError, match="expected a distance of 0 px or more, got -1"):
        metric(zero, zero, 2, -1)
    for pred, target in ((zero + 2, zero), (zero, zero + 2), (zero + VOID, zero)):
        with pytest.raises(ValueError, match="expected class ids below 2, got"):
            metric(pred, target, 2)


def test_what_is_kept_of_an_image_holds_every_figure_of_it() -> None:
    pred, target = pair(8)
    kept = count_image(pred, target, 5)
    kinds = {"confusion": "uint32", "boundary_f1": "float32", "trimap_intersection": "uint32", "trimap_union": "uint32"}
    assert {name: str(values.dtype) for name, values in kept.items()} == kinds
    assert np.array_equal(kept["confusion"], metrics.confusion_matrix(pred, target, 5))
    np.testing.assert_allclose(kept["boundary_f1"], boundary.boundary_f1(pred, target, 5), rtol=1e-6)
    again = metrics.divide_counts(kept["trimap_intersection"], kept["trimap_union"])
    np.testing.assert_array_equal(again, boundary.trimap_iou(pred, target, 5))


def test_a_splits_figure_is_the_mean_over_images_of_the_images_class_mean() -> None:
    nan = math.nan
    counts = {
        "confusion": np.array([[[8, 2, 0], [0, 0, 0], [0, 0, 0]], [[1, 0, 0], [4, 5, 0], [0, 0, 0]]], np.uint32),
        "boundary_f1": np.array([[0.25, 0.75, nan], [1.0, nan, nan], [nan, nan, nan]], np.float32),
        "trimap_intersection": np.array([[1, 0, 0], [3, 0, 0], [0, 0, 0]], np.uint32),
        "trimap_union": np.array([[2, 4, 0], [4, 0, 0], [0, 0, 0]], np.uint32),
    }
    result = summarise_images(counts, NAMES)
    assert result["boundary_f1"] == (0.5 + 1.0) / 2  # an image where nothing counts is left out
    assert [result["boundary_f1/a"], result["boundary_f1/b"]] == [0.625, 0.75]
    assert result["trimap_iou"] == (0.25 + 0.75) / 2
    assert [result["trimap_iou/a"], result["trimap_iou/b"]] == [0.625, 0.0]
    assert math.isnan(result["boundary_f1/c"])
    assert math.isnan(result["trimap_iou/c"])
    assert [result["iou/a"], result["iou/b"]] == [9 / 15, 5 / 11]  # of the summed confusion
    assert [result["dice/a"], result["dice/b"]] == [18 / 24, 10 / 16]
    assert list(result)[:3] == ["miou", "pixel_accuracy", "dice"]
    per_class = ("iou", "dice", "boundary_f1", "trimap_iou")
    assert set(result) == {*list(result)[:3], *per_class[2:], *(f"{m}/{name}" for m in per_class for name in NAMES)}
