"""Metrics of semantic segmentation. Pure functions over label maps and confusion matrices.

A confusion matrix is ``(C, C)``: rows are the target, columns the prediction. Per-class results are float64 arrays in
which NaN means "this class did not occur, so it does not count".
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_STRIP_PX = 2**20

IGNORE_INDEX = 255


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
