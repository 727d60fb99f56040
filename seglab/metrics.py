"""Metrics of semantic segmentation. Pure functions over label maps and confusion matrices.

A confusion matrix is ``(C, C)``: rows are the target, columns the prediction. Per-class results are float64 arrays in
which NaN means "this class did not occur, so it does not count".
"""

from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

IGNORE_INDEX = 255
_STRIP_PX = 2**20
Mask = NDArray[np.uint8]


def confusion_matrix(
    pred: NDArray[np.uint8], target: NDArray[np.uint8], num_classes: int, ignore_index: int = IGNORE_INDEX
) -> NDArray[np.int64]:
    """Count pixels by target class (row) and predicted class (column).

    Args:
        pred: ``(H, W)`` class ids below ``num_classes``.
        target: ``(H, W)`` class ids, or ``ignore_index`` where nothing counts.
        num_classes: C.
        ignore_index: target id that is left out; as a prediction on a valid pixel it is refused.

    Returns:
        ``(C, C)`` int64 counts.

    Raises:
        ValueError: where shapes differ or an id is outside its range.

    >>> confusion_matrix(np.array([[0, 1]], np.uint8), np.array([[0, 0]], np.uint8), 2).tolist()
    [[1, 1], [0, 0]]
    """
    if pred.shape != target.shape:
        raise ValueError(f"expected pred and target of one shape, got {pred.shape} and {target.shape}")
    total = np.zeros(num_classes**2, np.int64)
    flat_target, flat_pred = target.reshape(-1), pred.reshape(-1)
    for start in range(0, flat_target.size, _STRIP_PX):  # a 50-megapixel photo must not take eight bytes a pixel
        t, p = flat_target[start : start + _STRIP_PX], flat_pred[start : start + _STRIP_PX]
        valid = t != ignore_index
        t, p = t[valid].astype(np.int64), p[valid].astype(np.int64)
        if t.size and (t.max() >= num_classes or p.max() >= num_classes):
            raise ValueError(f"expected class ids below {num_classes}, got {max(t.max(), p.max())}")
        total += np.bincount(t * num_classes + p, minlength=num_classes**2)
    return total.reshape(num_classes, num_classes)


def divide_counts(inter: NDArray[Any], union: NDArray[Any]) -> NDArray[np.float64]:
    """Return ``inter / union`` of any shape; NaN where the union is 0."""
    result: NDArray[np.float64] = np.divide(inter, union, out=np.full(inter.shape, np.nan), where=union > 0)
    return result


def iou_per_class(confusion: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ``(..., C)`` intersection over union; NaN where a class is neither in target nor in prediction.

    Dataset-level when given the sum over all images, which equals the official Cityscapes evaluation.
    """
    inter = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    union = confusion.sum(-1) + confusion.sum(-2) - inter
    return divide_counts(inter, union)


def dice_per_class(confusion: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ``(..., C)`` Dice (F1) scores; NaN where a class is neither in target nor in prediction."""
    inter = np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64)
    total = (confusion.sum(-1) + confusion.sum(-2)).astype(np.float64)
    return divide_counts(2 * inter, total)


def accuracy_per_class(confusion: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ``(..., C)`` shares of each class's pixels that are predicted right (recall); NaN where it has no pixel."""
    return divide_counts(np.diagonal(confusion, axis1=-2, axis2=-1).astype(np.float64), confusion.sum(-1))


def pixel_accuracy(confusion: NDArray[np.integer]) -> float:
    """Return the share of valid pixels that are right; NaN without any valid pixel."""
    total = confusion.sum()
    return float(np.trace(confusion) / total) if total else float("nan")


def mean_over_classes(per_class: NDArray[np.float64]) -> float:
    """Return the mean over the classes that count; NaN where none does."""
    counted = per_class[~np.isnan(per_class)]
    return float(counted.mean()) if counted.size else float("nan")


def miou_of_each(confusions: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ``(R,)`` mIoU of each of ``(R, C, C)`` confusions, as a bootstrap asks for; NaN where no class counts."""
    iou = iou_per_class(confusions)
    counted = ~np.isnan(iou)
    return divide_counts(np.where(counted, iou, 0).sum(-1), counted.sum(-1))


def miou(confusion: NDArray[np.integer]) -> float:
    """Return the mean IoU over the classes whose union is not empty."""
    return mean_over_classes(iou_per_class(confusion))


def summarise(confusion: NDArray[np.integer], names: tuple[str, ...]) -> dict[str, float]:
    """Return every headline metric of a ``(C, C)`` confusion by its key in files, IoU and Dice also per class."""
    iou, dice = iou_per_class(confusion), dice_per_class(confusion)
    return {
        "miou": mean_over_classes(iou),
        "pixel_accuracy": pixel_accuracy(confusion),
        "dice": mean_over_classes(dice),
        **{f"iou/{name}": float(value) for name, value in zip(names, iou, strict=True)},
        **{f"dice/{name}": float(value) for name, value in zip(names, dice, strict=True)},
    }


def count_image(pred: NDArray[np.uint8], target: NDArray[np.uint8], num_classes: int) -> dict[str, NDArray[Any]]:
    """Return what is kept of one image, so that any figure or interval can be had later.

    Returns:
        ``confusion (C, C)`` uint32, ``boundary_f1 (C,)`` float32, ``trimap_intersection`` and ``trimap_union (C,)`` uint32.
    """
    inter, union = trimap_counts(pred, target, num_classes)
    return {
        "confusion": confusion_matrix(pred, target, num_classes).astype(np.uint32),
        "boundary_f1": boundary_f1(pred, target, num_classes).astype(np.float32),
        "trimap_intersection": inter.astype(np.uint32),
        "trimap_union": union.astype(np.uint32),
    }


def summarise_images(counts: Mapping[str, NDArray[Any]], names: tuple[str, ...]) -> dict[str, float]:
    """Return every metric of a split by its key in files, each also per class, from stacks of :func:`count_image`.

    IoU, Dice and accuracy are dataset-level. Boundary F1 and Trimap IoU are the mean over images of the image's class
    mean; per class, the mean over the images where the class counts.
    """
    result = summarise(counts["confusion"].astype(np.int64).sum(0), names)
    trimap = divide_counts(counts["trimap_intersection"], counts["trimap_union"])
    for key, values in (("boundary_f1", counts["boundary_f1"].astype(np.float64)), ("trimap_iou", trimap)):
        result[key] = mean_over_classes(np.array([mean_over_classes(image) for image in values]))
        result |= {f"{key}/{name}": mean_over_classes(column) for name, column in zip(names, values.T, strict=True)}
    return result


def roll_up(confusion: NDArray[np.integer], table: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """Merge the classes of a ``(C, C)`` confusion by a remap table of :mod:`seglab.labels`; void rows are dropped."""
    out = np.zeros((num_classes, num_classes), np.int64)
    ids = table[: confusion.shape[0]].astype(int)
    for i, a in enumerate(ids):
        for j, b in enumerate(ids):
            if a != IGNORE_INDEX and b != IGNORE_INDEX:
                out[a, b] += int(confusion[i, j])
    return out


# Contours: morphology runs on one class's mask at a time, inside its bounding box. On a map of several classes it would
# measure class 0 against the rest.


def _square(radius: int) -> Mask:
    return np.ones((2 * radius + 1, 2 * radius + 1), np.uint8)


def _contour(mask: Mask) -> Mask:
    """Return 3x3 dilation XOR 3x3 erosion of a 0/1 mask, outside of which is background."""
    border: dict[str, Any] = {"borderType": cv2.BORDER_CONSTANT, "borderValue": 0}  # the default of erode is not 0
    grown, shrunk = cv2.dilate(mask, _square(1), **border), cv2.erode(mask, _square(1), **border)
    return np.asarray(cv2.bitwise_xor(grown, shrunk), np.uint8)


def _dilate(mask: Mask, radius: int) -> Mask:
    return np.asarray(
        cv2.dilate(mask, _square(radius), borderType=cv2.BORDER_CONSTANT, borderValue=0) if radius else mask, np.uint8
    )


def _count_both(a: Mask, b: Mask) -> int:
    return int(cv2.countNonZero(cv2.bitwise_and(a, b)))


def boundary_f1(
    pred: NDArray[np.uint8],
    target: NDArray[np.uint8],
    num_classes: int,
    tolerance_px: int = 3,
    ignore_index: int = IGNORE_INDEX,
) -> NDArray[np.float64]:
    """Return ``(C,)`` Boundary F1 of one image: contours that meet within a tolerance.

    Args:
        pred: ``(H, W)`` class ids below ``num_classes``.
        target: ``(H, W)`` class ids, or ``ignore_index``: there neither mask has anything.
        num_classes: C.
        tolerance_px: contours are dilated by a square of ``2 * tolerance_px + 1``.
        ignore_index: target id that is left out.

    Returns:
        Harmonic mean of precision and recall; 0 where the class is in the target and not predicted, NaN where it is not in
        the target.

    Raises:
        ValueError: where shapes differ, an id is outside its range or the tolerance is negative.

    Source: Csurka et al., What is a good evaluation measure for semantic segmentation?, BMVC 2013, with square tolerance.
    """
    _check(pred, target, num_classes, tolerance_px, ignore_index)
    valid = target != ignore_index
    pred = np.where(valid, pred, ignore_index).astype(np.uint8)  # (pred == c) & valid, for every c at once
    scores = np.full(num_classes, np.nan)
    for c in np.flatnonzero(np.bincount(target[valid], minlength=num_classes)):
        truth, guess = (target == c).view(np.uint8), (pred == c).view(np.uint8)
        left, top, width, height = cv2.boundingRect(cv2.bitwise_or(truth, guess))
        # contours reach 1 px outside their mask; what they meet lies tolerance_px further
        rows = slice(max(0, top - tolerance_px - 2), top + height + tolerance_px + 2)
        columns = slice(max(0, left - tolerance_px - 2), left + width + tolerance_px + 2)
        truth, guess = _contour(truth[rows, columns]), _contour(guess[rows, columns])
        of_truth, of_guess = cv2.countNonZero(truth), cv2.countNonZero(guess)
        if of_guess == 0:
            scores[c] = 0.0
            continue
        precision = _count_both(guess, _dilate(truth, tolerance_px)) / of_guess
        recall = _count_both(truth, _dilate(guess, tolerance_px)) / of_truth
        scores[c] = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return scores


def _check(pred: Mask, target: Mask, num_classes: int, reach_px: int, ignore_index: int) -> None:
    if pred.shape != target.shape or pred.ndim != 2:
        raise ValueError(f"expected pred and target of one shape (H, W), got {pred.shape} and {target.shape}")
    if reach_px < 0:
        raise ValueError(f"expected a distance of 0 px or more, got {reach_px}")
    valid = target != ignore_index
    highest = max((int(a[valid].max()) for a in (pred, target) if valid.any()), default=0)
    if highest >= num_classes:
        raise ValueError(f"expected class ids below {num_classes}, got {highest}")


def trimap_band(target: NDArray[np.uint8], width_px: int = 3, ignore_index: int = IGNORE_INDEX) -> NDArray[np.bool_]:
    """Return ``(H, W)``: valid pixels within ``width_px`` (square) of a border between two valid classes."""
    valid = target != ignore_index
    edge = np.zeros(target.shape, np.uint8)
    down = (target[1:] != target[:-1]) & valid[1:] & valid[:-1]
    right = (target[:, 1:] != target[:, :-1]) & valid[:, 1:] & valid[:, :-1]
    edge[1:] |= down
    edge[:-1] |= down
    edge[:, 1:] |= right
    edge[:, :-1] |= right
    band: NDArray[np.bool_] = (_dilate(edge, width_px) > 0) & valid
    return band


def trimap_counts(
    pred: NDArray[np.uint8],
    target: NDArray[np.uint8],
    num_classes: int,
    width_px: int = 3,
    ignore_index: int = IGNORE_INDEX,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return ``(C,)`` pixels of intersection and of union inside the band of :func:`trimap_band`."""
    _check(pred, target, num_classes, width_px, ignore_index)
    band = trimap_band(target, width_px, ignore_index)
    confusion = confusion_matrix(pred[band], target[band], num_classes, ignore_index)
    inter = np.diagonal(confusion).copy()
    return inter, confusion.sum(0) + confusion.sum(1) - inter


def trimap_iou(
    pred: NDArray[np.uint8],
    target: NDArray[np.uint8],
    num_classes: int,
    width_px: int = 3,
    ignore_index: int = IGNORE_INDEX,
) -> NDArray[np.float64]:
    """Return ``(C,)`` IoU of one image inside a band around the target's borders; NaN where the union is empty there.

    Args:
        pred: ``(H, W)`` class ids below ``num_classes``.
        target: ``(H, W)`` class ids, or ``ignore_index``.
        num_classes: C.
        width_px: the border's pixels are dilated by a square of ``2 * width_px + 1``.
        ignore_index: target id that is left out, and that makes no border.

    Raises:
        ValueError: where shapes differ, an id is outside its range or the width is negative.

    Source: Kohli et al., Robust higher order potentials, IJCV 2009 (the trimap), with a square band.
    """
    inter, union = trimap_counts(pred, target, num_classes, width_px, ignore_index)
    return divide_counts(inter, union)
