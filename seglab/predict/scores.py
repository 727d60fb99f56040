"""From a photo's size to a working size and from scores back to labels. No torch: pages open without it.

Scores are ``(C, h, w)``, at working size, and sum to 1 over the C classes of the model's own label space.
"""

from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Detail = Literal["standard", "high"]
DETAILS: tuple[Detail, ...] = ("standard", "high")
WORKING_SIDE_PX = 512  # short side of the working size
WORKING_PIXELS = 4 * 2**20  # the most pixels that are scored, however long and thin the photo
STRIP_PIXELS = 1_000_000  # output pixels whose scores are held at once, of 12 classes

Image = NDArray[np.uint8]
Scores = NDArray[np.float32]


def working_size(height: int, width: int, detail: Detail = "standard") -> tuple[int, int]:
    """Return the height and width at which a photo is scored; the aspect ratio is kept, nothing is enlarged.

    The short side comes to 512 px (``high``: 1024), or to less where the photo is so long and thin that more than
    :data:`WORKING_PIXELS` would have to be scored.

    >>> working_size(1024, 2048)
    (512, 1024)
    >>> working_size(360, 480)
    (360, 480)
    """
    side = WORKING_SIDE_PX * (2 if detail == "high" else 1)
    scale = min(1.0, side / min(height, width), (WORKING_PIXELS / (height * width)) ** 0.5)
    return max(1, round(height * scale)), max(1, round(width * scale))


def shrink_to_work(pixels: Image, detail: Detail = "standard") -> Image:
    """Bring a photo to its working size by area average; a photo of that size comes back as it is."""
    h, w = working_size(pixels.shape[0], pixels.shape[1], detail)
    if (h, w) == pixels.shape[:2]:
        return pixels
    return cast(Image, cv2.resize(pixels, (w, h), interpolation=cv2.INTER_AREA))


def to_labels(
    scores: NDArray[np.floating | np.uint8], height: int, width: int, table: Image, num_labels: int
) -> tuple[Image, Image]:
    """Bring scores to the photo's size (bilinear) and pick each pixel's label, strip by strip.

    The label is that of the class with the highest score, mapped by ``table``; its confidence is the summed score of
    all classes that map to the same label.

    Args:
        scores: ``(C, h, w)``.
        height: rows of the photo.
        width: columns of the photo.
        table: ``(256,)`` from class id to label; 255 for what is none, which then is the label.
        num_labels: how many labels the target space has.

    Returns:
        ``(height, width)`` uint8 labels and ``(height, width)`` uint8 confidence; 255 is certain.
    """
    num_classes, h, w = scores.shape
    labels, confidence = np.empty((height, width), np.uint8), np.empty((height, width), np.uint8)
    rows = max(1, STRIP_PIXELS * 12 // (max(12, num_labels) * width))
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        # vertical interpolation by hand, so that strips meet exactly; horizontal by OpenCV (half-pixel centres)
        at = np.clip((np.arange(top, bottom) + 0.5) * (h / height) - 0.5, 0, h - 1)
        low = np.floor(at).astype(int)
        high, fraction = np.minimum(low + 1, h - 1), (at - low).astype(np.float32)[:, None]
        grouped = np.zeros((num_labels + 1, bottom - top, width), np.float32)  # the last is none of them
        best, index = np.full(grouped.shape[1:], -1, np.float32), np.zeros(grouped.shape[1:], np.uint8)
        for c in range(num_classes):
            plane = scores[c].astype(np.float32)
            plane = plane[low] * (1 - fraction) + plane[high] * fraction
            if w != width:
                plane = cv2.resize(plane, (width, bottom - top), interpolation=cv2.INTER_LINEAR)
            better = plane > best
            np.copyto(best, plane, where=better)
            np.copyto(index, table[c], where=better)
            grouped[min(int(table[c]), num_labels)] += plane
        sure = np.take_along_axis(grouped, np.minimum(index[None], num_labels).astype(np.intp), 0)[0]
        labels[top:bottom] = index
        confidence[top:bottom] = np.clip(np.rint(sure * 255), 0, 255)
    return labels, confidence
