"""The segmentation viewer: one photo as several models see it, in panels that share opacity, mode, zoom and legend.

The browser does the work (``js/``): Python packs the pixels once, and moving a slider never reruns the script.
"""

import base64
import hashlib
import io
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from PIL import Image

from seglab.images import data_url
from seglab.labels import LabelSpace, Palette
from seglab.ui.viewer.parts import join_scripts, join_styles
from seglab.ui.viewer.view import KEY, PHOTO, clean_view

MAX_SIDE_PX = 1280
MAX_PANELS = 6
STYLES = ("base", "toolbar", "legend", "panels", "swipe")
_HERE = Path(__file__).parent
_COMPONENT = st.components.v2.component(
    "seglab_viewer",
    html='<div class="viewer" data-testid="viewer"\n role="group" aria-label="Segmentation viewer"></div>',
    css=join_styles(_HERE / "css", STYLES),
    js=join_scripts(_HERE / "js", last="viewer"),
)


@dataclass(frozen=True)
class Panel:
    """One model's answer to the photo, or the reason why there is none."""

    key: str
    """Letters, digits and ``_ . @ : + -``, at most 64, not ``photo``: it stands in links and in test ids."""
    title: str
    labels: NDArray[np.uint8] | None
    """``(h, w)`` class ids, 255 void, of the photo's size or of its display size."""
    confidence: NDArray[np.uint8] | None = None
    """``(h, w)``, 0..255 for 0..1, of the size of ``labels``."""
    caption: str = ""
    status: Literal["ready", "waiting", "failed"] = "ready"
    message: str = ""
    """Shown in place of the picture while waiting or after a failure."""
    alt: str = ""


def viewer(
    photo: NDArray[np.uint8],
    panels: Sequence[Panel],
    space: LabelSpace,
    *,
    palette: Palette = "native",
    view: Mapping[str, Any] | None = None,
    key: str = "viewer",
    photo_alt: str = "",
) -> dict[str, Any] | None:
    """Show one photo as segmented by up to six models and return the reader's settled view.

    Args:
        photo: ``(H, W, 3)`` uint8 RGB; shown at 1280 px on its longest side at most.
        panels: what to show, in this order.
        space: the label space of every panel.
        palette: which colours of ``space`` to paint with.
        view: what the viewer opens with, in the form that this function returns. It may come from a link: whatever is
            unknown or impossible in it is dropped. Later changes count until the reader touches the viewer.
        key: Streamlit key of the component.
        photo_alt: what the photo shows, for readers who cannot see it.

    Returns:
        ``{"mode", "opacity" (0..100), "hidden" (class ids), "swipe" (two keys or none), "layout"}`` half a second after
        the reader's last change; None until the first one.

    Raises:
        ValueError: for a photo, a panel or a key that cannot be shown.
    """
    data = payload(photo, panels, space, palette=palette, photo_alt=photo_alt)
    keys = {PHOTO, *(panel.key for panel in panels)}
    data |= _opening(key, clean_view(view, space.num_classes, keys))
    result = _COMPONENT(key=key, data=data, on_view_change=lambda: None)
    answer = result.view
    return clean_view(answer, space.num_classes, keys) if isinstance(answer, Mapping) else None


def payload(
    photo: NDArray[np.uint8],
    panels: Sequence[Panel],
    space: LabelSpace,
    *,
    palette: Palette = "native",
    photo_alt: str = "",
) -> dict[str, Any]:
    """Return what the browser receives: JSON types only, every picture next to a hash of its content."""
    if photo.dtype != np.uint8 or photo.ndim != 3 or photo.shape[2] != 3 or 0 in photo.shape:
        raise ValueError(f"expected a photo of shape (H, W, 3) and type uint8, got {photo.shape} {photo.dtype}")
    if len(panels) > MAX_PANELS:
        raise ValueError(f"expected at most {MAX_PANELS} panels, got {len(panels)}; show the others in a second viewer")
    keys = [panel.key for panel in panels]
    if len(set(keys)) < len(keys) or PHOTO in keys or not all(KEY.fullmatch(key) for key in keys):
        raise ValueError(f"expected different panel keys that match {KEY.pattern} and are not {PHOTO!r}, got {keys}")
    full = (photo.shape[0], photo.shape[1])
    size = display_size(*full)
    digest = _digest(photo)
    return {
        "width": size[1],
        "height": size[0],
        "full": [full[1], full[0]],
        "photo": {"hash": digest, "src": _jpeg(digest, size, photo), "alt": photo_alt or "The photo"},
        "classes": [
            {"name": name, "colour": list(colour)}
            for name, colour in zip(space.names, space.palette(palette), strict=True)
        ],
        "panels": [_panel(panel, full, size) for panel in panels],
    }


def display_size(height: int, width: int) -> tuple[int, int]:
    """Return the ``(height, width)`` at which a photo is shown.

    >>> display_size(1024, 2048)
    (640, 1280)
    >>> display_size(360, 480)
    (360, 480)
    """
    scale = min(1.0, MAX_SIDE_PX / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


def _opening(key: str, view: dict[str, Any]) -> dict[str, Any]:
    """Return the view to open with, held still once the reader has one: a change would send every image again.

    Streamlit forgets a component's state some time after it leaves the page; ``turn`` counts those times, and tells the
    browser to open anew.
    """
    state = st.session_state.get(key)
    touched = isinstance(state, Mapping) and state.get("view") is not None
    opening: dict[str, Any] = st.session_state.get(f"{key}:opening", {"view": view, "turn": 0, "touched": False})
    if not touched:
        opening = {"view": view, "turn": opening["turn"] + opening["touched"], "touched": False}
    st.session_state[f"{key}:opening"] = {**opening, "touched": touched}
    return {"name": key, "view": opening["view"], "turn": opening["turn"]}


def _panel(panel: Panel, full: tuple[int, int], size: tuple[int, int]) -> dict[str, Any]:
    ready = panel.status == "ready"
    if ready and panel.labels is None:
        raise ValueError(
            f"expected labels for the ready panel {panel.key!r}, got None; set status to waiting or failed"
        )
    labels = _shown(panel, "labels", full, size) if ready else None
    confidence = _shown(panel, "confidence", full, size) if ready else None
    return {
        "key": panel.key,
        "title": panel.title,
        "caption": panel.caption,
        "status": panel.status,
        "message": panel.message,
        "alt": panel.alt or f"The photo as segmented by {panel.title}",
        "labels": _packed(labels),
        "confidence": _packed(confidence),
    }


def _shown(
    panel: Panel, field: Literal["labels", "confidence"], full: tuple[int, int], size: tuple[int, int]
) -> NDArray[np.uint8] | None:
    """Bring a map to the display size, by the nearest pixel centre: class ids cannot be averaged."""
    pixels: NDArray[np.uint8] | None = getattr(panel, field)
    if pixels is None or (pixels.shape == size and pixels.dtype == np.uint8):
        return pixels
    if pixels.shape != full or pixels.dtype != np.uint8:
        raise ValueError(
            f"expected {field} of panel {panel.key!r} as uint8 of shape {full} or {size}, got {pixels.shape} "
            f"{pixels.dtype}; resize to the photo with nearest neighbour"
        )
    rows, columns = ((np.arange(new) * 2 + 1) * old // (2 * new) for old, new in zip(full, size, strict=True))
    return pixels[np.ix_(rows, columns)]


def _packed(pixels: NDArray[np.uint8] | None) -> dict[str, str] | None:
    if pixels is None:
        return None
    digest = _digest(pixels)
    return {"hash": digest, "zlib": _deflate(digest, pixels)}


def _digest(pixels: NDArray[np.uint8]) -> str:
    digest = hashlib.blake2b(str(pixels.shape).encode(), digest_size=12)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


# Streamlit hashes a sample of a large array; the digest stands for all of it, and the underscore keeps the array out.
@st.cache_data(max_entries=64, show_spinner=False)  # type: ignore[untyped-decorator]
def _deflate(digest: str, _pixels: NDArray[np.uint8]) -> str:
    return base64.b64encode(zlib.compress(np.ascontiguousarray(_pixels).data, 6)).decode("ascii")


@st.cache_data(max_entries=16, show_spinner=False)  # type: ignore[untyped-decorator]
def _jpeg(digest: str, size: tuple[int, int], _photo: NDArray[np.uint8]) -> str:
    image = Image.fromarray(_photo)
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.LANCZOS, reducing_gap=3.0)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=90)
    return data_url(buffer.getvalue())
