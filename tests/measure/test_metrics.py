"""Metrics equal a plain-loop reference that shares no code with them."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from seglab.labels import remap, remap_table
from seglab.measure import metrics

NAMES = ("a", "b", "c", "d")
VOID = 255


def maps(seed: int, num_classes: int = 4, absent: int | None = None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    classes = [c for c in range(num_classes) if c != absent]
    pred, target = rng.choice(classes, (13, 17)), rng.choice([*classes, VOID], (13, 17))
    return pred.astype(np.uint8), target.astype(np.uint8)


def reference(pred: NDArray[np.uint8], target: NDArray[np.uint8], num_classes: int) -> dict[str, list[float]]:
    """Count pixel by pixel, in plain Python."""
    iou, dice, right, valid = [], [], 0, 0
    for p, t in zip(pred.ravel().tolist(), target.ravel().tolist(), strict=True):
        valid += t != VOID
        right += t != VOID and p == t
    for c in range(num_classes):
        inter = union = size = 0
        for p, t in zip(pred.ravel().tolist(), target.ravel().tolist(), strict=True):
            if t == VOID:
                continue
            inter += p == c and t == c
            union += p == c or t == c
            size += (p == c) + (t == c)
        iou.append(inter / union if union else math.nan)
        dice.append(2 * inter / size if size else math.nan)
    return {"iou": iou, "dice": dice, "accuracy": [right / valid]}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("absent", [None, 2])
def test_every_metric_equals_the_plain_loop(seed: int, absent: int | None) -> None:
    pred, target = maps(seed, absent=absent)
    expected = reference(pred, target, 4)
    confusion = metrics.confusion_matrix(pred, target, 4)
    np.testing.assert_allclose(metrics.iou_per_class(confusion), expected["iou"], rtol=1e-12)
    np.testing.assert_allclose(metrics.dice_per_class(confusion), expected["dice"], rtol=1e-12)
    assert metrics.pixel_accuracy(confusion) == pytest.approx(expected["accuracy"][0], rel=1e-12)
    counted = [v for v in expected["iou"] if not math.isnan(v)]
    assert metrics.miou(confusion) == pytest.approx(sum(counted) / len(counted), rel=1e-12)


def test_rows_are_the_target_and_columns_the_prediction() -> None:
    confusion = metrics.confusion_matrix(np.array([[1, 1, 2]], np.uint8), np.array([[0, 1, VOID]], np.uint8), 3)
    assert confusion.tolist() == [[0, 1, 0], [0, 1, 0], [0, 0, 0]]


def test_a_class_that_does_not_occur_is_nan_and_left_out_of_the_mean() -> None:
    confusion = np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]])
    assert metrics.iou_per_class(confusion).tolist()[:2] == [0.75, 0.8]
    assert math.isnan(metrics.iou_per_class(confusion)[2])
    assert metrics.miou(confusion) == pytest.approx(0.775)


def test_a_class_that_is_only_predicted_counts_as_zero() -> None:
    confusion = np.array([[3, 1], [0, 0]])
    assert metrics.iou_per_class(confusion).tolist() == [0.75, 0.0]
    assert metrics.miou(confusion) == 0.375


def test_without_a_valid_pixel_every_metric_is_nan() -> None:
    target = np.full((3, 3), VOID, np.uint8)
    summary = metrics.summarise(metrics.confusion_matrix(np.zeros((3, 3), np.uint8), target, 4), NAMES)
    assert all(math.isnan(value) for value in summary.values())


def test_the_summary_names_the_headline_metrics_and_iou_and_dice_of_each_class() -> None:
    confusion = metrics.confusion_matrix(*maps(0), 4)
    summary = metrics.summarise(confusion, NAMES)
    per_class = [f"{metric}/{name}" for metric in ("iou", "dice") for name in NAMES]
    assert list(summary) == ["miou", "pixel_accuracy", "dice", *per_class]
    assert [summary[f"dice/{name}"] for name in NAMES] == metrics.dice_per_class(confusion).tolist()


def test_the_miou_of_each_confusion_is_that_of_the_confusion_alone() -> None:
    stack = np.stack(
        [*(metrics.confusion_matrix(*maps(seed, absent=seed % 4), 4) for seed in range(5)), np.zeros((4, 4))]
    )
    expected = [metrics.miou(one) for one in stack]
    assert math.isnan(expected[-1])
    np.testing.assert_allclose(metrics.miou_of_each(stack), expected, rtol=1e-12)


def test_iou_is_that_of_the_summed_confusion_and_not_a_mean_over_images() -> None:
    first, second = np.array([[9, 0], [1, 0]]), np.array([[0, 0], [5, 5]])
    assert metrics.iou_per_class(np.stack([first, second]).sum(0)).tolist() == [9 / 15, 5 / 11]


def test_per_image_results_come_for_a_stack_of_confusions() -> None:
    stack = np.stack([metrics.confusion_matrix(*maps(seed), 4) for seed in range(3)]).astype(np.uint32)
    for function in (metrics.iou_per_class, metrics.dice_per_class):
        assert np.array_equal(function(stack), np.stack([function(one) for one in stack]))


def test_ids_outside_the_classes_are_refused() -> None:
    zero = np.zeros((2, 2), np.uint8)
    for pred, target in ((zero + 4, zero), (zero, zero + 4), (zero + VOID, zero)):
        with pytest.raises(ValueError, match="class ids below 4"):
            metrics.confusion_matrix(pred, target, 4)


def test_what_is_predicted_on_void_does_not_matter() -> None:
    target = np.array([[0, VOID]], np.uint8)
    assert metrics.confusion_matrix(np.array([[0, 77]], np.uint8), target, 2).tolist() == [[1, 0], [0, 0]]


def test_maps_of_two_shapes_are_refused_with_both_shapes() -> None:
    with pytest.raises(ValueError, match=r"\(2, 3\) and \(3, 2\)"):
        metrics.confusion_matrix(np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8), 2)


def test_rolling_up_a_confusion_equals_rolling_up_the_labels() -> None:
    pred, target = maps(7, num_classes=11)
    table = remap_table("camvid-11", "cityscapes-8")
    rolled = metrics.roll_up(metrics.confusion_matrix(pred, target, 11), table, 7)
    small = [remap(labels, "camvid-11", "cityscapes-8") for labels in (pred, target)]
    assert np.array_equal(rolled, metrics.confusion_matrix(small[0], small[1], 7))
