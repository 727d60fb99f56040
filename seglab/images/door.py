"""Open what comes from outside: a photo as upright sRGB, a mask as its stored ids; what is odd is refused in one sentence."""

import hashlib
import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from seglab.images.checks import check_size, open_checked, read_source, sentences
from seglab.images.decode import ID_MODES, to_ids, to_rgb, turn
from seglab.images.formats import FORMATS, ImageError, Source, kind_of
from seglab.images.headers import exif_orientation
from seglab.images.heif.container import open_container
from seglab.images.heif.decoder import decode_heic


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright and in sRGB.

    Attributes:
        name: file name fit for showing: no directories, no control characters, at most 80 characters.
        pixels: ``(H, W, 3)`` uint8 RGB.
        format: ``JPEG``, ``PNG``, ``WEBP``, ``GIF``, ``BMP``, ``TIFF``, ``HEIC`` or ``AVIF``, by content.
        sha256: hex digest of the file's bytes.
        decode_ms: time from bytes to pixels.
    """

    name: str
    pixels: NDArray[np.uint8]
    format: str
    sha256: str
    decode_ms: float

    @property
    def height(self) -> int:
        """Height in pixels, after the camera's rotation."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Width in pixels, after the camera's rotation."""
        return int(self.pixels.shape[1])


def open_photo(source: Source, name: str | None = None) -> Photo:
    """Decode a JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF, told apart by content, to upright 8-bit sRGB.

    Transparent parts are laid over white; of an animation or a document the first frame counts, of a HEIC or AVIF the
    primary picture, turned as the container's own boxes say; 10 and 12 bits are scaled to 8, 16-bit grey is divided
    by 257, other deep grey (32-bit, float) stretched from its finite minimum to its maximum; an embedded colour
    profile is applied where it is valid and ignored where it is not.

    Args:
        source: the file's bytes, or a path.
        name: what to call the file in messages; the path's last part, or "photo", without it.

    Raises:
        ImageError: for everything else, among it files over 16 MiB and frames over 50 megapixels.
    """
    data, name = read_source(source, name, "photo")
    start = time.perf_counter()
    with sentences(name):
        kind, pixels = _decode(data, name)
    decode_ms = (time.perf_counter() - start) * 1000
    return Photo(name, pixels, kind, hashlib.sha256(data).hexdigest(), decode_ms)


def _decode(data: bytes, name: str) -> tuple[str, NDArray[np.uint8]]:
    kind = kind_of(data)
    if kind is None:
        raise ImageError(
            f"{name} is not a {FORMATS} image (SVG, PDF and raw camera files are not read); "
            "save it as one of these and try again."
        )
    if kind == "HEIF":
        still = open_container(data, name)
        kind, data = still.coding, still.data
        if kind == "HEIC":
            check_size(*still.size, name)
            return kind, to_rgb(decode_heic(data, name), name)
    image = open_checked(data, kind, name)
    pixels = to_rgb(image, name)
    image.close()
    if kind != "TIFF":  # Pillow turns TIFF itself
        pixels = turn(pixels, exif_orientation(image.info.get("exif")))
    return kind, pixels


def open_mask(source: Source, name: str | None = None, size: tuple[int, int] | None = None) -> NDArray[np.uint8]:
    """Read the class ids of a PNG mask as stored: grey values or palette indices, not turned, not scaled.

    Args:
        source: the file's bytes, or a path.
        name: what to call the file in messages.
        size: the ``(H, W)`` that the mask must have.

    Returns:
        ``(H, W)`` uint8 ids.

    Raises:
        ImageError: for another format, colour, 16-bit values over 255, or another size.
    """
    data, name = read_source(source, name, "mask")
    if kind_of(data) != "PNG":
        raise ImageError(
            f"{name} is not a PNG, and lossy formats ruin class ids; export the mask as an 8-bit PNG of ids."
        )
    with sentences(name):
        image = open_checked(data, "PNG", name)
        if image.mode not in ID_MODES:
            raise ImageError(f"{name} holds colours, not class ids; export the ids as an 8-bit grey or palette PNG.")
        ids = to_ids(image)
        image.close()
    if ids.max() > 255:
        raise ImageError(f"{name} holds ids up to {ids.max()}, expected 0 to 255; export the ids as an 8-bit PNG.")
    labels = ids.astype(np.uint8)
    if size is not None and labels.shape != size:
        raise ImageError(
            f"{name} is {labels.shape[1]} x {labels.shape[0]} pixels, the photo {size[1]} x {size[0]}; "
            "export the mask at the photo's size."
        )
    return labels
