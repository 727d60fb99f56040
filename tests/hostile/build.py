"""The test picture, and files made by hand: what an encoder would never write."""

import io
import struct
import zlib
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HEIGHT, WIDTH = 48, 64
SIGNATURE = b"\x89PNG\r\n\x1a\n"
# How a camera stores an upright picture under each EXIF orientation.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: np.rot90(a, -1),
}


IDS = np.random.default_rng(0).integers(0, 4, (48, 64)).astype(np.uint8)
IDS[0, 0] = 3


@dataclass(frozen=True)
class Case:
    """One file.

    Attributes:
        name: the file name to offer it under; unique in the corpus.
        data: its bytes.
        expect: what `open_photo` must do.
        says: part of the refusal, where the reason matters.
        size: the ``(H, W)`` after acceptance, where it is known.
    """

    name: str
    data: bytes
    expect: Literal["accept", "refuse"]
    says: str | None = None
    size: tuple[int, int] | None = None


def scene() -> NDArray[np.uint8]:
    """Return the ``(48, 64, 3)`` test picture: red, green / blue, yellow quarters, so that any turn shows."""
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[:24, :32], image[:24, 32:], image[24:, :32], image[24:, 32:] = (
        (220, 20, 20),
        (20, 200, 20),
        (20, 20, 220),
        (220, 220, 20),
    )
    return image


def near(pixels: np.ndarray, expected: np.ndarray, tolerance: int) -> bool:
    """Compare inside the scene's quarters, away from the blurred borders of lossy formats."""
    inner = np.ix_([4, 12, 18, 30, 36, 44], [4, 16, 26, 38, 48, 60])
    return bool((np.abs(pixels[inner].astype(int) - expected[inner].astype(int)) <= tolerance).all())


def encoded(kind: str, pixels: NDArray[np.uint8] | Image.Image | None = None, **options: object) -> bytes:
    """Return ``pixels`` (the scene without them) as a file of a Pillow format."""
    image = pixels if isinstance(pixels, Image.Image) else Image.fromarray(scene() if pixels is None else pixels)
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif(orientation: int) -> bytes:
    """Return EXIF bytes that hold an orientation only."""
    tags = Image.Exif()
    tags[274] = orientation
    return tags.tobytes()


def chunk(kind: bytes, body: bytes) -> bytes:
    """Return one PNG chunk with its checksum."""
    return struct.pack(">L", len(body)) + kind + body + struct.pack(">L", zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int = 8, colour: int = 2, body: bytes | None = None, extra: bytes = b""
) -> bytes:
    """Return a PNG written by hand: black unless ``body`` holds filtered rows; ``extra`` chunks before the pixels."""
    if body is None:
        bits = depth * {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
        row, packer = bytes(1 + (width * bits + 7) // 8), zlib.compressobj(9)
        pixels = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    else:
        pixels = zlib.compress(body)
    header = chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0))
    return SIGNATURE + header + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff(tags: dict[int, tuple[int, int, int]], body: bytes = b"", order: str = "<", following: int = 0) -> bytes:
    """Return a TIFF written by hand: ``{tag: (type, count, value or offset)}`` at byte 8, then ``body``."""
    out = struct.pack(f"{order}2sHLH", b"II" if order == "<" else b"MM", 42, 8, len(tags))
    for tag, (kind, count, value) in sorted(tags.items()):
        packed = struct.pack(f"{order}HH", value, 0) if kind == 3 and count == 1 else struct.pack(f"{order}L", value)
        out += struct.pack(f"{order}HHL", tag, kind, count) + packed
    return out + struct.pack(f"{order}L", following) + body


def tiff_frame(
    dtype: str, order: str, values: NDArray[np.generic], form: int = 1, **more: tuple[int, int, int]
) -> bytes:
    """Return a one-strip grey TIFF of ``values``; ``more`` names further tags as ``t282=(type, count, value)``."""
    height, width = values.shape
    raw = values.astype(np.dtype(dtype).newbyteorder(order)).tobytes()
    tags = grey_tags(width, height, np.dtype(dtype).itemsize * 8, form) | {int(k[1:]): v for k, v in more.items()}
    tags[279] = (4, 1, len(raw))
    tags[273] = (4, 1, len(tiff(tags, order=order)))
    return tiff(tags, raw, order)


def grey_tags(width: int, height: int, bits: int, form: int = 1) -> dict[int, tuple[int, int, int]]:
    """Return the tags of a raw one-strip grey TIFF; ``form`` is 1 unsigned, 2 signed, 3 float."""
    return {
        256: (4, 1, width),
        257: (4, 1, height),
        258: (3, 1, bits),
        259: (3, 1, 1),
        262: (3, 1, 1),
        273: (4, 1, 8),
        277: (3, 1, 1),
        278: (4, 1, height),
        279: (4, 1, min(width * height * bits // 8, 2**32 - 1)),
        339: (3, 1, form),
    }


def ihdr(width: int, height: int, depth: int, colour: int) -> bytes:
    """Return a PNG header."""
    return chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0))


def segment(marker: int, body: bytes) -> bytes:
    """Return a JPEG segment."""
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def refuse(name: str, data: bytes, says: str | None = None) -> Case:
    """Return a file that must be refused; ``says`` is part of the sentence."""
    return Case(name, data, "refuse", says)


def accept(name: str, data: bytes, size: tuple[int, int] | None = (HEIGHT, WIDTH)) -> Case:
    """Return a file that must be read."""
    return Case(name, data, "accept", None, size)
