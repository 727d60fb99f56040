"""How well a map of evidence points at a region, and how far two maps agree. Pure functions of arrays, no torch.

Only positive evidence counts here. Maps come at the pixels of their image (:func:`enlarge`).
"""

from typing import Literal, cast

import cv2
import numpy as np
from numpy.typing import NDArray

Map = NDArray[np.floating]
Method = Literal["gradcam", "gradcam++", "hirescam"]
METHODS: dict[Method, str] = {"gradcam": "Grad-CAM", "gradcam++": "Grad-CAM++", "hirescam": "HiResCAM"}
STRIDE = 32  # models see a photo padded to a multiple of this
Region = NDArray[np.bool_]


def enlarge(raw: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
    """Bring a layer's map ``(h, w)`` to the pixels of its image, ``(height, width)``: bilinear.

    The layer saw the image padded to a multiple of 32; what lies over the padding is cut off.
    """
    padded = (width + -width % STRIDE, height + -height % STRIDE)
    large = cv2.resize(raw, padded, interpolation=cv2.INTER_LINEAR)[:height, :width]
    return cast(NDArray[np.float32], large)


def energy_inside(evidence: Map, region: Region) -> float:
    """Return the share of the positive evidence that lies in a region; NaN where there is none at all.

    The energy-based pointing game of Wang et al., Score-CAM, CVPR Workshops 2020.

    >>> energy_inside(np.array([[3.0, 1.0, -5.0]]), np.array([[True, False, True]]))
    0.75
    """
    positive = np.maximum(evidence, 0, dtype=np.float64)
    total = positive.sum()
    return float(positive[region].sum() / total) if total > 0 else float("nan")


def peak_inside(evidence: Map, region: Region) -> float:
    """Return 1 where the highest evidence lies in the region, 0 where not, NaN where there is no positive evidence.

    The pointing game of Zhang et al., IJCV 2018, without its tolerance of 15 px. Of equal maxima the first counts.
    """
    if not evidence.max() > 0:
        return float("nan")
    return float(region.flat[int(evidence.argmax())])


def overlap(a: Map, b: Map) -> float:
    """Return how far the positive evidence of two maps of one image coincides, from 0 to 1; NaN where one has none.

    Each map is divided by its sum; the overlap is the sum of the smaller of both at each pixel.

    Args:
        a: ``(H, W)``.
        b: ``(H, W)``, or another size: it is brought to a's.
    """
    if a.shape != b.shape:
        b = cv2.resize(b.astype(np.float32), a.shape[::-1], interpolation=cv2.INTER_LINEAR)
    positive = [np.maximum(x, 0, dtype=np.float64) for x in (a, b)]
    sums = [x.sum() for x in positive]
    if min(sums) <= 0:
        return float("nan")
    return float(np.minimum(positive[0] / sums[0], positive[1] / sums[1]).sum())


def coactivation(evidence: Map, labels: NDArray[np.uint8], num_classes: int, ignore_index: int = 255) -> Map:
    """Return the share of a map's positive evidence on each class of a label map, ``(C,)``; NaN where there is none.

    Evidence on ignored pixels counts for no class, so the shares add up to what lies on labelled pixels, at most 1.
    """
    positive = np.maximum(evidence, 0, dtype=np.float64)
    total = positive.sum()
    known = (labels != ignore_index) & (labels < num_classes)
    sums = np.bincount(labels[known], weights=positive[known], minlength=num_classes)
    return sums / total if total > 0 else np.full(num_classes, np.nan)


def density(evidence: Map) -> NDArray[np.float32] | None:
    """Return positive evidence as multiples of its mean over the photo; none where there is none at all.

    So maps of models whose scores have different units can share one scale.

    >>> density(np.array([[3.0, -1.0], [1.0, 0.0]]))
    array([[3., 0.],
           [1., 0.]], dtype=float32)
    """
    positive = np.maximum(evidence, 0, dtype=np.float64)
    mean = positive.mean()
    return (positive / mean).astype(np.float32) if mean > 0 else None
