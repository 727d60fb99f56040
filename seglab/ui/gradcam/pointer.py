"""A photo on which the reader clicks a pixel or draws a box; the browser side is ``pointer.js``."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.images import data_url, encode_jpeg
from seglab.ui.boxes import WHOLE, Box, clean_box

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
