"""HEIF containers written by hand around coded pictures, so that every box can lie."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.hostile.build import encoded, scene

ESSENTIAL = (b"irot", b"imir", b"clap", b"av1C", b"hvcC")
FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Item:
    """One item of a container: its kind, bytes and properties (boxes)."""

    kind: bytes
    data: bytes = b""
    properties: tuple[bytes, ...] = ()


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return one box."""
    body = b"".join(parts)
    return struct.pack(">L4s", 8 + len(body), kind) + body


def body_of(data: bytes, kind: bytes) -> bytes:
    """Return the body of the first box of a kind."""
    at = data.index(kind)
    return data[at + 4 : at - 4 + int.from_bytes(data[at - 4 : at], "big")]


def fixture(name: str) -> bytes:
    """Return one of the files that `tests.hostile.make_heic` wrote."""
    return (FOLDER / f"{name}.heic").read_bytes()


def ispe(width: int = 64, height: int = 48) -> bytes:
    """Return the property that says how large a picture is."""
    return box(b"ispe", bytes(4), struct.pack(">LL", width, height))


def irot(quarters: int) -> bytes:
    """Return the property that turns a picture so many quarters to the left."""
    return box(b"irot", bytes([quarters]))


def imir(axis: int) -> bytes:
    """Return the property that mirrors a picture: 0 upside down, 1 left to right."""
    return box(b"imir", bytes([axis]))


def coded(kind: str, size: tuple[int, int] = (64, 48), *properties: bytes, name: str = "scene") -> Item:
    """Return the scene as an item: ``HEIC`` or ``AVIF`` as it is coded, ``size`` as the container is to claim."""
    if kind == "AVIF":
        data = encoded("AVIF", np.pad(scene(), ((0, 16), (0, 0), (0, 0)), "edge") if size == (64, 64) else None)
        return Item(b"av01", body_of(data, b"mdat"), (ispe(*size), box(b"av1C", body_of(data, b"av1C")), *properties))
    data = fixture(name)
    crop = box(b"clap", struct.pack(">8l", 64, 1, 48, 1, 0, 2, -16, 2))  # x265 codes 64 x 64
    claimed = ((ispe(64, 64), crop) if size == (64, 48) else (ispe(*size),)) + (box(b"hvcC", body_of(data, b"hvcC")),)
    return Item(b"hvc1", body_of(data, b"mdat"), (*claimed, *properties))


def tiled(kind: str, rows: int = 1, columns: int = 2, size: tuple[int, int] | None = None, **told: int) -> list[Item]:
    """Return a grid of the scene and its tiles; ``told`` rows and columns may differ from those there are."""
    size = size or (64 * columns, 64 * rows)  # tiles have at least 64 a side
    head = bytes([0, 1, told.get("rows", rows) - 1, told.get("columns", columns) - 1]) + struct.pack(">LL", *size)
    return [Item(b"grid", head, (ispe(*size),)), *[coded(kind, (64, 64))] * (rows * columns)]


def container(
    items: Sequence[Item],
    references: Sequence[tuple[bytes, int, Sequence[int]]] = (),
    brand: bytes | None = None,
    primary: int = 1,
    leave_out: bytes = b"",
    tracks: bytes = b"",
) -> bytes:
    """Return a file of ``items`` (ids from 1), with ``(kind, from, to)`` references; a grid of none has all items after it."""
    brand = brand or (b"avif" if any(item.kind == b"av01" for item in items) else b"heic")
    links, props = [], []
    for number, item in enumerate(items, 1):
        first = len(props) + 1
        props += item.properties
        places = [n | 0x8000 * (props[n - 1][4:8] in ESSENTIAL) for n in range(first, len(props) + 1)]
        links.append(struct.pack(f">HB{len(places)}H", number, len(places), *places))
        if item.kind == b"grid" and not any(number == start for _, start, _ in references):
            references = [*references, (b"dimg", number, range(number + 1, len(items) + 1))]
    refs = [box(kind, struct.pack(f">HH{len(to)}H", start, len(to), *to)) for kind, start, to in references]

    def header(offset: int) -> bytes:
        places = []
        for number, item in enumerate(items, 1):
            places.append(struct.pack(">HHHLL", number, 0, 1, offset, len(item.data)))
            offset += len(item.data)
        parts = {
            b"hdlr": box(b"hdlr", bytes(8), b"pict", bytes(13)),
            b"pitm": box(b"pitm", bytes(4), struct.pack(">H", primary)),
            b"iloc": box(b"iloc", bytes(4), b"\x44\0", struct.pack(">H", len(items)), *places),
            b"iinf": box(
                b"iinf",
                bytes(4),
                struct.pack(">H", len(items)),
                *(
                    box(b"infe", b"\2\0\0\0", struct.pack(">HH", n, 0), item.kind, b"\0")
                    for n, item in enumerate(items, 1)
                ),
            ),
            b"iref": box(b"iref", bytes(4), *refs) if refs else b"",
            b"iprp": box(
                b"iprp",
                box(b"ipco", *props),
                box(b"ipma", b"\0\0\0\1", struct.pack(">L", len(items)), *links),
            ),
        }
        meta = box(b"meta", bytes(4), *(part for kind, part in parts.items() if kind != leave_out))
        return box(b"ftyp", brand, bytes(4), b"mif1", brand) + meta + tracks

    return header(len(header(0)) + 8) + box(b"mdat", *(item.data for item in items))
