"""Metrics at the borders of classes: Boundary F1 and Trimap IoU, each of one image.

Contours: morphology runs on one class's mask at a time, inside its bounding box. On a map of several classes it would
measure class 0 against the rest.
"""

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seglab.measure.metrics import IGNORE_INDEX, confusion_matrix, divide_counts

Mask = NDArray[np.uint8]


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
