"""Which files are let in, by content, how large they may be, and how one that is not is refused."""

import os

MAX_BYTES = 16 * 2**20
MAX_PIXELS = 50_000_000
MIN_SIDE_PX = 16
MAX_ASPECT = 64

Source = bytes | str | os.PathLike[str]


class ImageError(ValueError):
    """An outside file that is refused; the message is one sentence that names the file and what to do."""


def kind_of(data: bytes) -> str | None:
    """Return ``JPEG``, ``PNG``, ``WEBP``, ``BMP`` or ``TIFF`` by the first bytes, ``None`` for anything else."""
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    starts = {b"\xff\xd8\xff": "JPEG", b"\x89PNG\r\n\x1a\n": "PNG", b"BM": "BMP", b"II*\0": "TIFF", b"MM\0*": "TIFF"}
    return next((kind for start, kind in starts.items() if data.startswith(start)), None)
