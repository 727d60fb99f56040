"""Everything from outside comes in as upright 8-bit RGB or goes away with one sentence."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from seglab.images import ImageError, open_photo
from tests import hostile
from tests.hostile import Case, corpus, encoded, near, scene

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")  # pytest resets the filter that the module sets

INTERNALS = ("Traceback", "PIL", "Pillow", "BytesIO", "0x", "Error", "struct", "unpack", "decoder", "identify")


def refusal(data: bytes | str | Path, name: str | None = None) -> str:
    with pytest.raises(ImageError) as caught:
        open_photo(data, name)
    return str(caught.value)


@pytest.mark.parametrize("case", corpus(), ids=lambda case: ascii(case.name)[1:40])
def test_a_hostile_file_becomes_rgb_or_one_sentence(case: Case) -> None:
    if case.expect == "accept":
        photo = open_photo(case.data, case.name)
        assert photo.pixels.dtype == np.uint8
        assert photo.pixels.ndim == 3
        assert photo.pixels.shape[2] == 3
        assert photo.pixels.flags.c_contiguous
        assert case.size in (None, (photo.height, photo.width))
        assert photo.name
        assert photo.name.isprintable()
        assert len(photo.name) <= 80
        assert not {"/", "\\"} & set(photo.name)
        return
    message = refusal(case.data, case.name)
    assert message.isprintable()  # no newline, control character or change of direction
    assert len(message) < 300
    assert message.endswith(".")
    assert (case.says or "") in message
    assert not [word for word in INTERNALS if word in message]


def test_the_corpus_is_broad_and_its_names_are_unique() -> None:
    names = [case.name for case in corpus()]
    assert len(set(names)) == len(names) > 350
    assert {case.expect for case in corpus()} == {"accept", "refuse"}


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory in Linux units")
def test_refusing_bombs_takes_little_memory() -> None:
    code = (
        "import resource; from tests.hostile import corpus\n"
        "from seglab.images import ImageError, open_photo, open_mask\n"
        "cases = [case for case in corpus() if case.expect == 'refuse']\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "start = peak()\n"
        "for case in cases:\n"
        "    for door in (open_photo, open_mask):\n"
        "        try: door(case.data, case.name)\n"
        "        except ImageError: pass\n"
        "print(peak() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run([sys.executable, "-c", code], cwd=root, env=env, capture_output=True, text=True, check=True)
    here, children = map(int, done.stdout.split())
    assert here < 200  # MiB; the 30000 x 30000 PNG alone would take 900
    assert children < 200


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_every_camera_rotation_comes_out_upright(kind: str, orientation: int) -> None:
    stored = np.ascontiguousarray(hostile.STORED[orientation](scene()))
    photo = open_photo(encoded(kind, stored, exif=hostile.exif(orientation)))
    assert near(photo.pixels, scene(), 60)  # chroma is subsampled; the quarters are 200 apart


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_keep_every_pixel(kind: str, options: dict[str, object]) -> None:
    photo = open_photo(encoded(kind, **options))
    np.testing.assert_array_equal(photo.pixels, scene())
    assert photo.format == kind


def test_cmyk_and_inverted_adobe_cmyk_keep_their_colours() -> None:
    cmyk = Image.fromarray(scene()).convert("CMYK")
    for kind in ("JPEG", "TIFF"):  # Pillow writes Adobe's inverted form into JPEG
        assert near(open_photo(encoded(kind, cmyk)).pixels, scene(), 40)


def test_lab_keeps_its_colours() -> None:
    lab = next(case for case in corpus() if case.name == "mode-LAB.tiff")
    assert near(open_photo(lab.data).pixels, scene(), 12)


@pytest.mark.parametrize("order", ["<", ">"])
def test_sixteen_bits_are_scaled_not_clipped(order: str) -> None:
    values = np.linspace(0, 65535, 48 * 64).reshape(48, 64).astype(np.uint16)
    expected = np.rint(values / 257).astype(np.uint8)
    photos = [open_photo(hostile.tiff_frame("u2", order, values)), open_photo(encoded("PNG", Image.fromarray(values)))]
    for photo in photos:
        np.testing.assert_array_equal(photo.pixels, np.repeat(expected[..., None], 3, axis=2))


def test_twelve_bits_reach_white() -> None:
    tags = {**hostile.grey_tags(64, 48, 12), 273: (4, 1, 134)}
    assert open_photo(hostile.tiff(tags, b"\xff" * 96 * 48)).pixels.min() == 255


def test_float_is_stretched_from_its_least_to_its_greatest_finite_value() -> None:
    values = np.linspace(-3, 5, 48 * 64, dtype=np.float32).reshape(48, 64)
    values[1, :3] = np.nan, np.inf, -np.inf
    pixels = open_photo(hostile.tiff_frame("f4", "<", values, 3)).pixels[..., 0]
    assert (pixels[0, 0], pixels[-1, -1]) == (0, 255)
    assert pixels[1, :3].tolist() == [0, 255, 0]
    assert abs(int(pixels[24, 0]) - 128) <= 2


def test_transparent_parts_lie_on_white() -> None:
    alpha = np.zeros((48, 64, 4), np.uint8)
    alpha[..., :3] = scene()
    alpha[24:, :, 3] = 255
    expected = scene()
    expected[:24] = 255
    np.testing.assert_array_equal(open_photo(encoded("PNG", alpha)).pixels, expected)
    keyed = open_photo(encoded("PNG", transparency=(220, 20, 20))).pixels
    assert keyed[0, 0].tolist() == [255, 255, 255]
    assert keyed[0, -1].tolist() == [20, 200, 20]


@pytest.mark.parametrize("name", ["animated.webp", "animated.png", "pages.tif", "two-shots.mpo"])
def test_the_first_frame_counts(name: str) -> None:
    case = next(case for case in corpus() if case.name == name)
    assert near(open_photo(case.data).pixels, scene(), 60)


def test_a_colour_profile_is_applied_and_srgb_left_alone() -> None:
    # Red and green swapped in a matrix profile: the converted colours show whether the profile was used.
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tmpX").replace(b"gXYZ", b"rXYZ").replace(b"tmpX", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    photo = open_photo(encoded("PNG", icc_profile=swapped))
    assert photo.pixels[0, 0, 1] > 180 > 80 > photo.pixels[0, 0, 0]
    np.testing.assert_array_equal(open_photo(encoded("PNG", icc_profile=srgb)).pixels, scene())


def test_a_path_and_its_bytes_give_the_same_photo(tmp_path: Path) -> None:
    path = tmp_path / "street.jpg"
    path.write_bytes(encoded("JPEG"))
    by_path, by_str, by_bytes = open_photo(path), open_photo(str(path)), open_photo(path.read_bytes(), "street.jpg")
    for photo in (by_path, by_str):
        assert (photo.name, photo.sha256, photo.format) == ("street.jpg", by_bytes.sha256, "JPEG")
        np.testing.assert_array_equal(photo.pixels, by_bytes.pixels)
    assert open_photo(encoded("PNG")).name == "photo"


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    assert "is not a file" in refusal(tmp_path)
    assert "cannot be read" in refusal(tmp_path / "missing.png")
    assert "cannot be read" in refusal("nul\0byte.png")
    assert "cannot be read" in refusal("x" * 9000)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.png")
        assert "is not a file" in refusal(tmp_path / "pipe.png")
    if os.path.exists("/dev/zero"):
        assert "is not a file" in refusal("/dev/zero")
    big = tmp_path / "big.png"
    with big.open("wb") as file:
        file.truncate(2**31)
    assert "16 MiB" in refusal(big)


def test_threads_can_open_photos_together() -> None:
    cases = [case for case in corpus() if len(case.data) < 20_000]
    wrong: list[str] = []

    def work(offset: int) -> None:
        for case in cases[offset::2] + cases[::7]:
            try:
                got = "accept" if open_photo(case.data, case.name) else ""
            except ImageError:
                got = "refuse"
            if got != case.expect:
                wrong.append(case.name)

    threads = [threading.Thread(target=work, args=(i % 2,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
