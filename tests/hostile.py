"""A corpus of files that people, cameras and attackers send: odd, broken and malicious, all made here from a seed.

``corpus()`` lists over 150 small files; each says whether `seglab.images.open_photo` must accept or refuse it, so that
the command line and the browser can be tested with the same list. ``scene()`` is the picture inside the valid ones.
"""

import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

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


@cache
def corpus() -> tuple[Case, ...]:
    """Return every case, always the same ones in the same order."""
    return tuple(
        case for kind in (_foreign, _cut, _valid, _png, _jpeg, _webp, _tiff, _bmp, _sizes, _names) for case in kind()
    )


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


def _refuse(name: str, data: bytes, says: str | None = None) -> Case:
    return Case(name, data, "refuse", says)


def _accept(name: str, data: bytes, size: tuple[int, int] | None = (HEIGHT, WIDTH)) -> Case:
    return Case(name, data, "accept", None, size)


def _foreign() -> Iterator[Case]:
    yield _refuse("empty.jpg", b"", "is empty")
    yield _refuse("one-byte.png", b"\x89", "is not a JPEG")
    bodies = {
        "notes.txt": b"Please segment this street.\n" * 20,
        "utf16.txt": "street".encode("utf-16"),
        "page.html": b"<!doctype html><img src=x onerror=alert(1)>",
        "drawing.svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
        "entities.svg": b'<?xml version="1.0"?><!DOCTYPE s [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><svg>&b;</svg>',
        "scene.json": b'{"image": [0, 1, 2]}',
        "scan.pdf": b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\n%%EOF",
        "scene.gz": b"\x1f\x8b\x08\0" + bytes(40),
        "scene.zip": b"PK\x03\x04" + bytes(40),
        "model.pickle": b"\x80\x04cos\nsystem\n(S'true'\ntR.",
        "model.pt.png": b"PK\x03\x04archive/data.pkl" + bytes(60),
        "ghost.eps": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n(r) file quit\n",
        "ghost.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 48\n(r) file quit\n",
        "scene.gif": encoded("GIF"),
        "gif-named.png": encoded("GIF"),
        "scene.ico": encoded("ICO"),
        "scene.ppm": encoded("PPM"),
        "scene.tga": encoded("TGA"),
        "scene.pcx": encoded("PCX"),
        "scene.sgi": encoded("SGI"),
        "scene.dib": encoded("BMP")[14:],
        "scene.psd": b"8BPS\0\x01" + bytes(60),
        "scene.jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
        "phone.heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(60),
        "scene.avif": b"\0\0\0\x1cftypavif\0\0\0\0avifmif1" + bytes(60),
        "clip.mp4": b"\0\0\0\x20ftypisom" + bytes(60),
        "sound.wav": b"RIFF\x24\0\0\0WAVEfmt " + bytes(60),
        "program.png": b"\x7fELF\x02\x01\x01" + bytes(60),
        "shell.jpg": b"#!/bin/sh\nexit 1\n",
        "noise.jpg": np.random.default_rng(0).bytes(4096),
        "zeros.png": bytes(4096),
        "big.tif": b"II+\0\x08\0\0\0\x10" + bytes(200),  # BigTIFF, made for files over 4 GiB
        "shifted.jpg": b"\n" + encoded("JPEG"),
    }
    for name, data in bodies.items():
        yield _refuse(name, data, "is not a JPEG, PNG, WebP, BMP or TIFF image")
    yield _refuse("bmw.txt", b"BMW and other cars in the street, a list of makes and models", "is damaged")


def _cut() -> Iterator[Case]:
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        data = encoded(kind)
        for share in (5, 20, 50, 80, 95):
            yield _refuse(f"cut-{share}.{kind.lower()}", data[: len(data) * share // 100])
        yield _refuse(f"start-only.{kind.lower()}", data[:12])
    yield _refuse("cut.lzw.tif", encoded("TIFF", compression="tiff_lzw")[:-200])
    progressive = encoded("JPEG", progressive=True)
    yield _refuse("cut-progressive.jpg", progressive[: len(progressive) * 6 // 10])
    yield _refuse("no-end.png", encoded("PNG")[:-12], "is damaged")


def _valid() -> Iterator[Case]:
    image = Image.fromarray(scene())
    for orientation, stored in STORED.items():
        data = encoded("JPEG", np.ascontiguousarray(stored(scene())), quality=95, exif=exif(orientation))
        yield _accept(f"orientation-{orientation}.jpg", data)
    turned = np.ascontiguousarray(STORED[6](scene()))
    for kind in ("PNG", "WEBP", "TIFF"):
        yield _accept(f"orientation-6.{kind.lower()}", encoded(kind, turned, exif=exif(6)))
    for mode in ("L", "1", "P", "CMYK", "LA", "RGBA", "PA", "LAB", "YCbCr"):
        kind = {"L": "PNG", "1": "PNG", "P": "PNG", "LA": "PNG", "RGBA": "PNG", "CMYK": "JPEG"}.get(mode, "TIFF")
        if mode == "LAB":
            to_lab = ImageCms.buildTransform(
                ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
            )
            converted = to_lab.apply(image)
        else:
            converted = image.convert(mode)
        yield _accept(f"mode-{mode}.{kind.lower()}", encoded(kind, converted))
    yield _accept("grey.jpg", encoded("JPEG", image.convert("L")))
    yield _accept("progressive.jpg", encoded("JPEG", progressive=True))
    yield _accept("cmyk.tif", encoded("TIFF", image.convert("CMYK")))
    yield _accept("palette-clear.png", encoded("PNG", image.quantize(4), transparency=bytes([0, 128, 255, 255])))
    yield _accept("palette-one-clear.png", encoded("PNG", image.quantize(4), transparency=2))
    yield _accept("rgb-key.png", encoded("PNG", transparency=(220, 20, 20)))
    yield _accept("lossless.webp", encoded("WEBP", lossless=True))
    yield _accept("rgba.webp", encoded("WEBP", image.convert("RGBA")))
    pages = {"save_all": True, "append_images": [image.rotate(180), image.resize((32, 32))]}
    yield _accept("pages.tif", encoded("TIFF", image, **pages))
    pages["append_images"] = [image.rotate(180)]
    yield _accept("animated.webp", encoded("WEBP", image, duration=50, **pages))
    yield _accept("animated.png", encoded("PNG", image, duration=50, **pages))
    yield _accept("two-shots.mpo", encoded("MPO", image, **pages))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        yield _accept(f"{compression}.tif", encoded("TIFF", image, compression=compression))
    yield _accept("fax.tif", encoded("TIFF", image.convert("1"), compression="group4"))
    swapped = {"jpg": "PNG", "png": "JPEG", "gif": "WEBP", "txt": "BMP", "bmp": "TIFF"}
    for suffix, kind in swapped.items():
        yield _accept(f"really-{kind.lower()}.{suffix}", encoded(kind))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        yield _accept(f"profile.{kind.lower()}", encoded(kind, icc_profile=profile))
        yield _accept(f"bad-profile.{kind.lower()}", encoded(kind, icc_profile=b"acsp" * 64))
    yield _accept("foreign-profile.jpg", encoded("JPEG", image.convert("L"), icc_profile=profile))


def _png() -> Iterator[Case]:
    big = bytes(8 * 2**20)
    yield _refuse("bomb-claimed.png", png(60000, 60000, body=bytes(10)), "megapixels")
    yield _refuse("bomb-real.png", png(30000, 30000, 1, 0), "megapixels")
    yield _refuse("bomb-wide.png", png(2**31 - 1, 2**31 - 1, body=bytes(10)))
    yield _refuse("bomb-profile.png", png(64, 48, extra=chunk(b"iCCP", b"a\0\0" + zlib.compress(big, 9))))
    yield _refuse("bomb-ztxt.png", png(64, 48, extra=chunk(b"zTXt", b"a\0\0" + zlib.compress(big, 9))))
    yield _refuse("bomb-itxt.png", png(64, 48, extra=chunk(b"iTXt", b"a\0\1\0\0\0" + zlib.compress(big, 9))))
    text = chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(2**20 - 1), 9))
    yield _refuse("bomb-many-texts.png", png(64, 48, extra=text * 70))
    plain = encoded("PNG")
    at = plain.index(b"IDAT") + 12
    yield _refuse("flipped.png", plain[:at] + bytes([plain[at] ^ 1]) + plain[at + 1 :], "checksum")
    yield _refuse("bad-checksum.png", plain[:29] + bytes([plain[29] ^ 1]) + plain[30:], "checksum")
    yield _refuse("bad-length.png", plain[:33] + b"\xff\xff\xff\xff" + plain[37:])
    yield _refuse("no-pixels.png", SIGNATURE + plain[8:33] + chunk(b"IEND", b""))
    yield _refuse("header-only.png", SIGNATURE)
    yield _refuse("zero-width.png", png(0, 48))
    yield _refuse("odd-depth.png", png(64, 48, 8, 0).replace(png(64, 48, 8, 0)[8:33], _ihdr(64, 48, 7, 0)))
    yield _refuse("odd-filter.png", png(64, 48, body=bytes([9] + [0] * 192) * 48))
    yield _accept("short-pixels.png", png(64, 48, body=bytes(193) * 20))  # the rest is black, as browsers show it
    yield _refuse("bad-deflate.png", SIGNATURE + _ihdr(64, 48, 8, 2) + chunk(b"IDAT", b"xxxx") + chunk(b"IEND", b""))
    yield _refuse("huge-second-header.png", png(64, 48, extra=_ihdr(50000, 50000, 8, 2)))
    yield _refuse("many-chunks.png", png(64, 48, extra=chunk(b"abCd", b"") * 70000), "blocks")
    yield _accept("sixteen.png", png(64, 48, 16, 0))
    yield _accept("sixteen-rgb.png", png(64, 48, 16, 2))
    yield _accept("four-bit-grey.png", png(64, 48, 4, 0))
    yield _accept("exif-broken.png", png(64, 48, extra=chunk(b"eXIf", b"MM\0*\0\0\xff\xff" + bytes(9))))
    yield _accept("exif-empty.png", png(64, 48, extra=chunk(b"eXIf", b"")))
    yield _accept("trailing.png", plain + b"<script>alert(1)</script>")


def _ihdr(width: int, height: int, depth: int, colour: int) -> bytes:
    return chunk(b"IHDR", struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0))


def _segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def _jpeg() -> Iterator[Case]:
    plain = encoded("JPEG")
    frame = plain.index(b"\xff\xc0")
    yield _refuse(
        "claims-4-gigapixels.jpg", plain[: frame + 5] + b"\xff\xdc\xff\xdc" + plain[frame + 9 :], "megapixels"
    )
    yield _refuse("zero-height.jpg", plain[: frame + 5] + b"\0\0" + plain[frame + 7 :])
    yield _refuse("twelve-bit.jpg", plain[: frame + 4] + b"\x0c" + plain[frame + 5 :])
    yield _refuse("no-frame.jpg", plain[:frame] + b"\xff\xd9")
    yield _refuse("start.jpg", b"\xff\xd8\xff")
    yield _refuse("start-end.jpg", b"\xff\xd8\xff\xd9")
    progressive = encoded("JPEG", progressive=True)
    scan = progressive.rindex(b"\xff\xda")
    again = progressive[scan:-2] * 3000
    yield _refuse("three-thousand-scans.jpg", progressive[:-2] + again + b"\xff\xd9", "scans")
    bomb = b"Exif\0\0" + tiff({282: (5, 7000, 100), 296: (3, 1, 2)}, bytes(56000))
    yield _refuse("exif-many.jpg", plain[:2] + _segment(0xE1, bomb) * 40 + plain[2:], "blocks")
    yield _refuse("many-comments.jpg", plain[:2] + _segment(0xFE, b"") * 70000 + plain[2:], "blocks")
    yield _refuse("filled.jpg", plain[:2] + b"\xff" * 100_000 + plain[2:], "blocks")
    yield _accept("exif-rationals.jpg", plain[:2] + _segment(0xE1, bomb) + plain[2:])
    yield _accept("exif-noise.jpg", plain[:2] + _segment(0xE1, b"Exif\0\0" + bytes(range(200))) + plain[2:])
    yield _accept("exif-loop.jpg", plain[:2] + _segment(0xE1, b"Exif\0\0" + tiff({34665: (4, 1, 8)})) + plain[2:])
    odd = tiff({274: (3, 1, 99), 282: (5, 1, 2**32 - 1)}, following=8)
    yield _accept("exif-odd.jpg", plain[:2] + _segment(0xE1, b"Exif\0\0" + odd) + plain[2:])
    yield _accept("long-comment.jpg", plain[:2] + _segment(0xFE, b"\xff\xda" * 30000) + plain[2:])
    yield _accept("trailing.jpg", plain + np.random.default_rng(1).bytes(5000))
    at = plain.rindex(b"\xff\xda") + 30
    yield _accept("flipped.jpg", plain[:at] + bytes([plain[at] ^ 4]) + plain[at + 1 :])
    ycck = encoded("JPEG", Image.fromarray(scene()).convert("CMYK"))
    adobe = ycck.index(b"Adobe")
    yield _accept("ycck.jpg", ycck[: adobe + 11] + b"\x02" + ycck[adobe + 12 :])


def _webp() -> Iterator[Case]:
    extended = encoded("WEBP", exif=exif(1))  # VP8X: canvas size in bytes 24 to 29
    for name, side in (("canvas-bomb", 16383), ("canvas-over", 8000), ("canvas-lies", 300)):
        size = struct.pack("<L", side - 1)[:3]
        yield _refuse(f"{name}.webp", extended[:24] + size * 2 + extended[30:])
    plain = encoded("WEBP")
    yield _refuse("frame-bomb.webp", plain[:26] + b"\xff\x3f\xff\x3f" + plain[30:], "megapixels")
    yield _refuse("unknown-chunk.webp", plain[:12] + b"VP9 " + plain[16:])
    yield _refuse("riff-only.webp", b"RIFF\x04\0\0\0WEBP")
    yield _refuse("no-key-frame.webp", plain[:23] + b"\0\0\0" + plain[26:])
    yield _accept("trailing.webp", plain + b"garbage!")


def _tiff() -> Iterator[Case]:
    grey = np.add.outer(np.arange(48), np.arange(64))
    for order, end in (("<", "little"), (">", "big")):
        yield _accept(f"sixteen-{end}.tif", tiff_frame("u2", order, grey * 500))
        yield _accept(f"signed-{end}.tif", tiff_frame("i2", order, grey * 500 - 20000, 2))
        yield _accept(f"deep-{end}.tif", tiff_frame("i4", order, grey * 10**6, 2))
        values = grey / 7.0
        values[0, :4] = np.nan, np.inf, -np.inf, 1e30
        yield _accept(f"float-{end}.tif", tiff_frame("f4", order, values, 3))
    yield _refuse("all-nan.tif", tiff_frame("f4", "<", np.full((48, 64), np.nan), 3), "finite")
    yield _accept("flat-float.tif", tiff_frame("f4", "<", np.full((48, 64), 3.0), 3))
    yield _accept("huge-float.tif", tiff_frame("f4", "<", np.where(grey % 2, 3e38, -3e38), 3))
    packed = bytes(range(96)) * 48
    yield _accept("twelve-bit.tif", tiff({**grey_tags(64, 48, 12), 273: (4, 1, 134)}, packed))
    plain = tiff_frame("u1", "<", grey)
    after = 8 + 2 + 10 * 12
    yield _accept("directory-loop.tif", plain[:after] + struct.pack("<L", 8) + plain[after + 4 :])
    yield _accept("next-nowhere.tif", plain[:after] + struct.pack("<L", 2**32 - 16) + plain[after + 4 :])
    yield _refuse("no-tags.tif", tiff({}))
    yield _refuse("nowhere.tif", b"II*\0\xff\xff\xff\xff" + bytes(100))
    yield _refuse("claims-3-gigapixels.tif", tiff(grey_tags(60000, 60000, 8)), "megapixels")
    yield _refuse("claims-all.tif", tiff(grey_tags(2**32 - 1, 2**32 - 1, 8)))
    for name, tags in {
        "many-strips": {273: (4, 300000, 134)},
        "many-byte-strips": {273: (6, 300000, 134)},
        "absurd-count": {273: (4, 2**32 - 1, 134)},
        "rationals": {282: (5, 270000, 134)},
        "exif-loop": {34665: (4, 1, 8)},
        "exif-odd-pointer": {34665: (16, 1, 134)},
    }.items():
        yield _refuse(f"{name}.tif", tiff({**grey_tags(64, 48, 8), **tags}, bytes(2_400_000)), "directory")
    yield _refuse(
        "overlapping-strips.tif",
        tiff({**grey_tags(64, 48, 8), 273: (4, 60000, 134), 278: (4, 1, 47)}, bytes(2**18)),
        "many times",
    )
    inner = tiff({33434: (5, 300000, 300)}, bytes(2_400_000))[8:]
    outer = tiff({**grey_tags(64, 48, 8), 34665: (4, 1, 200)}, bytes(54)) + inner
    yield _refuse("exif-rationals.tif", outer)
    yield _refuse("unknown-compression.tif", tiff({**grey_tags(64, 48, 8), 259: (3, 1, 9999)}, bytes(4000)))
    yield _refuse("many-samples.tif", tiff({**grey_tags(64, 48, 8), 277: (3, 1, 60000)}, bytes(4000)))
    yield _refuse(
        "giant-tile.tif",
        tiff({**grey_tags(64, 48, 8), 259: (3, 1, 5), 322: (4, 1, 2**30), 323: (4, 1, 2**30), 324: (4, 1, 8)}),
    )
    zero = {k: v for k, v in grey_tags(64, 48, 8).items() if k != 273}
    yield _refuse("no-strips.tif", tiff(zero, bytes(4000)))
    deflated = encoded("TIFF", compression="tiff_adobe_deflate")
    at = len(deflated) // 2 if deflated[4] == 8 else 20
    yield _refuse("flipped.tif", deflated[:at] + bytes(b ^ 255 for b in deflated[at : at + 8]) + deflated[at + 8 :])


def _bmp() -> Iterator[Case]:
    plain = encoded("BMP")

    def header(offset: int, form: str, value: int) -> bytes:
        return plain[:offset] + struct.pack(form, value) + plain[offset + struct.calcsize(form) :]

    yield _accept("top-down.bmp", header(22, "<i", -HEIGHT))
    yield _refuse("huge-height.bmp", header(22, "<i", 2**31 - 1))
    yield _refuse("least-height.bmp", header(22, "<i", -(2**31)))
    yield _refuse("taller.bmp", header(22, "<i", HEIGHT * 4))
    yield _refuse("huge-width.bmp", header(18, "<L", 2**32 - 1))
    yield _refuse("odd-compression.bmp", header(30, "<L", 77))
    yield _refuse("odd-bits.bmp", header(28, "<H", 13))
    yield _refuse("pixels-nowhere.bmp", header(10, "<L", 2**31))
    yield _refuse("odd-header.bmp", header(14, "<L", 99))
    palette = bytes(1024)
    run = bytes([64, 7, 0, 0]) * 48 + b"\0\1"
    for name, body, fits in (("run-length", run, True), ("broken-run-length", run[:9], False)):
        start = struct.pack("<2sLHHL", b"BM", 54 + 1024 + len(body), 0, 0, 54 + 1024)
        info = struct.pack("<LiiHHLLiiLL", 40, 64, 48, 1, 8, 1, len(body), 0, 0, 256, 0)
        yield (_accept if fits else _refuse)(f"{name}.bmp", start + info + palette + body)
    yield _accept("grey.bmp", encoded("BMP", Image.fromarray(scene()).convert("L")))
    yield _accept("rgba.bmp", encoded("BMP", Image.fromarray(scene()).convert("RGBA")))


def _sizes() -> Iterator[Case]:
    yield _refuse("1x1.png", png(1, 1), "at least 16")
    yield _refuse("15x64.png", png(15, 64), "at least 16")
    yield _refuse("1x20000.png", png(1, 20000), "at least 16")
    yield _refuse("stripe.png", png(16, 1025), "strip")
    yield _refuse("stripe-lying.png", png(20000, 20), "strip")
    yield _accept("16x16.png", png(16, 16), (16, 16))
    yield _accept("64-to-1.png", png(1024, 16), (16, 1024))
    yield _refuse("51-megapixels.png", png(8500, 6001, 1, 0), "megapixels")
    yield _accept("50-megapixels.png", png(8000, 6250, 1, 0), (6250, 8000))
    plain = encoded("PNG")
    yield _refuse("over-16-mib.png", plain + bytes(16 * 2**20 + 1 - len(plain)), "16 MiB")
    yield _accept("just-16-mib.png", plain + bytes(16 * 2**20 - len(plain)))


def _names() -> Iterator[Case]:
    for name in (
        "../../etc/passwd.png",
        "..\\..\\windows\\system32\\photo.png",
        "/",
        "..",
        ".hidden.png",
        "nul\0byte.png",
        "two\nlines.png",
        "tab\tand\x1b[31mred.png",
        "long-" + "x" * 5000 + ".png",
        "right\u202egnp.exe",
        "<img src=x onerror=alert(1)>.png",
        "${jndi:x}`id`$(id);'\"|&.png",
        "=cmd|' /C calc'!A0.png",
        "CON.png",
        "straße 雪 улица.png",
        "e\u0301.png",
        "half-\udc80-surrogate.png",
        "%2e%2e%2fphoto.png",
        " .png",
        "{name!r} %s.png",
    ):
        yield _accept(name, encoded("PNG"))
    yield _refuse("../../two\nlines\u202e\0.png", b"GIF89a", "is not a JPEG")
