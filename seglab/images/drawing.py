"""Pixels to pixels: resize photos and label maps, paint classes over a photo; whole frames go in strips of rows."""

from collections.abc import Iterator
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

_STRIP_PX = 2**20  # whole-frame work runs in strips of rows, so that a 50 MP frame never exists as floats


def resize(pixels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize ``(H, W, 3)`` or ``(H, W)`` uint8 pixels: area average to shrink, bilinear to enlarge.

    Returns the same array where nothing changes.
    """
    if pixels.shape[:2] == (height, width):
        return pixels
    shrinks = height <= pixels.shape[0] and width <= pixels.shape[1]
    out = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return cast(NDArray[np.uint8], out)


def resize_labels(labels: NDArray[np.uint8], height: int, width: int) -> NDArray[np.uint8]:
    """Resize a ``(H, W)`` uint8 label map by nearest neighbour, so that no new id appears."""
    if labels.shape == (height, width):
        return labels
    return cast(NDArray[np.uint8], cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST_EXACT))


def blend(
    pixels: NDArray[np.uint8], labels: NDArray[np.uint8], lut: NDArray[np.uint8], opacity: float
) -> NDArray[np.uint8]:
    """Paint class colours over a photo; void (255) stays photo.

    Args:
        pixels: ``(H, W, 3)`` uint8 RGB.
        labels: ``(H, W)`` uint8 ids.
        lut: ``(256, 3)`` uint8 colour by id.
        opacity: 0 (photo only) to 1 (colours only), taken to the next 1/256.

    Returns:
        ``(H, W, 3)`` uint8: ``(photo * (256 - a) + colour * a + 128) // 256`` with ``a = round(256 * opacity)``.

    Raises:
        ValueError: for sizes that differ or an opacity outside 0..1.
    """
    if pixels.shape != (*labels.shape, 3):
        raise ValueError(
            f"expected labels of the photo's size {pixels.shape[:2]}, got {labels.shape}; resize one of them"
        )
    if not 0 <= opacity <= 1:
        raise ValueError(f"expected an opacity from 0 to 1, got {opacity}")
    weight = np.full(256, round(256 * opacity), np.uint16)
    weight[255] = 0
    colour = lut.astype(np.uint16) * weight[:, None] + np.uint16(128)  # at most 255 * 256 + 128, fits
    rest = np.uint16(256) - weight
    out = np.empty_like(pixels)
    for rows in strips(*labels.shape):
        ids = labels[rows]
        out[rows] = (pixels[rows] * rest[ids][..., None] + colour[ids]) >> 8
    return out


def strips(height: int, width: int) -> Iterator[slice]:
    """Cut a frame into strips of whole rows of about a million pixels."""
    rows = max(1, _STRIP_PX // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))
