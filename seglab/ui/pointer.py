"""A photo on which the reader clicks a pixel or draws a box; the browser side is ``pointer.js``."""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.images import data_url, encode_jpeg

Box = tuple[int, int, int, int]  # left, top, right, bottom in thousandths of the photo; a pixel has no width and height
WHOLE = 1000
_CSS = """
.pointer { position: relative; cursor: crosshair; touch-action: none; line-height: 0; border-radius: 0.5rem; overflow: hidden }
.pointer:focus-visible { outline: 3px solid var(--st-primary-color); outline-offset: 2px }
.pointer img { width: 100%; user-select: none; pointer-events: none }
.mark { position: absolute; border: 2px solid #fff; box-shadow: 0 0 0 2px #000; box-sizing: border-box; pointer-events: none }
.mark.point { transform: translate(-50%, -50%); min-width: 18px; min-height: 18px; border-radius: 50% }
"""
_COMPONENT = st.components.v2.component(
    "seglab_pointer",
    html='<div class="pointer" data-testid="pointer" tabindex="0" role="application"><img><div class="mark" hidden></div></div>',
    css=_CSS,
    js=(Path(__file__).parent / "pointer.js").read_text("utf-8"),
)


def pointer(photo: NDArray[np.uint8], box: Box | None, alt: str, key: str = "pointer") -> Box | None:
    """Show a photo and return where the reader points, or ``box`` as long as they have not.

    Args:
        photo: ``(H, W, 3)`` uint8 RGB.
        box: where a link pointed.
        alt: what the photo shows.
        key: Streamlit key of the component.
    """
    label = "Photo: click a pixel or draw a box. With the keyboard: arrow keys move the mark, Enter asks."
    source = data_url(encode_jpeg(photo))
    state = st.session_state.get(key)
    now = clean_box(state.get("box")) if isinstance(state, Mapping) else None
    box = now or box  # what the reader has just marked, before the link
    shown = [value / WHOLE for value in box] if box else None
    result = _COMPONENT(
        key=key, data={"src": source, "alt": alt, "label": label, "box": shown}, on_box_change=lambda: None
    )
    return clean_box(result.box) or box


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
