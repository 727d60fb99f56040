"""The only door for pixels from outside: open, resize, paint over, encode; what is odd is refused in one sentence.

A photo is a ``(H, W, 3)`` ``uint8`` RGB array, a mask or label map ``(H, W)`` ``uint8`` ids with 255 for void.
"""

import base64
import hashlib
import re
import time
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageFile

from seglab.images.checks import (
    ImageError,
    Source,
    exif_orientation,
    kind_of,
    open_checked,
    read_source,
    sentences,
)

_STRIP_PX = 2**20  # whole-frame work runs in strips of rows, so that a 50 MP frame never exists as floats
_RESERVED = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\.|$)", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class Photo:
    """A decoded photo, upright and in sRGB.

    Attributes:
        name: file name fit for showing: no directories, no control characters, at most 80 characters.
        pixels: ``(H, W, 3)`` uint8 RGB.
        format: ``JPEG``, ``PNG``, ``WEBP``, ``BMP`` or ``TIFF``, by content.
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
    """Decode a JPEG, PNG, WebP, BMP or TIFF, told apart by content, to upright 8-bit sRGB.

    Transparent parts are laid over white; of an animation or a document the first frame counts; 16-bit grey is
    divided by 257, other deep grey (32-bit, float) stretched from its finite minimum to its maximum; an embedded colour
    profile is applied where it is valid and ignored where it is not.

    Args:
        source: the file's bytes, or a path.
        name: what to call the file in messages; the path's last part, or "photo", without it.

    Raises:
        ImageError: for everything else, among it files over 16 MiB and frames over 50 megapixels.
    """
    data, name = read_source(source, name, "photo")
    start = time.perf_counter()
    kind = kind_of(data)
    if kind is None:
        raise ImageError(
            f"{name} is not a JPEG, PNG, WebP, BMP or TIFF image (GIF, HEIC, SVG and PDF are not read); "
            "save it as one of these and try again."
        )
    with sentences(name):
        image = open_checked(data, kind, name)
        pixels = _rgb(image, name)
        image.close()
        if kind != "TIFF":  # Pillow turns TIFF itself
            pixels = _turn(pixels, exif_orientation(image.info.get("exif")))
    decode_ms = (time.perf_counter() - start) * 1000
    return Photo(name, pixels, kind, hashlib.sha256(data).hexdigest(), decode_ms)


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
        if image.mode not in ("L", "P", "1", "I;16", "I"):
            raise ImageError(f"{name} holds colours, not class ids; export the ids as an 8-bit grey or palette PNG.")
        rawmode = str(image.tile[0].args)
        ids = np.asarray(image)
        image.close()
    if ids.max() > 255:
        raise ImageError(f"{name} holds ids up to {ids.max()}, expected 0 to 255; export the ids as an 8-bit PNG.")
    labels = ids.astype(np.uint8) // {"L;2": 85, "L;4": 17}.get(rawmode, 1)  # Pillow stretches 2- and 4-bit grey
    if size is not None and labels.shape != size:
        raise ImageError(
            f"{name} is {labels.shape[1]} x {labels.shape[0]} pixels, the photo {size[1]} x {size[0]}; "
            "export the mask at the photo's size."
        )
    return labels


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
    for rows in _strips(*labels.shape):
        ids = labels[rows]
        out[rows] = (pixels[rows] * rest[ids][..., None] + colour[ids]) >> 8
    return out


def encode_png(array: NDArray[np.uint8]) -> bytes:
    """Return a PNG of ``(H, W)`` grey or ids, or ``(H, W, 3)`` RGB, uint8; quick rather than small."""
    return _encode(array, ".png", [cv2.IMWRITE_PNG_COMPRESSION, 1])


def encode_jpeg(pixels: NDArray[np.uint8], quality: int = 88) -> bytes:
    """Return a JPEG of ``(H, W, 3)`` uint8 RGB."""
    return _encode(pixels, ".jpg", [cv2.IMWRITE_JPEG_QUALITY, quality])


def data_url(data: bytes, kind: str = "image/jpeg") -> str:
    """Return bytes as a data URL of a media type."""
    return f"data:{kind};base64,{base64.b64encode(data).decode('ascii')}"


def safe_stem(name: str) -> str:
    """Return a stem to write files under: letters, digits and ``._-``, at most 80 characters, never empty or reserved.

    Two names can share a stem; telling them apart is the caller's matter.

    >>> safe_stem("../../My street: 1.jpg"), safe_stem("..")
    ('My_street_1', 'photo')
    """
    base = unicodedata.normalize("NFC", re.split(r"[\\/]", name)[-1])
    base = re.sub(r"(?<=.)\.[A-Za-z0-9]{1,5}$", "", base)
    kept = "".join(c if c in "._-" or unicodedata.category(c)[0] in "LMN" else "_" for c in base)
    kept = re.sub(r"_+", "_", kept).strip("._-")
    if _RESERVED.match(kept):
        kept = f"photo_{kept}"
    kept = kept[:80].encode()[:180].decode(errors="ignore")  # file systems count bytes, and suffixes follow
    return kept.rstrip("._-") or "photo"


def _encode(array: NDArray[np.uint8], suffix: str, options: list[int]) -> bytes:
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or array.shape[2:] not in ((), (3,)):
        raise ValueError(f"expected (H, W) or (H, W, 3) uint8, got {array.shape} {array.dtype}")
    ok, data = cv2.imencode(suffix, cv2.cvtColor(array, cv2.COLOR_RGB2BGR) if array.ndim == 3 else array, options)
    if not ok:
        raise ValueError(f"expected an array that fits a {suffix} file, got {array.shape}; make it smaller")
    return bytes(data)


def _strips(height: int, width: int) -> Iterator[slice]:
    rows = max(1, _STRIP_PX // width)
    return (slice(top, min(top + rows, height)) for top in range(0, height, rows))


def _turn(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    """Undo an EXIF orientation: the last four lie on their side, half of all are mirrored."""
    if orientation >= 5:
        pixels = cv2.transpose(pixels)
    flip = {2: 1, 3: -1, 4: 0, 6: 1, 7: -1, 8: 0}.get(orientation)  # OpenCV: 0 upside down, 1 left to right, -1 both
    return pixels if flip is None else cv2.flip(pixels, flip)


def _rgb(image: ImageFile.ImageFile, name: str) -> NDArray[np.uint8]:
    """Decode to ``(H, W, 3)`` uint8 sRGB, one strip of rows at a time, so that one extra frame is held, not four."""
    rawmode = str(image.tile[0].args) if image.tile else ""
    image.load()
    width, height = image.size
    out = np.empty((height, width, 3), np.uint8)
    strips = [(rows, (0, rows.start, width, rows.stop)) for rows in _strips(height, width)]
    if image.mode.startswith(("I", "F")):
        low, high = _range(image, [box for _, box in strips], "I;12" in rawmode, name)
        for rows, box in strips:
            scaled = (np.asarray(image.crop(box)).astype(np.float64) - low) * (255 / (high - low))
            out[rows] = np.rint(np.nan_to_num(scaled, nan=0.0).clip(0, 255)).astype(np.uint8)[..., None]
        return out
    clear = image.has_transparency_data
    mode = image.mode if image.mode in ("CMYK", "L") and not clear else "RGB"
    transform = _to_srgb(image.info.get("icc_profile"), mode)
    for rows, box in strips:
        strip = image.crop(box)
        if clear:
            strip = strip.convert("RGBA")
            strip = Image.alpha_composite(Image.new("RGBA", strip.size, "white"), strip)
        strip = strip.convert(mode)
        out[rows] = np.asarray(transform.apply(strip) if transform else strip.convert("RGB"))
    return out


def _range(image: Image.Image, boxes: list[tuple[int, int, int, int]], bits_12: bool, name: str) -> tuple[float, float]:
    """Return the values that become black and white."""
    if image.mode.startswith("I;16"):
        return 0.0, 4095.0 if bits_12 else 65535.0
    low, high = np.inf, -np.inf
    for values in (np.asarray(image.crop(box)) for box in boxes):
        if (finite := values[np.isfinite(values)]).size:
            low, high = min(low, float(finite.min())), max(high, float(finite.max()))
    if low > high:
        raise ImageError(f"{name} holds no finite value; export it again as an 8-bit image.")
    return low, high if high > low else low + 1


def _to_srgb(icc: bytes | None, mode: str) -> ImageCms.ImageCmsTransform | None:
    if not icc:
        return None
    try:
        profile = ImageCms.ImageCmsProfile(BytesIO(icc))
        if "srgb" in ImageCms.getProfileDescription(profile).lower():
            return None
        return ImageCms.buildTransform(profile, ImageCms.createProfile("sRGB"), mode, "RGB")
    except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):  # a bad profile, or no LittleCMS
        return None
