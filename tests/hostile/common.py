"""What every format has: whole files, cut files, odd sizes and names; and files that are no image."""

from collections.abc import Iterator

import numpy as np
from PIL import Image, ImageCms

from seglab.images.formats import FORMATS
from tests.hostile.build import STORED, Case, accept, encoded, exif, png, refuse, scene


def cases() -> Iterator[Case]:
    """Yield every case, always in the same order."""
    for kind in (_foreign, _cut, _valid, _sizes, _names):
        yield from kind()


def _foreign() -> Iterator[Case]:
    yield refuse("empty.jpg", b"", "is empty")
    yield refuse("one-byte.png", b"\x89", "is not a JPEG")
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
        "scene.ico": encoded("ICO"),
        "scene.ppm": encoded("PPM"),
        "scene.tga": encoded("TGA"),
        "scene.pcx": encoded("PCX"),
        "scene.sgi": encoded("SGI"),
        "scene.dib": encoded("BMP")[14:],
        "scene.psd": b"8BPS\0\x01" + bytes(60),
        "scene.jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(60),
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
        yield refuse(name, data, f"is not a {FORMATS} image")
    yield refuse("bmw.txt", b"BMW and other cars in the street, a list of makes and models", "is damaged")


def _cut() -> Iterator[Case]:
    for kind in ("JPEG", "PNG", "WEBP", "BMP", "TIFF"):
        data = encoded(kind)
        for share in (5, 20, 50, 80, 95):
            yield refuse(f"cut-{share}.{kind.lower()}", data[: len(data) * share // 100])
        yield refuse(f"start-only.{kind.lower()}", data[:12])
    yield refuse("cut.lzw.tif", encoded("TIFF", compression="tiff_lzw")[:-200])
    progressive = encoded("JPEG", progressive=True)
    yield refuse("cut-progressive.jpg", progressive[: len(progressive) * 6 // 10])
    yield refuse("no-end.png", encoded("PNG")[:-12], "is damaged")


def _valid() -> Iterator[Case]:
    image = Image.fromarray(scene())
    for orientation, stored in STORED.items():
        data = encoded("JPEG", np.ascontiguousarray(stored(scene())), quality=95, exif=exif(orientation))
        yield accept(f"orientation-{orientation}.jpg", data)
    turned = np.ascontiguousarray(STORED[6](scene()))
    for kind in ("PNG", "WEBP", "TIFF"):
        yield accept(f"orientation-6.{kind.lower()}", encoded(kind, turned, exif=exif(6)))
    for mode in ("L", "1", "P", "CMYK", "LA", "RGBA", "PA", "LAB", "YCbCr"):
        kind = {"L": "PNG", "1": "PNG", "P": "PNG", "LA": "PNG", "RGBA": "PNG", "CMYK": "JPEG"}.get(mode, "TIFF")
        if mode == "LAB":
            to_lab = ImageCms.buildTransform(
                ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB"
            )
            converted = to_lab.apply(image)
        else:
            converted = image.convert(mode)
        yield accept(f"mode-{mode}.{kind.lower()}", encoded(kind, converted))
    yield accept("grey.jpg", encoded("JPEG", image.convert("L")))
    yield accept("progressive.jpg", encoded("JPEG", progressive=True))
    yield accept("cmyk.tif", encoded("TIFF", image.convert("CMYK")))
    yield accept("palette-clear.png", encoded("PNG", image.quantize(4), transparency=bytes([0, 128, 255, 255])))
    yield accept("palette-one-clear.png", encoded("PNG", image.quantize(4), transparency=2))
    yield accept("rgb-key.png", encoded("PNG", transparency=(220, 20, 20)))
    yield accept("lossless.webp", encoded("WEBP", lossless=True))
    yield accept("rgba.webp", encoded("WEBP", image.convert("RGBA")))
    pages = {"save_all": True, "append_images": [image.rotate(180), image.resize((32, 32))]}
    yield accept("pages.tif", encoded("TIFF", image, **pages))
    pages["append_images"] = [image.rotate(180)]
    yield accept("animated.webp", encoded("WEBP", image, duration=50, **pages))
    yield accept("animated.png", encoded("PNG", image, duration=50, **pages))
    yield accept("two-shots.mpo", encoded("MPO", image, **pages))
    for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits"):
        yield accept(f"{compression}.tif", encoded("TIFF", image, compression=compression))
    yield accept("fax.tif", encoded("TIFF", image.convert("1"), compression="group4"))
    swapped = {"jpg": "PNG", "png": "JPEG", "gif": "WEBP", "txt": "BMP", "bmp": "TIFF"}
    for suffix, kind in swapped.items():
        yield accept(f"really-{kind.lower()}.{suffix}", encoded(kind))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    for kind in ("JPEG", "PNG", "WEBP", "TIFF"):
        yield accept(f"profile.{kind.lower()}", encoded(kind, icc_profile=profile))
        yield accept(f"bad-profile.{kind.lower()}", encoded(kind, icc_profile=b"acsp" * 64))
    yield accept("foreign-profile.jpg", encoded("JPEG", image.convert("L"), icc_profile=profile))


def _sizes() -> Iterator[Case]:
    yield refuse("1x1.png", png(1, 1), "at least 16")
    yield refuse("15x64.png", png(15, 64), "at least 16")
    yield refuse("1x20000.png", png(1, 20000), "at least 16")
    yield refuse("stripe.png", png(16, 1025), "a strip over")
    yield refuse("stripe-lying.png", png(20000, 20), "a strip over")
    yield accept("16x16.png", png(16, 16), (16, 16))
    yield accept("64-to-1.png", png(1024, 16), (16, 1024))
    yield refuse("51-megapixels.png", png(8500, 6001, 1, 0), "over 50 megapixels")
    yield accept("50-megapixels.png", png(8000, 6250, 1, 0), (6250, 8000))
    plain = encoded("PNG")
    yield refuse("over-16-mib.png", plain + bytes(16 * 2**20 + 1 - len(plain)), "16 MiB")
    yield accept("just-16-mib.png", plain + bytes(16 * 2**20 - len(plain)))


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
        yield accept(name, encoded("PNG"))
    yield refuse("../../two\nlines\u202e\0.png", b"GIF88a", "is not a JPEG")
