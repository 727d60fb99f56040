"""Choosing the photo: samples, uploads, camera. Photos live in memory only: the session's, and the bounded queue of answers."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import PurePath
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.images import MAX_BYTES, SUFFIXES, ImageError, open_mask, open_photo, resize
from seglab.predict.samples import LABEL_SPACE, SAMPLES, load_sample
from seglab.predict.scores import DETAILS, Detail, shrink_to_work
from seglab.ui import page, presenting
from seglab.ui.viewer import display_size

TYPES = list(SUFFIXES)
MAX_PHOTOS = 12
MAX_WORK_PIXELS = 2**20
_MIB = MAX_BYTES // 2**20


@dataclass(frozen=True, eq=False)
class ShownPhoto:
    """A photo as the page keeps it: small copies to show and to score; the file itself only for downloads."""

    key: str
    name: str
    sha256: str
    format: str
    height: int
    width: int
    decode_ms: float
    shown: NDArray[np.uint8]  # at display size
    work: dict[Detail, NDArray[np.uint8]]  # at working size
    shrink_ms: dict[Detail, float]  # what making those took
    alt: str
    reread: Callable[[], NDArray[np.uint8]]  # the pixels at the photo's own size, decoded again
    truth: NDArray[np.uint8] | None = None  # exact mask of a sample
    truth_space: str = LABEL_SPACE


@dataclass
class Shelf:
    """A session's photos, by the uploader's file id; they stay when the reader goes to another page."""

    photos: dict[str, ShownPhoto] = field(default_factory=dict)
    shown_in: int = -1  # run of the script in which the uploader last stood there; after a pause it comes back empty,
    shown_on: str = ""  # and on another page
    in_uploader: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)  # tried again as soon as there is room
    arrived: str = ""  # key of a photo that is to be shown; a run may be overtaken before it has shown it


def prepare(source: bytes, name: str, key: str, alt: str = "", truth: NDArray[np.uint8] | None = None) -> ShownPhoto:
    """Decode a photo at the door and keep what the page needs of it.

    Raises:
        ImageError: for what is no usable photo; one sentence.
    """
    photo = open_photo(source, name)
    pixels = photo.pixels
    height, width = pixels.shape[:2]
    work: dict[Detail, NDArray[np.uint8]] = {}
    shrink_ms: dict[Detail, float] = {}
    for detail in DETAILS:
        start = time.perf_counter()
        work[detail] = shrink_to_work(pixels, detail)
        shrink_ms[detail] = (time.perf_counter() - start) * 1000
    return ShownPhoto(
        key=key,
        name=photo.name,
        sha256=photo.sha256,
        format=photo.format,
        height=height,
        width=width,
        decode_ms=photo.decode_ms,
        shown=resize(pixels, *display_size(height, width)),
        work=work,
        shrink_ms=shrink_ms,
        alt=alt or f"Photo {photo.name}, {width} by {height} pixels",
        reread=lambda: open_photo(source, name).pixels,
        truth=truth,
    )


@st.cache_resource(max_entries=len(SAMPLES), show_spinner=False)  # type: ignore[untyped-decorator]
def sample_photo(key: str) -> ShownPhoto:
    """Return a sample as a photo with its exact mask."""
    from seglab.predict.samples import FOLDER

    photo, mask, text = load_sample(key)
    data = (FOLDER / f"{key}.jpg").read_bytes()
    return prepare(data, photo.name, f"sample:{key}", f"Sample scene: {text}", mask)


def picker() -> list[ShownPhoto]:
    """Show the controls that choose photos; return the session's photos, the chosen one first."""
    shelf: Shelf = st.session_state.setdefault("shelf", Shelf())
    with st.container(horizontal=True, vertical_alignment="center"):
        files = st.file_uploader(
            "Street photos",
            type=TYPES,
            accept_multiple_files=True,
            max_upload_size=_MIB,
            key="upload",
            label_visibility="collapsed",
            width=420,
        )
        with st.popover("Camera", icon=":material/photo_camera:", on_change="rerun", key="camera-popover") as popover:
            round_ = st.session_state.setdefault("camera-round", 0)  # another key empties the widget
            shot = st.camera_input("Take a photo", key=f"camera-{round_}") if popover.open else None
        uploads = {file.file_id: file for file in files}
        _take(shelf, uploads, shot)
        _remove_earlier(shelf, [key for key in shelf.photos | shelf.refused if key not in uploads])
        if not presenting.asked():
            st.caption(
                "Photos stay in memory and are never stored. Samples: procedural scenes, the class of every pixel known.",
                width="content",
            )
    titles = {key: photo.name for key, photo in shelf.photos.items()}
    titles |= {f"sample:{s.key}": f"Sample: {s.title}" for s in SAMPLES}
    if shelf.arrived in shelf.photos:
        st.session_state["photo"] = shelf.arrived
    elif st.session_state.get("photo") not in titles:
        st.session_state.pop("photo", None)
    shelf.arrived = ""
    first = next(iter(titles))
    chosen = st.pills(
        "Photo",
        list(titles),
        default=None if "photo" in st.session_state else first,
        format_func=lambda key: titles[key],
        key="photo",
        bind="query-params",
        required=True,
        label_visibility="collapsed",
    )
    for sentence in [*shelf.refused.values(), *shelf.left_out.values()]:
        st.error(sentence, icon=":material/broken_image:")
    key = chosen or first
    current = shelf.photos.get(key) or sample_photo(key.removeprefix("sample:"))
    return [current, *(photo for photo in shelf.photos.values() if photo is not current)]


def _remove_earlier(shelf: Shelf, keys: list[str]) -> None:
    """Let the reader remove what the uploader does not hold: photos of the camera, and those given on another page."""
    words = f"Remove {len(keys)} earlier photo{'s' * (len(keys) > 1)}"
    hint = "Photos from the camera, and those given on another page."
    if keys and st.button(words, icon=":material/delete:", key="remove-earlier", type="tertiary", help=hint):
        for key in keys:
            shelf.photos.pop(key, None)
            shelf.refused.pop(key, None)
        st.session_state["camera-round"] += 1
        st.rerun()


def _take(shelf: Shelf, uploads: dict[str, Any], shot: Any) -> None:
    """Bring the shelf in line with the uploader; a camera's shot stays after its popover has closed."""
    if (shelf.shown_in, shelf.shown_on) != (page.script_run() - 1, page.current()):
        shelf.in_uploader = set()
        shelf.refused.clear()
    shelf.shown_in, shelf.shown_on = page.script_run(), page.current()
    for gone in shelf.in_uploader - uploads.keys():
        shelf.photos.pop(gone, None)
        shelf.refused.pop(gone, None)
    shelf.in_uploader = set(uploads)
    shelf.left_out.clear()
    wanted = uploads | ({f"camera-{shot.file_id}": shot} if shot else {})
    for key, file in wanted.items():
        if key in shelf.photos or key in shelf.refused:
            continue
        if len(shelf.photos) >= MAX_PHOTOS:
            shelf.left_out[key] = f"{file.name} was left out: at most {MAX_PHOTOS} photos at a time; remove one first."
            continue
        try:
            photo = prepare(file.getvalue(), file.name, key)
            shelf.photos[key] = replace(photo, name=_unused(photo.name, {p.name for p in shelf.photos.values()}))
            shelf.arrived = key
        except ImageError as error:
            shelf.refused[key] = str(error)


def _unused(name: str, taken: set[str]) -> str:
    """Number a name that is taken: the browser tells choices apart by what it shows, and phones reuse names.

    >>> _unused("image.jpg", {"image.jpg"})
    'image (2).jpg'
    """
    path = PurePath(name)
    numbered = (f"{path.stem} ({n}){path.suffix}" for n in count(2))
    return name if name not in taken else next(one for one in numbered if one not in taken)


def bounded(photo: ShownPhoto) -> ShownPhoto:
    """Return a photo whose working copy has a million pixels at most: what Grad-CAM and corruptions work on.

    Ordinary photos have less; only very long ones come smaller, for they are not scored in tiles here.
    """
    pixels = photo.work["standard"]
    scale = (MAX_WORK_PIXELS / (pixels.shape[0] * pixels.shape[1])) ** 0.5
    if scale >= 1:
        return photo
    small = resize(pixels, *(max(1, round(side * scale)) for side in pixels.shape[:2]))
    digest = hashlib.sha256(f"{photo.sha256}:bounded".encode()).hexdigest()
    return replace(photo, sha256=digest, work={"standard": small, "high": small})


def read_truth(data: bytes, name: str, photo: ShownPhoto) -> NDArray[np.uint8]:
    """Read an uploaded mask of the photo's size.

    Raises:
        ImageError: where it is no mask or of another size.
    """
    return open_mask(data, name, size=(photo.height, photo.width))
