"""What is kept of one image, and every metric of a split made of it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.measure.boundary import boundary_f1, trimap_counts
from seglab.measure.metrics import confusion_matrix, divide_counts, mean_over_classes, summarise


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
