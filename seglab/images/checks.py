"""What is checked of an outside file before a pixel of it is decoded: size, kind, shape, and signs of a bomb."""

import os
import re
import stat
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import cast

from PIL import AvifImagePlugin, Image, ImageFile, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - plugins register

from seglab.images.formats import MAX_ASPECT, MAX_BYTES, MAX_PIXELS, MIN_SIDE_PX, ImageError, Source
from seglab.images.headers import check_gif, check_jpeg, check_png, check_tiff

# Pillow warns about bombs and odd EXIF before we answer with a sentence. One entry at import: `catch_warnings` is
# process-wide while it is held, so using it per call would switch filters under other threads.
warnings.filterwarnings("ignore", module=r"PIL\.")
_CHECKS: dict[str, Callable[[bytes, str], None]] = {
    "PNG": check_png,
    "JPEG": check_jpeg,
    "TIFF": check_tiff,
    "GIF": check_gif,
}


def read_source(source: Source, name: str | None, default: str) -> tuple[bytes, str]:
    """Return the bytes of a source, at most ``MAX_BYTES`` of them, and its name fit for showing."""
    path = None if isinstance(source, bytes) else os.fsdecode(source)
    shown = _shown(path or default if name is None else name) or default
    data = cast(bytes, source)
    if path is not None:
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # opening a pipe or a device could block for ever
                raise ImageError(f"{shown} is not a file; give the path of an image file.")
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except ImageError:
            raise
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise ImageError(f"{shown} cannot be read; check that the path exists and may be opened.") from error
    if not data:
        raise ImageError(f"{shown} is empty; export the image again.")
    if len(data) > MAX_BYTES:
        raise ImageError(f"{shown} is larger than {MAX_BYTES // 2**20} MiB; save it smaller or as a JPEG.")
    return data, shown


@contextmanager
def sentences(name: str) -> Iterator[None]:
    """Turn whatever a decoder throws into an `ImageError`."""
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"{name} claims far more than {MAX_PIXELS // 10**6} megapixels; save it smaller.") from error
    except MemoryError as error:
        raise ImageError(f"{name} does not fit into this computer's memory; save it smaller.") from error
    except Exception as error:  # a broken file can raise nearly anything from inside Pillow
        raise ImageError(f"{name} is damaged, cut short or of an unusual kind; export it again as a PNG.") from error


def check_size(width: int, height: int, name: str) -> None:
    """Refuse a picture that is too large, too small, or a strip."""
    what = f"{name} is {width} x {height} pixels"
    if width * height > MAX_PIXELS:
        raise ImageError(f"{what}, over {MAX_PIXELS // 10**6} megapixels; save it smaller.")
    if min(width, height) < MIN_SIDE_PX:
        raise ImageError(f"{what}, expected at least {MIN_SIDE_PX} a side; use a larger image.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(f"{what}, a strip over {MAX_ASPECT}:1; crop it to a photo's shape.")


def open_checked(data: bytes, kind: str, name: str) -> ImageFile.ImageFile:
    """Read the header only, and refuse before any pixel is decoded."""
    if kind in _CHECKS:
        _CHECKS[kind](data, name)
    image = Image.open(BytesIO(data), formats=[kind])
    width, height = image.size
    check_size(width, height, name)
    work_px = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (tile.extents for tile in image.tile) if box)
    if work_px > 4 * width * height:  # four colour planes at most; more than that overlap
        raise ImageError(f"{name} stores the same pixels many times over; export it again as JPEG or PNG.")
    return image


def _shown(name: str) -> str:
    base = "".join(c for c in re.split(r"[\\/]", name)[-1] if c.isprintable()).strip()
    return base if len(base) <= 80 else f"{base[:39]}…{base[-40:]}"
