"""What is checked of an outside file before a pixel of it is decoded: size, kind, shape, and signs of a bomb."""

import os
import re
import stat
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import cast

from PIL import Image, ImageFile, TiffImagePlugin, WebPImagePlugin  # noqa: F401 - the last two register

MAX_BYTES = 16 * 2**20
MAX_PIXELS = 50_000_000
MIN_SIDE_PX = 16
MAX_ASPECT = 64

_MAX_SCANS = 100  # progressive photos have about ten; every scan costs one pass over all pixels
_MAX_BLOCKS = 2**16  # PNG chunks or JPEG segments; photos have a few thousand at most
_MAX_EXIF_SEGMENTS = 16  # 64 KiB each; Pillow joins them
_MAX_TAG_VALUES = 2**18  # numbers in one TIFF directory; Pillow makes a Python object of each
_TIFF_POINTERS = (34665, 34853, 40965)  # EXIF, GPS, interoperability
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

# Pillow warns about bombs and odd EXIF before we answer with a sentence. One entry at import: `catch_warnings` is
# process-wide while it is held, so using it per call would switch filters under other threads.
warnings.filterwarnings("ignore", module=r"PIL\.")

Source = bytes | str | os.PathLike[str]


class ImageError(ValueError):
    """An outside file that is refused; the message is one sentence that names the file and what to do."""


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


def kind_of(data: bytes) -> str | None:
    """Return ``JPEG``, ``PNG``, ``WEBP``, ``BMP`` or ``TIFF`` by the first bytes, ``None`` for anything else."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    starts = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    return next((kind for start, kind in starts.items() if data.startswith(start)), None)


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


def open_checked(data: bytes, kind: str, name: str) -> ImageFile.ImageFile:
    """Read the header only, and refuse before any pixel is decoded."""
    if kind in _CHECKS:
        _CHECKS[kind](data, name)
    image = Image.open(BytesIO(data), formats=[kind])
    width, height = image.size
    what = f"{name} is {width} x {height} pixels"
    if width * height > MAX_PIXELS:
        raise ImageError(f"{what}, over {MAX_PIXELS // 10**6} megapixels; save it smaller.")
    if min(width, height) < MIN_SIDE_PX:
        raise ImageError(f"{what}, expected at least {MIN_SIDE_PX} a side; use a larger image.")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise ImageError(f"{what}, a strip over {MAX_ASPECT}:1; crop it to a photo's shape.")
    work_px = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (tile.extents for tile in image.tile) if box)
    if work_px > 4 * width * height:  # four colour planes at most; more than that overlap
        raise ImageError(f"{name} stores the same pixels many times over; export it again as JPEG or PNG.")
    return image


def exif_orientation(exif: bytes | None) -> int:
    """Read the orientation, 1 to 8, out of EXIF bytes; 1 where they are broken.

    Pillow's own reader unpacks every value, however many a hostile file claims.
    """
    try:
        data = re.sub(rb"^(Exif\0\0){1,2}", b"", exif or b"")
        found = [value for tag, kind, count, value in _directory(data) if (tag, kind, count) == (274, 3, 1)]
    except (struct.error, OverflowError):
        return 1
    return found[0] if found and 1 <= found[0] <= 8 else 1


def _shown(name: str) -> str:
    base = "".join(c for c in re.split(r"[\\/]", name)[-1] if c.isprintable()).strip()
    return base if len(base) <= 80 else f"{base[:39]}…{base[-40:]}"


def _check_png(data: bytes, name: str) -> None:
    """Check every chunk's checksum, which Pillow does not do for pixels: a flipped bit in a mask is another class."""
    at = 8
    for _ in range(_MAX_BLOCKS):
        length, chunk = struct.unpack_from(">L4s", data, at)
        (crc,) = struct.unpack_from(">L", data, at + 8 + length)
        if zlib.crc32(memoryview(data)[at + 4 : at + 8 + length]) != crc:
            raise ImageError(f"{name} is damaged (a checksum is wrong); export or copy it again.")
        if chunk == b"IEND":
            return
        at += 12 + length
    raise ImageError(f"{name} is cut into far more blocks than a photo; export it again.")


def _check_jpeg(data: bytes, name: str) -> None:
    scans = exifs = blocks = marker = 0
    at = 2
    while blocks <= _MAX_BLOCKS and (found := _MARKER.search(data, at)):
        blocks += 1 if marker == 0xDA else 1 + found.start() - at  # Pillow reads what lies between byte by byte
        at = found.end()
        marker = data[at - 1]
        if marker == 0xD9:  # end of image
            break
        scans += marker == 0xDA
        exifs += marker == 0xE1 and data[at + 2 : at + 6] == b"Exif"
        if marker not in (0x01, 0xD8):  # these two carry no length
            at += int.from_bytes(data[at : at + 2], "big")
    if scans > _MAX_SCANS or exifs > _MAX_EXIF_SEGMENTS or blocks > _MAX_BLOCKS:
        raise ImageError(f"{name} is cut into far more scans or blocks than a photo; save it again.")


def _directory(data: bytes, at: int | None = None) -> list[tuple[int, int, int, int]]:
    """List ``(tag, type, count, value or offset)`` of a TIFF directory, the first one unless ``at`` says where."""
    order = "<" if data[:2] == b"II" else ">"
    if at is None:
        (at,) = struct.unpack_from(f"{order}L", data, 4)
    (length,) = struct.unpack_from(f"{order}H", data, at)
    entries = []
    length = min(length, (len(data) - at - 2) // 12)
    for entry in range(at + 2, at + 2 + 12 * length, 12):
        tag, kind, count, value = struct.unpack_from(f"{order}HHLL", data, entry)
        if kind == 3 and count == 1:  # SHORT
            (value,) = struct.unpack_from(f"{order}H", data, entry + 8)
        entries.append((tag, kind, count, value))
    return entries


def _check_tiff(data: bytes, name: str, at: int | None = None, depth: int = 0) -> None:
    entries = _directory(data, at)
    pointers = [(kind, count, value) for tag, kind, count, value in entries if tag in _TIFF_POINTERS]
    # Bytes, text and opaque values (1, 2, 7) stay bytes, unless they say where strips (273) and tiles (324) begin.
    values = sum(count for tag, kind, count, _ in entries if kind not in (1, 2, 7) or tag in (273, 324))
    odd = any(count != 1 or kind not in (4, 13) for kind, count, _ in pointers)
    if values > _MAX_TAG_VALUES or len(pointers) > 3 or depth > 2 or odd:
        raise ImageError(f"{name} has a directory unlike any photo's; export it again as JPEG or PNG.")
    for _, _, value in pointers:
        if value <= len(data) - 2:
            _check_tiff(data, name, value, depth + 1)


_CHECKS: dict[str, Callable[[bytes, str], None]] = {"PNG": _check_png, "JPEG": _check_jpeg, "TIFF": _check_tiff}
