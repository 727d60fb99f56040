"""Where several models' answers to one photo agree."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.uint8]


def distinct_answers(labels: Sequence[Labels]) -> Labels:
    """Return ``(H, W)`` uint8: how many different labels the models give each pixel (1 where all agree).

    >>> distinct_answers([np.array([[0, 1]], np.uint8), np.array([[0, 2]], np.uint8)]).tolist()
    [[1, 2]]
    """
    count = np.ones(labels[0].shape, np.uint8)
    for i, mine in enumerate(labels[1:], 1):
        new = np.ones(mine.shape, bool)
        for other in labels[:i]:
            new &= mine != other
        count += new
    return count


def pairwise_agreement(labels: Sequence[Labels]) -> NDArray[np.float64]:
    """Return ``(M, M)``: the share of pixels to which two models give one label."""
    m = len(labels)
    out = np.ones((m, m))
    for i in range(m):
        for j in range(i):
            out[i, j] = out[j, i] = float(np.mean(labels[i] == labels[j]))
    return out
