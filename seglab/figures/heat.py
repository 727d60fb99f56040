"""Evidence as colour over a photo. Arrays in, pictures out; no I/O, no Streamlit.

Evidence is shown as density (:func:`seglab.explain.pointing.density`).
"""

from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]
Map = NDArray[np.float32]

QUANTILE = 0.995  # where a scale ends: a few sharp peaks must not darken all the rest
SCALE = cv2.COLORMAP_CIVIDIS  # rises in lightness only: readable in grey, and alike for all colour visions
A_MORE, B_MORE = (230, 159, 0), (0, 114, 178)  # Okabe and Ito's orange and blue


def limit(maps: Sequence[Map]) -> float:
    """Return where a scale for these maps ends: what 99.5 % of their pixels stay below, at least 1."""
    return max(1.0, float(np.quantile(np.concatenate([one.ravel() for one in maps]), QUANTILE))) if maps else 1.0


def heat_over(photo: Picture, shown: Map | None, top: float, opacity: float) -> Picture:
    """Return the photo in grey with a density map over it.

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.
        shown: ``(h, w)`` density, brought to the photo's size; none leaves the photo in grey.
        top: density of the brightest colour.
        opacity: of the colours, 0 to 1.
    """
    grey = _grey(photo)
    if shown is None:
        return grey
    level = np.clip(_at(shown, photo) / top, 0, 1)
    return cast(Picture, cv2.addWeighted(_coloured(level), opacity, grey, 1 - opacity, 0))


def heat_alone(shown: Map, top: float, enlarge: int = 6) -> Picture:
    """Return a density map in colour, without a photo; see :func:`heat_over`."""
    size = (shown.shape[1] * enlarge, shown.shape[0] * enlarge)
    level = np.clip(cv2.resize(shown, size, interpolation=cv2.INTER_LINEAR) / top, 0, 1)
    return _coloured(level)


def difference_over(photo: Picture, a: Map, b: Map, top: float, opacity: float) -> Picture:
    """Return the photo in grey, orange where ``a`` has more density and blue where ``b`` has; see :func:`heat_over`."""
    grey = _grey(photo)
    level = np.clip((_at(a, photo) - _at(b, photo)) / top, -1, 1)[..., None]
    colour = np.where(level > 0, np.array(A_MORE, np.float32), np.array(B_MORE, np.float32))
    weight = np.abs(level) * opacity
    return cast(Picture, (grey * (1 - weight) + colour * weight).astype(np.uint8))


def scale_bar(width: int = 240, height: int = 12) -> Picture:
    """Return the colours of :func:`heat_over`, from no evidence to the end of the scale."""
    return _coloured(np.repeat(np.linspace(0, 1, width)[None], height, 0))


def _coloured(level: NDArray[np.floating]) -> Picture:
    """Return levels from 0 to 1 in colour."""
    return cast(Picture, cv2.cvtColor(cv2.applyColorMap((level * 255).astype(np.uint8), SCALE), cv2.COLOR_BGR2RGB))


def _grey(photo: Picture) -> Picture:
    return cast(Picture, cv2.cvtColor(cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))


def _at(shown: Map, photo: Picture) -> Map:
    return cast(Map, cv2.resize(shown, photo.shape[1::-1], interpolation=cv2.INTER_LINEAR))
