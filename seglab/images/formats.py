"""Which files are let in, by content, how large they may be, and how one that is not is refused."""

import os

MAX_BYTES = 16 * 2**20
MAX_PIXELS = 50_000_000
MIN_SIDE_PX = 16
MAX_ASPECT = 64

FORMATS = "JPEG, PNG, WebP, GIF, BMP, TIFF, HEIC or AVIF"  # as sentences name them
SUFFIXES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "hif", "avif")

_STARTS = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"BM": "BMP",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
}
_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"avif", b"avis", b"mif1", b"mif2", b"msf1")

Source = bytes | str | os.PathLike[str]


class ImageError(ValueError):
    """An outside file that is refused; the message is one sentence that names the file and what to do."""


def kind_of(data: bytes) -> str | None:
    """Return ``JPEG``, ``PNG``, ``WEBP``, ``GIF``, ``BMP``, ``TIFF`` or ``HEIF`` by the first bytes, ``None`` for anything else.

    HEIF is the container of HEIC and AVIF: the picture inside says which.
    """
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    length = min(int.from_bytes(data[:4], "big"), 256)
    if data[4:8] == b"ftyp" and any(data[at : at + 4] in _HEIF_BRANDS for at in (8, *range(16, length, 4))):
        return "HEIF"
    return next((kind for start, kind in _STARTS.items() if data.startswith(start)), None)
