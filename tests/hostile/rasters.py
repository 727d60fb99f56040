"""Odd, broken and malicious PNG, JPEG, WebP, TIFF and BMP files."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.hostile.build import (
    HEIGHT,
    SIGNATURE,
    Case,
    accept,
    chunk,
    encoded,
    exif,
    grey_tags,
    ihdr,
    png,
    refuse,
    scene,
    segment,
    tiff,
    tiff_frame,
)


def cases() -> Iterator[Case]:
    """Yield every case, always in the same order."""
    for kind in (_png, _jpeg, _webp, _tiff, _bmp):
        yield from kind()


def _png() -> Iterator[Case]:
    big = bytes(8 * 2**20)
    yield refuse("bomb-claimed.png", png(60000, 60000, body=bytes(10)), "megapixels")
    yield refuse("bomb-real.png", png(30000, 30000, 1, 0), "megapixels")
    yield refuse("bomb-wide.png", png(2**31 - 1, 2**31 - 1, body=bytes(10)))
    yield refuse("bomb-profile.png", png(64, 48, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(big, 9))))
    yield refuse("bomb-ztxt.png", png(64, 48, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(big, 9))))
    yield refuse("bomb-itxt.png", png(64, 48, extra=chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(big, 9))))
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20 - 1), 9))
    yield refuse("bomb-many-texts.png", png(64, 48, extra=text * 70))
    plain = encoded("PNG")
    at = plain.index(b"IDAT") + 12
    yield refuse("flipped.png", plain[:at] + bytes([plain[at] ^ 1]) + plain[at + 1 :], "checksum")
    yield refuse("bad-checksum.png", plain[:29] + bytes([plain[29] ^ 1]) + plain[30:], "a checksum is wrong")
    yield refuse("bad-length.png", plain[:33] + b"\xff\xff\xff\xff" + plain[37:])
    yield refuse("no-pixels.png", SIGNATURE + plain[8:33] + chunk(b"IEND", b""))
    yield refuse("header-only.png", SIGNATURE)
    yield refuse("zero-width.png", png(0, 48))
    yield refuse("odd-depth.png", png(64, 48, 8, 0).replace(png(64, 48, 8, 0)[8:33], ihdr(64, 48, 7, 0)))
    yield refuse("odd-filter.png", png(64, 48, body=bytes([9] + [0] * 192) * 48))
    yield accept("short-pixels.png", png(64, 48, body=bytes(193) * 20))  # the rest is black, as browsers show it
    yield refuse("bad-deflate.png", SIGNATURE + ihdr(64, 48, 8, 2) + chunk(b"IDAT", b"xxxx") + chunk(b"IEND", b""))
    yield refuse("huge-second-header.png", png(64, 48, extra=ihdr(50000, 50000, 8, 2)))
    yield refuse("many-chunks.png", png(64, 48, extra=chunk(b"abCd", b"") * 70000), "blocks")
    yield accept("sixteen.png", png(64, 48, 16, 0))
    yield accept("sixteen-rgb.png", png(64, 48, 16, 2))
    yield accept("four-bit-grey.png", png(64, 48, 4, 0))
    yield accept("exif-broken.png", png(64, 48, extra=chunk(b"eXIf", b"MM\0*\0\0\xff\xff" + bytes(9))))
    yield accept("exif-empty.png", png(64, 48, extra=chunk(b"eXIf", b"")))
    yield accept("trailing.png", plain + b"<script>alert(1)</script>")


def _jpeg() -> Iterator[Case]:
    plain = encoded("JPEG")
    frame = plain.index(b"\xff\xc0")
    yield refuse("claims-4-gigapixels.jpg", plain[: frame + 5] + b"\xff\xdc\xff\xdc" + plain[frame + 9 :], "megapixels")
    yield refuse("zero-height.jpg", plain[: frame + 5] + b"\0\0" + plain[frame + 7 :])
    yield refuse("twelve-bit.jpg", plain[: frame + 4] + b"\x0c" + plain[frame + 5 :])
    yield refuse("no-frame.jpg", plain[:frame] + b"\xff\xd9")
    yield refuse("start.jpg", b"\xff\xd8\xff")
    yield refuse("start-end.jpg", b"\xff\xd8\xff\xd9")
    progressive = encoded("JPEG", progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    again = progressive[scan:-2] * 3000
    yield refuse("three-thousand-scans.jpg", progressive[:-2] + again + b"\xff\xd9", "scans or blocks")
    bomb = b"Exif\0\0" + tiff({282: (5, 7000, 100), 296: (3, 1, 2)}, bytes(56000))
    yield refuse("exif-many.jpg", plain[:2] + segment(0xE1, bomb) * 40 + plain[2:], "blocks")
    yield refuse("many-comments.jpg", plain[:2] + segment(0xFE, b"") * 70000 + plain[2:], "blocks")
    yield refuse("filled.jpg", plain[:2] + b"\xff" * 100_000 + plain[2:], "blocks")
    yield accept("exif-rationals.jpg", plain[:2] + segment(0xE1, bomb) + plain[2:])
    yield accept("exif-noise.jpg", plain[:2] + segment(0xE1, b"Exif\0\0" + bytes(range(200))) + plain[2:])
    yield accept("exif-loop.jpg", plain[:2] + segment(0xE1, b"Exif\0\0" + tiff({34665: (4, 1, 8)})) + plain[2:])
    odd = tiff({274: (3, 1, 99), 282: (5, 1, 2**32 - 1)}, following=8)
    yield accept("exif-odd.jpg", plain[:2] + segment(0xE1, b"Exif\0\0" + odd) + plain[2:])
    yield accept("long-comment.jpg", plain[:2] + segment(0xFE, b"\xff\xda" * 30000) + plain[2:])
    yield accept("trailing.jpg", plain + np.random.default_rng(1).bytes(5000))
    at = plain.rindex(b"\xff\xda") + 30
    yield accept("flipped.jpg", plain[:at] + bytes([plain[at] ^ 4]) + plain[at + 1 :])
    ycck = encoded("JPEG", Image.fromarray(scene()).convert("CMYK"))
    adobe = ycck.index(b"Adobe")
    yield accept("ycck.jpg", ycck[: adobe + 11] + b"\x02" + ycck[adobe + 12 :])


def _webp() -> Iterator[Case]:
    extended = encoded("WEBP", exif=exif(1))  # VP8X: canvas size in bytes 24 to 29
    for name, side in (("canvas-bomb", 16383), ("canvas-over", 8000), ("canvas-lies", 300)):
        size = struct.pack("<L", side - 1)[:3]
        yield refuse(f"{name}.webp", extended[:24] + size * 2 + extended[30:])
    plain = encoded("WEBP")
    yield refuse("frame-bomb.webp", plain[:26] + b"\xff\x3f\xff\x3f" + plain[30:], "megapixels")
    yield refuse("unknown-chunk.webp", plain[:12] + b"VP9 " + plain[16:])
    yield refuse("riff-only.webp", b"RIFF\x04\0\0\0WEBP")
    yield refuse("no-key-frame.webp", plain[:23] + b"\0\0\0" + plain[26:])
    yield accept("trailing.webp", plain + b"garbage!")


def _tiff() -> Iterator[Case]:
    grey = np.add.outer(np.arange(48), np.arange(64))
    for order, end in (("<", "little"), (">", "big")):
        yield accept(f"sixteen-{end}.tif", tiff_frame("u2", order, grey * 500))
        yield accept(f"signed-{end}.tif", tiff_frame("i2", order, grey * 500 - 20000, 2))
        yield accept(f"deep-{end}.tif", tiff_frame("i4", order, grey * 10**6, 2))
        values = grey / 7.0
        values[0, :4] = np.nan, np.inf, -np.inf, 1e30
        yield accept(f"float-{end}.tif", tiff_frame("f4", order, values, 3))
    yield refuse("all-nan.tif", tiff_frame("f4", "<", np.full((48, 64), np.nan), 3), "finite")
    yield accept("flat-float.tif", tiff_frame("f4", "<", np.full((48, 64), 3.0), 3))
    yield accept("huge-float.tif", tiff_frame("f4", "<", np.where(grey % 2, 3e38, -3e38), 3))
    packed = bytes(range(96)) * 48
    yield accept("twelve-bit.tif", tiff({**grey_tags(64, 48, 12), 273: (4, 1, 134)}, packed))
    plain = tiff_frame("u1", "<", grey)
    after = 8 + 2 + 10 * 12
    yield accept("directory-loop.tif", plain[:after] + struct.pack("<L", 8) + plain[after + 4 :])
    yield accept("next-nowhere.tif", plain[:after] + struct.pack("<L", 2**32 - 16) + plain[after + 4 :])
    yield refuse("no-tags.tif", tiff({}))
    yield refuse("nowhere.tif", b"II*\0\xff\xff\xff\xff" + bytes(100))
    yield refuse("claims-3-gigapixels.tif", tiff(grey_tags(60000, 60000, 8)), "megapixels")
    yield refuse("claims-all.tif", tiff(grey_tags(2**32 - 1, 2**32 - 1, 8)))
    for name, tags in {
        "many-strips": {273: (4, 300000, 134)},
        "many-byte-strips": {273: (6, 300000, 134)},
        "absurd-count": {273: (4, 2**32 - 1, 134)},
        "rationals": {282: (5, 270000, 134)},
        "exif-loop": {34665: (4, 1, 8)},
        "exif-odd-pointer": {34665: (16, 1, 134)},
    }.items():
        yield refuse(f"{name}.tif", tiff({**grey_tags(64, 48, 8), **tags}, bytes(2_400_000)), "directory")
    yield refuse(
        "overlapping-strips.tif",
        tiff({**grey_tags(64, 48, 8), 273: (4, 60000, 134), 278: (4, 1, 47)}, bytes(2**18)),
        "many times",
    )
    inner = tiff({33434: (5, 300000, 300)}, bytes(2_400_000))[8:]
    outer = tiff({**grey_tags(64, 48, 8), 34665: (4, 1, 200)}, bytes(54)) + inner
    yield refuse("exif-rationals.tif", outer)
    yield refuse("unknown-compression.tif", tiff({**grey_tags(64, 48, 8), 259: (3, 1, 9999)}, bytes(4000)))
    yield refuse("many-samples.tif", tiff({**grey_tags(64, 48, 8), 277: (3, 1, 60000)}, bytes(4000)))
    yield refuse(
        "giant-tile.tif",
        tiff({**grey_tags(64, 48, 8), 259: (3, 1, 5), 322: (4, 1, 2**30), 323: (4, 1, 2**30), 324: (4, 1, 8)}),
    )
    zero = {k: v for k, v in grey_tags(64, 48, 8).items() if k != 273}
    yield refuse("no-strips.tif", tiff(zero, bytes(4000)))
    deflated = encoded("TIFF", compression="tiff_adobe_deflate")
    at = len(deflated) // 2 if deflated[4] == 8 else 20
    yield refuse("flipped.tif", deflated[:at] + bytes(b ^ 255 for b in deflated[at : at + 8]) + deflated[at + 8 :])


def _bmp() -> Iterator[Case]:
    plain = encoded("BMP")

    def header(offset: int, form: str, value: int) -> bytes:
        return plain[:offset] + struct.pack(form, value) + plain[offset + struct.calcsize(form) :]

    yield accept("top-down.bmp", header(22, "<i", -HEIGHT))
    yield refuse("huge-height.bmp", header(22, "<i", 2**31 - 1))
    yield refuse("least-height.bmp", header(22, "<i", -(2**31)))
    yield refuse("taller.bmp", header(22, "<i", HEIGHT * 4))
    yield refuse("huge-width.bmp", header(18, "<L", 2**32 - 1))
    yield refuse("odd-compression.bmp", header(30, "<L", 77))
    yield refuse("odd-bits.bmp", header(28, "<H", 13))
    yield refuse("pixels-nowhere.bmp", header(10, "<L", 2**31))
    yield refuse("odd-header.bmp", header(14, "<L", 99))
    palette = bytes(1024)
    run = bytes([64, 7, 0, 0]) * 48 + b"\0\1"
    for name, body, fits in (("run-length", run, True), ("broken-run-length", run[:9], False)):
        start = struct.pack("<2sLHHL", b"BM", 54 + 1024 + len(body), 0, 0, 54 + 1024)
        info = struct.pack("<LiiHHLLiiLL", 40, 64, 48, 1, 8, 1, len(body), 0, 0, 256, 0)
        yield (accept if fits else refuse)(f"{name}.bmp", start + info + palette + body)
    yield accept("grey.bmp", encoded("BMP", Image.fromarray(scene()).convert("L")))
    yield accept("rgba.bmp", encoded("BMP", Image.fromarray(scene()).convert("RGBA")))
