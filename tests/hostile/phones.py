"""HEIC, AVIF and GIF: what phones make, and the same damaged, lying or made to cost much."""

import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.hostile.boxes import Item, box, coded, container, fixture, imir, irot, ispe, tiled
from tests.hostile.build import Case, accept, encoded, exif, refuse, scene, tiff

_TALL = (64, 48)


def cases() -> Iterator[Case]:
    """Yield every case, always in the same order."""
    for kind in ("HEIC", "AVIF"):
        yield from _valid(kind)
        yield from _lying(kind)
        yield from _costly(kind)
    yield from _mixed()
    yield from _gif()


def _valid(kind: str) -> Iterator[Case]:
    end = kind.lower()
    data = container([coded(kind)])
    yield accept(f"plain.{end}", data)
    yield accept(f"turned.{end}", container([coded(kind, (64, 48), irot(1))]), _TALL)
    yield accept(f"mirrored.{end}", container([coded(kind, (64, 48), imir(1))]))
    tag = Item(b"Exif", bytes(4) + exif(6)[6:])
    yield accept(f"turned-twice.{end}", container([coded(kind, (64, 48), irot(1)), tag], [(b"cdsc", 2, [1])]), _TALL)
    yield accept(f"tag-only.{end}", container([coded(kind), tag], [(b"cdsc", 2, [1])]))
    yield accept(f"tiles.{end}", container(tiled(kind, 2, 3)), (128, 192))
    yield accept(f"second-is-primary.{end}", container([tag, coded(kind)], primary=2))
    burst = [coded(kind), *tiled(kind), coded(kind, (64, 48), irot(1))]
    yield accept(f"burst.{end}", container(burst, [(b"dimg", 2, [3, 4]), (b"thmb", 5, [1]), (b"base", 2, [1])]))
    yield accept(f"burst-of-tiles.{end}", container(burst, [(b"dimg", 2, [3, 4])], primary=2), (64, 128))
    for brand in (b"mif1", b"msf1", b"avif", b"heic", b"avis", b"hevc"):
        yield accept(f"brand-{brand.decode()}.{end}", container([coded(kind)], brand=brand))
    yield accept(f"{end}-named.jpg", data)
    yield accept(f"trailing.{end}", data + b"SEFHgarbage of a camera" * 9)
    yield accept(f"motion-photo.{end}", data + box(b"mpvd", bytes(4000)))
    yield accept(f"odd-tracks.{end}", container([coded(kind)], brand=b"avis", tracks=box(b"moov", b"\xff" * 400)))
    yield accept(
        f"noise-for-exif.{end}", container([coded(kind), Item(b"Exif", bytes(range(200)))], [(b"cdsc", 2, [1])])
    )


def _lying(kind: str) -> Iterator[Case]:
    end = kind.lower()
    data = container([coded(kind)])
    for share in (5, 20, 40, 60, 80, 95):
        yield refuse(f"cut-{share}.{end}", data[: len(data) * share // 100])
    yield refuse(f"start-only.{end}", data[:12])
    yield refuse(f"header-only.{end}", data[: data.index(b"mdat") - 4])
    for name, size, says in (
        ("zero-width", (0, 48), None),
        ("zero", (0, 0), None),
        ("claims-much", (10000, 10000), "over 50 megapixels"),
        ("claims-all", (2**32 - 1, 2**32 - 1), None),
        ("stripe", (4096, 16), "a strip over"),
    ):
        yield refuse(f"{name}.{end}", container([coded(kind, size)]), says)
    for part in (b"iloc", b"iinf", b"pitm", b"iprp"):
        yield refuse(f"no-{part.decode()}.{end}", container([coded(kind)], leave_out=part))
    yield refuse(f"primary-nowhere.{end}", container([coded(kind)], primary=9))
    thumbnail = [Item(b"free"), coded(kind)]
    yield refuse(f"only-a-thumbnail.{end}", container(thumbnail, [(b"thmb", 2, [1])]))
    bare = coded(kind)
    yield refuse(f"no-size.{end}", container([Item(bare.kind, bare.data, bare.properties[-1:])]))
    yield refuse(f"no-configuration.{end}", container([Item(bare.kind, bare.data, (ispe(),))]))
    yield refuse(f"no-pixels.{end}", container([Item(bare.kind, b"", bare.properties)]))
    yield refuse(f"noise-for-pixels.{end}", container([Item(bare.kind, b"\x0a" * 400, bare.properties)]))


def _costly(kind: str) -> Iterator[Case]:
    end = kind.lower()
    grid, *tiles = tiled(kind)
    yield refuse(
        f"huge-grid.{end}",
        container([Item(b"grid", b"\0\1\xff\xff" + bytes([0, 0, 64, 0] * 2), (ispe(16384, 16384),)), *tiles]),
    )
    yield refuse(f"grid-of-more.{end}", container(tiled(kind, rows=200, columns=200)[:2] + tiles), "tiles")
    yield refuse(f"grid-lies.{end}", container(tiled(kind, size=(6000, 6000))))
    yield refuse(f"grid-short.{end}", container([Item(b"grid", b"\0", grid.properties), *tiles]))
    head = b"\0\1\x0f\x0f" + struct.pack(">LL", 64, 64)
    big = coded(kind, (4096, 4096))
    yield refuse(
        f"tiles-of-no-use.{end}", container([Item(b"grid", head, (ispe(64, 64),)), *[big] * 256]), "far more pixels"
    )
    yield refuse(f"grid-of-grids.{end}", container([grid, grid, grid], [(b"dimg", n, [2, 3]) for n in (1, 2, 3)]))
    yield refuse(f"own-tile.{end}", container([grid, *tiles], [(b"dimg", 1, [1, 1])]), "unusual kind")
    yield refuse(
        f"derived-loop.{end}",
        container([Item(b"iden", b"", (ispe(),)), coded(kind)], [(b"dimg", 1, [1])]),
        "unusual kind",
    )
    overlay = Item(b"iovl", bytes(14), (ispe(),))
    yield refuse(
        f"overlays.{end}", container([overlay, *[coded(kind)] * 50], [(b"dimg", 1, range(2, 52))]), "unusual kind"
    )
    yield refuse(f"thousands-of-items.{end}", container([coded(kind), *[Item(b"mime")] * 4000]))
    yield refuse(f"items-at-the-limit.{end}", container([coded(kind), *[Item(b"mime")] * 1000]))
    copies = container(
        [coded(kind), *[Item(b"Exif", bytes(4) + exif(6))] * 900], [(b"cdsc", n, [1]) for n in range(2, 902)]
    )
    yield accept(f"hundreds-of-tags.{end}", copies)
    yield refuse(f"many-references.{end}", container([coded(kind)], [(b"cdsc", 1, [1] * 60000)]))
    deep = box(b"ipco", bytes(4))
    for _ in range(400):
        deep = box(b"ipco", deep)
    yield accept(f"nested-boxes.{end}", container([coded(kind)], tracks=box(b"free", deep)))
    yield refuse(f"many-boxes.{end}", container([coded(kind)], tracks=box(b"free") * 70000))
    bomb = tiff(dict.fromkeys(range(1000, 1400), (7, 2**16, 8)), bytes(2**16))
    yield accept(f"exif-copies.{end}", container([coded(kind), Item(b"Exif", bytes(4) + bomb)], [(b"cdsc", 2, [1])]))
    auxiliary = coded(kind, (8000, 8000), box(b"auxC", bytes(4), b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"))
    yield refuse(f"huge-alpha.{end}", container([coded(kind), auxiliary], [(b"auxl", 2, [1])]), "far more pixels")


def _mixed() -> Iterator[Case]:
    heic, avif = coded("HEIC"), coded("AVIF")
    yield accept("alpha.heic", fixture("alpha"))
    yield accept("ten-bits.heic", fixture("ramp-10bit"), (64, 64))
    yield accept("alpha.avif", encoded("AVIF", Image.fromarray(scene()).convert("RGBA")))
    frames = {"save_all": True, "append_images": [Image.fromarray(scene()[::-1])] * 3}
    yield accept("sequence.avif", encoded("AVIF", Image.fromarray(scene()), **frames))
    yield accept("grey.avif", encoded("AVIF", Image.fromarray(scene()).convert("L")))
    profile = encoded("AVIF", icc_profile=b"acsp" * 64)
    yield accept("bad-profile.avif", profile)
    yield refuse("hevc-called-av1.avif", container([Item(b"av01", heic.data, heic.properties)]))
    yield refuse("av1-called-hevc.heic", container([Item(b"hvc1", avif.data, avif.properties)]))
    yield refuse("tiles-of-two-kinds.heic", container([*tiled("HEIC")[:2], tiled("AVIF")[1]]), "unusual kind")
    wide = encoded("AVIF", np.zeros((1200, 1200, 3), np.uint8), speed=10)
    body = wide[wide.index(b"mdat") + 4 :]
    yield refuse("larger-than-it-says.avif", container([Item(b"av01", body, avif.properties)]), "far more pixels")
    yield refuse("many-frames.avif", container([Item(b"av01", avif.data * 40, avif.properties)]))
    yield refuse("tracks-only.avif", box(b"ftyp", b"avis", bytes(4)) + box(b"moov", bytes(400)), "no still picture")
    yield refuse("jpeg-inside.heic", container([Item(b"jpeg", encoded("JPEG"), (ispe(),))]), "unusual kind")
    yield accept("jpeg-behind.heic", container([heic]) + encoded("JPEG"))
    yield accept("html-behind.avif", container([avif]) + b"<script>alert(1)</script>")
    yield refuse("brand-only.heic", box(b"ftyp", b"heic", bytes(4), b"mif1"), "no still picture")
    yield refuse("endless-brands.heic", struct.pack(">L", 2**32 - 1) + b"ftypheic" + bytes(60))


def _gif() -> Iterator[Case]:
    plain = encoded("GIF")
    frame = plain.index(b"\x2c\0\0\0\0")

    def screen(width: int, height: int) -> bytes:
        return plain[:6] + struct.pack("<HH", width, height) + plain[10:]

    def first(left: int, top: int, width: int, height: int) -> bytes:
        return plain[: frame + 1] + struct.pack("<4H", left, top, width, height) + plain[frame + 9 :]

    yield accept("plain.gif", plain)
    yield accept("clear.gif", encoded("GIF", Image.fromarray(scene()).quantize(4), transparency=2))
    pages = {"save_all": True, "append_images": [Image.fromarray(scene()[::-1])] * 9}
    yield accept("animated.gif", encoded("GIF", Image.fromarray(scene()), **pages))
    yield accept("ten-thousand-frames.gif", plain[:-1] + plain[frame:-1] * 10000 + b";")
    yield accept("small-screen.gif", screen(20, 20))
    yield accept("larger-screen.gif", screen(200, 100), (100, 200))
    yield refuse("huge-screen.gif", screen(65535, 65535), "megapixels")
    yield refuse("no-screen.gif", screen(0, 0), "shows nothing")
    yield refuse("empty-frame.gif", first(0, 0, 0, 0), "shows nothing")
    yield refuse("frame-outside.gif", first(200, 0, 64, 48), "shows nothing")
    yield refuse("huge-frame.gif", first(0, 0, 65535, 65535), "megapixels")
    yield refuse("no-frame.gif", plain[:frame] + b";")
    yield refuse("many-extensions.gif", plain[:frame] + b"!\xfe\0" * 100_000 + plain[frame:], "blocks")
    yield refuse("long-comment.gif", plain[:frame] + b"!\xfe" + b"\1a" * 100_000 + b"\0" + plain[frame:], "blocks")
    yield accept("comment.gif", plain[:frame] + b"!\xfe\3abc\0" + plain[frame:])
    yield refuse("endless-comment.gif", plain[:frame] + b"!\xfe\xff")
    yield accept("zip-behind.gif", plain + b"PK\x03\x04" + bytes(40))
    for share in (5, 20, 50, 80, 95):
        yield refuse(f"cut-{share}.gif", plain[: len(plain) * share // 100])
