"""The container of HEIC and AVIF: which picture in it counts, and what decoding it would cost, before a decoder sees it.

Source: ISO/IEC 14496-12 (boxes), 23008-12 (items), 23000-22 (MIAF); AV1 bitstream specification, 5.3 to 5.5.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from seglab.images.formats import ImageError
from seglab.images.heif.av1 import coded_size

_CODINGS = {b"hvc1": "HEIC", b"hev1": "HEIC", b"av01": "AVIF"}
_PARTS = (b"pitm", b"iinf", b"iloc", b"iref", b"iprp", b"idat")
_MAX_BOXES = 4096  # at one level; ours count properties too, and a phone's photo has about two hundred
_MAX_ITEMS = 1000  # libheif's own limit; a phone's photo has about a hundred tiles
_MAX_ENTRIES = 2**14  # locations, references and links to properties, together
_SLACK_PX = 2**20  # a tile may be larger than a small picture
_KEPT = (b"dimg", b"auxl", b"prem")  # references: tiles, alpha, alpha that is multiplied in
_UNREAD = b"skip"  # a kind of item and of box that decoders pass over

Span = tuple[int, int]
Key = TypeVar("Key")
Value = TypeVar("Value")


@dataclass
class _Items:
    """What the boxes say of the items, by id.

    Attributes:
        kinds: four letters each, as ``hvc1`` or ``grid``.
        kinds_at: where those letters stand in the file.
        spans: where an item's bytes lie.
        sizes: width and height.
        references: ``(kind, from, to)``.
        references_at: their kinds, and where these stand.
        entries: how much was read.
    """

    primary: int = 0
    kinds: dict[int, bytes] = field(default_factory=dict)
    kinds_at: dict[int, int] = field(default_factory=dict)
    spans: dict[int, list[Span]] = field(default_factory=dict)
    sizes: dict[int, tuple[int, int]] = field(default_factory=dict)
    references: list[tuple[bytes, int, list[int]]] = field(default_factory=list)
    references_at: list[tuple[bytes, int]] = field(default_factory=list)
    entries: int = 0

    def count(self, entries: int) -> None:
        """Keep account of what is read, for a small box can claim very much."""
        self.entries += entries
        if self.entries > _MAX_ENTRIES:
            raise ValueError("expected fewer entries")


@dataclass(frozen=True)
class Still:
    """A container's primary picture.

    Attributes:
        coding: ``HEIC`` or ``AVIF``.
        size: width and height that the container claims, before it is turned.
        data: the container, with all that is not this picture marked as to be skipped.
    """

    coding: str
    size: tuple[int, int]
    data: bytes


def open_container(data: bytes, name: str) -> Still:
    """Find the primary picture, and hide the rest from the decoders: tracks (what moves in a sequence), EXIF, XMP, thumbnails.

    The boxes of the picture itself say how it is turned, so that no orientation in EXIF is needed, or applied a second time;
    and decoders unpack EXIF however much it claims.

    Raises:
        ImageError: for what is damaged, holds no primary picture, or would take far more work than its size says.
    """
    safe = bytearray(data)
    meta = None
    for kind, start, end, head in _boxes(data, (0, len(data)), tail=True):
        if kind == b"meta" and meta is None:
            meta = (start + 4, end)
        elif kind not in (b"ftyp", b"mdat"):
            safe[head : head + 4] = _UNREAD
    if meta is None:
        raise ImageError(f"{name} holds no still picture, or is cut short; export it again as a JPEG or PNG.")
    items = _read_items(data, meta)
    coding, coded, kept = _coded(items, data, name)
    total = sum(end - start for item in set(coded) for start, end in items.spans[item])
    if total > 2 * len(data):
        raise ValueError("expected each part to be stored once")
    if coding == "AVIF":  # libheif compares sizes itself, libavif decodes first and scales then
        for item in set(coded):
            width, height = coded_size(_bytes_of(items, item, data))
            _check_work(width * height, items.sizes[item], name)
    for item, at in items.kinds_at.items():
        if item not in kept:
            safe[at : at + 4] = _UNREAD
    for kind, at in items.references_at:
        if kind not in _KEPT:
            safe[at : at + 4] = _UNREAD
    return Still(coding, items.sizes[items.primary], _relabelled(safe, coding))


def _relabelled(safe: bytearray, coding: str) -> bytes:
    """Let the first box name the still picture only, whatever it said: the decoders go by it."""
    safe[8:12] = b"avif" if coding == "AVIF" else b"heic"
    for at in range(16, min(int.from_bytes(safe[:4], "big"), 4096), 4):
        if bytes(safe[at : at + 4]) in (b"avis", b"msf1", b"hevc", b"hevx"):
            safe[at : at + 4] = b"mif1"
    return bytes(safe)


def _coded(items: _Items, data: bytes, name: str) -> tuple[str, list[int], set[int]]:
    """Return the primary picture's coding, what is decoded for it (itself or its tiles, its alpha), and all its items."""
    found = _tiles(items, items.primary, data, name)
    codings = {_CODINGS.get(items.kinds[item]) for item in found}
    coding = codings.pop() if len(codings) == 1 else None
    if coding is None:
        raise ImageError(f"{name} is a HEIF image of an unusual kind; export it again as a JPEG or PNG.")
    kept = {items.primary}
    for kind, start, to in items.references:
        if kind == b"auxl" and items.primary in to:  # alpha; depth and the like are counted with it
            parts = _tiles(items, start, data, name)
            if {_CODINGS.get(items.kinds[item]) for item in parts} == {coding}:
                found += parts
                kept.add(start)
    work_px = sum(width * height for width, height in (items.sizes[item] for item in found))
    _check_work(work_px, items.sizes[items.primary], name)
    return coding, found, kept.union(found)


def _check_work(work_px: int, size: tuple[int, int], name: str) -> None:
    if work_px > 4 * size[0] * size[1] + _SLACK_PX:
        raise ImageError(f"{name} stores far more pixels than it shows; export it again as a JPEG or PNG.")


def _tiles(items: _Items, item: int, data: bytes, name: str) -> list[int]:
    """List a grid's tiles, row by row; the item itself where it is none."""
    if items.kinds[item] != b"grid":
        return [item]
    tiles = [to for kind, start, to in items.references if kind == b"dimg" and start == item]
    head = _bytes_of(items, item, data)
    rows, columns = head[2] + 1, head[3] + 1
    size = struct.unpack_from(">LL" if head[1] & 1 else ">HH", head, 4)
    if len(tiles) != 1 or len(tiles[0]) != rows * columns or size != items.sizes[item]:
        raise ImageError(f"{name} is a HEIF image whose tiles do not fit together; export it again as a JPEG or PNG.")
    return tiles[0]


def _bytes_of(items: _Items, item: int, data: bytes) -> bytes:
    if any(start < 0 or start > end or end > len(data) for start, end in items.spans[item]):
        raise ValueError("expected an item inside the file")
    return b"".join(data[start:end] for start, end in items.spans[item])


def _boxes(data: bytes, span: Span, tail: bool = False) -> Iterator[tuple[bytes, int, int, int]]:
    """Yield ``(kind, start of the body, end, where the kind stands)``; cameras put a ``tail`` of their own after the last."""
    at, end = span
    for _ in range(_MAX_BOXES):
        if at + 8 > end:
            return
        length, kind = struct.unpack_from(">L4s", data, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", data, start)
            start += 8
        elif length == 0:
            length = end - at
        if start > at + length or at + length > end:
            if tail and kind not in (b"meta", b"moov", b"mdat", b"idat"):
                return
            raise ValueError("expected a box inside its parent")
        yield kind, start, at + length, at + 4
        at += length
    raise ValueError("expected fewer boxes")


def _read_items(data: bytes, meta: Span) -> _Items:
    items = _Items()
    parts: dict[bytes, Span] = {}
    for kind, start, end, _ in _boxes(data, meta):
        if kind in _PARTS:
            _new(parts, kind, (start, end))
    items.primary = _numbers(data, parts[b"pitm"][0], (4, 4 if data[parts[b"pitm"][0]] else 2))[1]
    start, end = parts[b"iinf"]
    for kind, at, _, _ in _boxes(data, (start + (8 if data[start] else 6), end)):
        if kind == b"infe" and data[at] >= 2:
            wide = 4 if data[at] > 2 else 2
            item = int.from_bytes(data[at + 4 : at + 4 + wide], "big")
            items.kinds_at[item] = at + wide + 6
            _new(items.kinds, item, data[at + wide + 6 : at + wide + 10])
    if len(items.kinds) > _MAX_ITEMS:
        raise ValueError("expected fewer items")
    _read_locations(data, parts, items)
    if b"iref" in parts:
        start, end = parts[b"iref"]
        wide = 4 if data[start] else 2
        for kind, at, stop, head in _boxes(data, (start + 4, end)):
            items.references_at.append((kind, head))
            source, count = _numbers(data, at, (wide, 2))
            items.count(1 + count)
            if at + wide * (1 + count) + 2 > stop:
                raise ValueError("expected references inside their box")
            items.references.append((kind, source, _numbers(data, at + wide + 2, (wide,) * count)))
    _read_sizes(data, parts[b"iprp"], items)
    return items


def _read_locations(data: bytes, parts: dict[bytes, Span], items: _Items) -> None:
    at, end = parts[b"iloc"]
    version = data[at]
    widths = [data[at + 4] >> 4, data[at + 4] & 15, data[at + 5] >> 4, data[at + 5] & 15 if version else 0]
    offset_wide, length_wide, base_wide, index_wide = widths
    wide = 4 if version > 1 else 2
    (count,) = _numbers(data, at + 6, (wide,))
    at += 6 + wide
    items.count(count)
    for _ in range(count):
        head = (wide, 2 if version else 0, 2, base_wide, 2)
        item, method, _, base, extents = _numbers(data, at, head)
        at += sum(head)
        if method > 1 or at + extents * (offset_wide + length_wide + index_wide) > end:
            raise ValueError("expected locations inside the file")
        if method:  # inside the box `idat`
            base += parts[b"idat"][0]
        items.count(extents)
        spans = list[Span]()
        for _ in range(extents):
            _, offset, length = _numbers(data, at, (index_wide, offset_wide, length_wide))
            at += index_wide + offset_wide + length_wide
            start = base + offset
            spans.append((start, start + length if length else len(data)))
        _new(items.spans, item, spans)


def _read_sizes(data: bytes, iprp: Span, items: _Items) -> None:
    sizes: list[tuple[int, int] | None] = []
    tables = []
    for kind, start, end, _ in _boxes(data, iprp):
        if kind == b"ipco":
            for prop, at, stop, _ in _boxes(data, (start, end)):
                width, height = (
                    struct.unpack_from(">LL", data, at + 4) if prop == b"ispe" and stop - at >= 12 else (0, 0)
                )
                sizes.append((width, height) if width and height else None)
        elif kind == b"ipma":
            tables.append((start, end))
    for at, _ in tables:
        wide, index = 4 if data[at] else 2, 2 if data[at + 3] & 1 else 1
        (count,) = _numbers(data, at + 4, (4,))
        at += 8
        items.count(count)
        for _ in range(count):
            item, links = _numbers(data, at, (wide, 1))
            at += wide + 1
            items.count(links)
            for link in _numbers(data, at, (index,) * links):
                position = (link & (0x7FFF if index == 2 else 0x7F)) - 1
                if 0 <= position < len(sizes) and (size := sizes[position]):
                    _new(items.sizes, item, size)
            at += index * links


def _new(table: dict[Key, Value], key: Key, value: Value) -> None:
    """Write what a file may say once: of two the decoder might take the other one."""
    if table.setdefault(key, value) != value:
        raise ValueError("expected one answer")


def _numbers(data: bytes, at: int, widths: tuple[int, ...]) -> list[int]:
    """Read unsigned big-endian numbers of so many bytes each."""
    if at + sum(widths) > len(data):
        raise ValueError("expected more bytes")
    out = []
    for wide in widths:
        out.append(int.from_bytes(data[at : at + wide], "big"))
        at += wide
    return out
