"""What JPEG, PNG, GIF and TIFF say before their pixels: blocks, directories and orientation, and signs of a bomb in them."""

import re
import struct
import zlib

from seglab.images.formats import ImageError

_MAX_SCANS = 100  # progressive photos have about ten; every scan costs one pass over all pixels
_MAX_BLOCKS = 2**16  # PNG chunks or JPEG segments; photos have a few thousand at most
_MAX_EXIF_SEGMENTS = 16  # 64 KiB each; Pillow joins them
_MAX_GIF_BLOCKS = 2**12  # before the first frame; Pillow reads them one by one
_MAX_TAG_VALUES = 2**18  # numbers in one TIFF directory; Pillow makes a Python object of each
_TIFF_POINTERS = (34665, 34853, 40965)  # EXIF, GPS, interoperability
_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


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


def check_png(data: bytes, name: str) -> None:
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


def check_jpeg(data: bytes, name: str) -> None:
    """Count scans, segments and EXIF blocks: each costs a pass, and a small file can hold very many."""
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


def check_gif(data: bytes, name: str) -> None:
    """Find the first frame behind a bounded number of blocks, and that it lies in the picture."""
    width, height, flags = struct.unpack_from("<HHB", data, 6)
    at = 13 + (3 << (flags & 7) + 1 if flags & 128 else 0)
    blocks = 0
    while blocks < _MAX_GIF_BLOCKS:
        blocks += 1
        if data[at] == 0x2C:
            left, top, frame_width, frame_height = struct.unpack_from("<4H", data, at + 1)
            if not (frame_width and frame_height and left < width and top < height):
                raise ImageError(f"{name} has a first frame that shows nothing; export it again as a PNG.")
            return
        if data[at] != 0x21:
            raise ValueError("expected an extension or a frame")
        at += 2
        while data[at] and blocks < _MAX_GIF_BLOCKS:
            blocks += 1
            at += 1 + data[at]
        at += 1
    raise ImageError(f"{name} holds far more blocks before its first frame than a picture; export it again.")


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


def check_tiff(data: bytes, name: str, at: int | None = None, depth: int = 0) -> None:
    """Count what the directories claim, for Pillow unpacks all of it."""
    entries = _directory(data, at)
    pointers = [(kind, count, value) for tag, kind, count, value in entries if tag in _TIFF_POINTERS]
    # Bytes, text and opaque values (1, 2, 7) stay bytes, unless they say where strips (273) and tiles (324) begin.
    values = sum(count for tag, kind, count, _ in entries if kind not in (1, 2, 7) or tag in (273, 324))
    odd = any(count != 1 or kind not in (4, 13) for kind, count, _ in pointers)
    if values > _MAX_TAG_VALUES or len(pointers) > 3 or depth > 2 or odd:
        raise ImageError(f"{name} has a directory unlike any photo's; export it again as JPEG or PNG.")
    for _, _, value in pointers:
        if value <= len(data) - 2:
            check_tiff(data, name, value, depth + 1)
