"""A box on a photo: from a browser, to a link and back, and as pixels."""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

Box = tuple[int, int, int, int]  # left, top, right, bottom in thousandths of the photo; a pixel has no width and height
WHOLE = 1000


def clean_box(value: object) -> Box | None:
    """Return a box that a browser sent (four numbers, 0 to 1), or none where it is no box.

    >>> clean_box([0.1, 0.2, 0.1, 0.2])
    (100, 200, 100, 200)
    """
    if isinstance(value, Mapping) or not isinstance(value, list | tuple) or len(value) != 4:
        return None
    if not all(isinstance(x, int | float) and math.isfinite(x) and 0 <= x <= 1 for x in value):
        return None
    left, top, right, bottom = (round(float(x) * WHOLE) for x in value)
    return (left, top, right, bottom) if left <= right and top <= bottom else None


def parse_box(text: str) -> Box | None:
    """Read a box out of one query parameter; none where it holds no box.

    >>> parse_box("100-200-300-400")
    (100, 200, 300, 400)
    """
    parts = text.split("-")
    if len(parts) != 4 or not all(part.isdecimal() and len(part) <= 4 for part in parts):
        return None
    return clean_box([int(part) / WHOLE for part in parts])


def format_box(box: Box) -> str:
    """Write a box as :func:`parse_box` reads it."""
    return "-".join(map(str, box))


def region_of(box: Box, height: int, width: int) -> NDArray[np.bool_]:
    """Return the pixels of a box, ``(height, width)``: at least one.

    >>> region_of((0, 0, 0, 0), 2, 2).tolist()
    [[True, False], [False, False]]
    """
    left, right = (min(width - 1, x * width // WHOLE) for x in (box[0], box[2]))
    top, bottom = (min(height - 1, y * height // WHOLE) for y in (box[1], box[3]))
    region = np.zeros((height, width), bool)
    region[top : bottom + 1, left : right + 1] = True
    return region
