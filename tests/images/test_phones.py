"""HEIC, AVIF and GIF come out upright, in eight bits and sRGB, whatever they say; a decoder's crash stays outside."""

import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pi_heif
import pytest
from PIL import Image, ImageCms, features

from seglab.images import ImageError, open_photo
from seglab.images.heif import av1, decoder
from seglab.images.heif.container import open_container
from tests.hostile import corpus, encoded, exif, near, scene
from tests.hostile.boxes import Item, body_of, box, coded, container, fixture, imir, irot, tiled

pytestmark = pytest.mark.filterwarnings("ignore:::PIL")
CODINGS = ("HEIC", "AVIF")
ROOT = Path(__file__).parents[2]


def test_this_pillow_reads_avif() -> None:
    assert features.check("avif")


@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("quarters", range(4))
@pytest.mark.parametrize("coding", CODINGS)
def test_the_containers_turns_are_applied_once_and_exif_never(coding: str, quarters: int, axis: int | None) -> None:
    turns = [irot(quarters)] * (quarters > 0) + ([] if axis is None else [imir(axis)])
    expected = np.rot90(scene(), quarters)
    if axis is not None:
        expected = np.flip(expected, axis)
    picture = coded(coding, (64, 48), *turns)
    photo = open_photo(container([picture]))
    assert photo.format == coding
    assert photo.pixels.shape == expected.shape
    wrong = (
        np.abs(photo.pixels.astype(int) - expected).max(axis=2) > 90
    )  # quarters are 200 apart, their borders blurred
    assert wrong.mean() < 0.05
    for orientation in (3, 6):
        tagged = container([picture, Item(b"Exif", bytes(4) + exif(orientation)[6:])], [(b"cdsc", 2, [1])])
        np.testing.assert_array_equal(open_photo(tagged).pixels, photo.pixels)


@pytest.mark.parametrize("bits", [10, 12])
def test_a_ramp_of_more_bits_in_avif_stays_a_ramp(bits: int) -> None:
    top = 2**bits - 1
    ramp = (np.arange(64) * top // 63).astype(np.uint16)
    options = [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100]
    ok, data = cv2.imencode(".avif", np.broadcast_to(ramp[None, :, None], (64, 64, 3)).copy(), options)
    assert ok
    assert body_of(data.tobytes(), b"pixi")[-1] == bits
    pixels = open_photo(data.tobytes()).pixels
    assert np.abs(pixels - (ramp * (255 / top))[None, :, None]).max() <= 1


def test_a_ramp_of_ten_bits_in_heic_stays_a_ramp() -> None:
    assert body_of(fixture("ramp-10bit"), b"pixi")[-1] == 10
    pixels = open_photo(fixture("ramp-10bit")).pixels
    assert np.abs(pixels - (np.arange(0, 1024, 16) * (255 / 1023))[None, :, None]).max() <= 1


def test_transparent_parts_lie_on_white() -> None:
    clear = np.dstack([scene(), np.repeat([0, 255], 24).astype(np.uint8)[:, None].repeat(64, 1)])
    expected = scene()
    expected[:24] = 255
    for data in (fixture("alpha"), encoded("AVIF", clear)):
        assert near(open_photo(data).pixels, expected, 60)
    gif = open_photo(encoded("GIF", Image.fromarray(scene()).quantize(4), transparency=0)).pixels
    white = (gif == 255).all(axis=2)
    assert white.sum() == 24 * 32
    np.testing.assert_array_equal(gif[~white], scene()[~white])


@pytest.mark.parametrize("coding", CODINGS)
def test_a_colour_profile_is_applied(coding: str) -> None:
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tmpX").replace(b"gXYZ", b"rXYZ").replace(b"tmpX", b"gXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "swap".encode("utf-16-be"))
    plain = open_photo(container([coded(coding, (64, 48), box(b"colr", b"prof", srgb))])).pixels
    assert near(plain, scene(), 60)
    photo = open_photo(container([coded(coding, (64, 48), box(b"colr", b"prof", swapped))]))
    assert photo.pixels[4, 4, 1] > 180 > 80 > photo.pixels[4, 4, 0]


@pytest.mark.parametrize("coding", CODINGS)
def test_tiles_are_laid_row_by_row(coding: str) -> None:
    pixels = open_photo(container(tiled(coding, 2, 3))).pixels
    for row in range(2):
        for column in range(3):
            assert near(pixels[64 * row :][:48, 64 * column :][:, :64], scene(), 60)


def test_of_a_sequence_the_primary_picture_counts_and_of_a_gif_the_first_frame() -> None:
    more = {"save_all": True, "append_images": [Image.fromarray(255 - scene())] * 3, "duration": 50}
    for kind in ("AVIF", "GIF"):
        assert near(open_photo(encoded(kind, Image.fromarray(scene()), **more)).pixels, scene(), 60)
    burst = container([Item(b"hvc1", b"", ()), coded("HEIC")], primary=2)
    assert near(open_photo(burst).pixels, scene(), 60)


def test_content_decides_not_the_brand() -> None:
    for coding in CODINGS:
        for brand in (b"heic", b"avif", b"avis", b"msf1"):
            assert open_photo(container([coded(coding)], brand=brand), "photo.jpg").format == coding


def test_the_size_inside_an_av1_picture_is_read() -> None:
    for width, height in ((64, 48), (65, 300), (1000, 17)):
        data = encoded("AVIF", np.zeros((height, width, 3), np.uint8), speed=10)
        assert av1.coded_size(body_of(data, b"mdat")) == (width, height)


def _header(sizes: str, *parts: str) -> bytes:
    """Return an AV1 unit whose sequence header is written bit by bit: 16 bits each for width and height."""
    bits = "".join(parts) + "1111" * 2 + sizes
    body = bytes(int(bits[i : i + 8].ljust(8, "0"), 2) for i in range(0, len(bits), 8))
    return bytes([0x0A, len(body)]) + body


def test_the_size_is_found_behind_every_optional_part_of_a_sequence_header() -> None:
    sizes = f"{6000 - 1:016b}{4000 - 1:016b}"
    level, tier = "0" * 12 + "00100", "0" * 12 + "11111" + "1"
    timing = "1" + "0" * 64
    plain = _header(sizes, "000", "0", "0", "0", "0", "00000", level)
    still = _header(sizes, "000", "1", "1", "00100")
    delays = _header(sizes, "000", "0", "0", "0", "1", "00001", level, "1" + "0101", tier, "0")
    ticks = _header(sizes, "000", "0", "0", timing + "1" + "001" + "11", "0", "0", "00000", level)
    model = _header(
        sizes, "000", "0", "0", timing + "0", "1" + "00011" + "0" * 42, "0", "00001", level, "1" + "0" * 9, level, "0"
    )
    for data in (plain, still, delays, ticks, model):
        assert av1.coded_size(data) == (6000, 4000)
        assert av1.coded_size(b"\x12\0" + still[:1] + still[1:] + data) == (6000, 4000)


CHILDREN = {
    "crashes": "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)",
    "exits unread": "raise SystemExit(0)",
    "says nothing": "import sys; sys.stdin.buffer.read()",
    "says nonsense": "import sys; sys.stdin.buffer.read(); print('[]'); print('x' * 100)",
    "claims a gigapixel": 'import sys; sys.stdin.buffer.read(); print(\'{"mode": "RGB", "size": [40000, 40000], '
    '"stride": 120000, "profile": 0}\')',
    "stops half way": 'import sys; sys.stdin.buffer.read(); print(\'{"mode": "RGB", "size": [64, 48], "stride": 192, '
    '"profile": 0}\'); print("x" * 100)',
}


@pytest.mark.parametrize("code", CHILDREN.values(), ids=CHILDREN)
def test_whatever_becomes_of_the_decoders_process_is_one_sentence(
    code: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = tmp_path / "child.py"
    child.write_text(code)
    monkeypatch.setattr(decoder, "_CHILD", child)
    big = fixture("scene") + bytes(2**20)  # more than a pipe holds
    for data in (fixture("scene"), big):
        with pytest.raises(ImageError, match=r"^a\.heic is damaged, or a HEIC of an unusual kind; .*\.$"):
            open_photo(data, "a.heic")


def test_a_decoder_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    child = tmp_path / "child.py"
    child.write_text("import time; time.sleep(600)")
    monkeypatch.setattr(decoder, "_CHILD", child)
    monkeypatch.setattr(decoder, "_PATIENCE_S", 0.3)
    with pytest.raises(ImageError, match="takes too long"):
        open_photo(fixture("scene"), "a.heic")


def test_where_no_process_can_start_the_sentence_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(ImageError, match="no process could be started; save it as a JPEG"):
        open_photo(fixture("scene"), "a.heic")


def test_the_decoders_process_is_gone_when_the_photo_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Listening(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *args: object, **options: object) -> None:
            super().__init__(*args, **options)  # type: ignore[call-overload]
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Listening)
    threads = threading.active_count()
    open_photo(fixture("scene"))
    with pytest.raises(ImageError):
        open_photo(container([replace(coded("HEIC"), data=b"\x0a" * 400)]))
    assert [child.returncode is None for child in started] == [False, False]
    assert threading.active_count() == threads


FUZZ = """
import sys
import numpy as np
from seglab.images import ImageError, open_photo
from seglab.images.heif.container import open_container
from tests.hostile import corpus
import pi_heif
import resource
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
files = [c.data for c in corpus() if c.expect == "accept" and len(c.data) < 5000 and c.name.endswith(sys.argv[1])]
start, read, rng = peak(), 0, np.random.default_rng(0)
for _ in range(int(sys.argv[2])):
    data = bytearray(files[rng.integers(len(files))])
    for _ in range(rng.integers(1, 8)):
        data[rng.integers(len(data))] = rng.integers(256)
    try:
        if sys.argv[1] == ".heic":  # its decoder in this process, to see it crash
            pi_heif.open_heif(open_container(bytes(data), "x").data).to_pillow()
        else:
            open_photo(bytes(data))
        read += 1
    except Exception as error:
        assert isinstance(error, ImageError) or sys.argv[1] == ".heic"
        pass
print(read, peak() - start)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak memory in Linux units")
@pytest.mark.parametrize("suffix", [".heic", ".avif", ".gif"])
def test_flipped_bytes_crash_nothing_and_take_little_memory(suffix: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FUZZ, suffix, "600"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    read, mib = map(int, done.stdout.split())
    assert 0 < read < 600
    assert mib < 200


def test_a_kind_of_item_that_crashes_the_bindings_never_reaches_them() -> None:
    tag = Item(b"E\xc2if", bytes(40))  # not UTF-8: a null pointer in pi-heif 1.4.0
    data = container([coded("HEIC"), tag], [(b"cdsc", 2, [1])])
    assert near(open_photo(data).pixels, scene(), 60)
    file = pi_heif.open_heif(open_container(data, "x").data)
    assert file.info["metadata"] == []


@pytest.mark.parametrize("name", ["burst.heic", "second-is-primary.heic", "hundreds-of-tags.heic"])
def test_the_decoder_sees_one_picture_and_no_metadata(name: str) -> None:
    data = next(case.data for case in corpus() if case.name == name)
    file = pi_heif.open_heif(open_container(data, "x").data)
    assert len(file) == 1
    assert file.info["metadata"] == file.info["thumbnails"] == []


def test_no_reason_is_proved_by_the_name_of_the_file() -> None:
    assert not [case.name for case in corpus() if case.says and case.says in case.name]


def test_the_corpus_has_many_phone_files() -> None:
    for end in (".heic", ".avif", ".gif"):
        for expect in ("accept", "refuse"):
            assert len([c for c in corpus() if c.name.endswith(end) and c.expect == expect]) >= 6
