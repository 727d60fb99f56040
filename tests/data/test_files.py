"""A data set's files are read as stored: image and mask in one frame, ids as numbers whatever kind of PNG holds them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from seglab.data import Resized, Subset, tags_note
from seglab.data.camvid import CamVid
from seglab.data.cityscapes import Cityscapes
from seglab.data.files import read_mask, read_pair
from seglab.images import open_mask
from tests import hostile
from tests.hostile import IDS, exif, scene
from tests.tiny import UNLABELLED, street, write_camvid


def save(path: Path, pixels: np.ndarray, orientation: int = 1, **options: object) -> Path:
    """Write pixels as they are, with a tag that says how to turn them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.ascontiguousarray(pixels)).save(path, exif=exif(orientation), **options)
    return path


def packed(bits: int, colour: int, ids: np.ndarray = IDS) -> bytes:
    """Return a PNG of ids: grey (0) or palette (3), of so many bits, its palette red and the like."""
    rows = np.packbits(np.unpackbits(ids[..., None], axis=2)[..., 8 - bits :].reshape(len(ids), -1), axis=1)
    palette = hostile.chunk(b"PLTE", bytes(range(255, 255 - 3 * 2 ** min(bits, 6), -1))) if colour else b""
    return hostile.png(
        ids.shape[1], ids.shape[0], bits, colour, b"".join(b"\0" + row.tobytes() for row in rows), palette
    )


@pytest.mark.parametrize("suffix", [".jpg", ".png"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_orientation_tag_turns_neither_image_nor_mask(tmp_path: Path, suffix: str, orientation: int) -> None:
    image = save(tmp_path / f"a{suffix}", scene(), orientation)
    mask = save(tmp_path / "mask.png", IDS, orientation)
    pixels, ids = read_pair(image, mask)
    assert hostile.near(pixels, scene(), 60)
    np.testing.assert_array_equal(ids, IDS)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_on_request_the_tag_turns_both(tmp_path: Path, orientation: int) -> None:
    stored = hostile.STORED[orientation]
    image = save(tmp_path / "a.jpg", stored(scene()), orientation, quality=95)
    mask = save(tmp_path / "mask.png", stored(IDS))
    pixels, ids = read_pair(image, mask, turned=True)
    assert hostile.near(pixels, scene(), 60)
    np.testing.assert_array_equal(ids, IDS)


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("colour", [0, 3])
def test_grey_and_palette_masks_of_any_depth_hold_the_same_ids_at_every_door(
    tmp_path: Path, bits: int, colour: int
) -> None:
    ids = IDS % np.uint8(min(2**bits, 4))
    path = tmp_path / "mask.png"
    path.write_bytes(packed(bits, colour, ids))
    read = read_mask(path)
    np.testing.assert_array_equal(read, ids)
    np.testing.assert_array_equal(open_mask(path), ids)
    assert read.dtype == np.uint8
    read[0, 0] = 1  # the readers write into it


def test_a_palette_that_is_partly_clear_holds_ids_too(tmp_path: Path) -> None:
    image = Image.fromarray(IDS)
    indexed = Image.frombytes("P", image.size, IDS.tobytes())
    indexed.putpalette(bytes(range(256)) * 3)
    for name, options in {
        "one": {"transparency": 2},
        "all": {"transparency": bytes(range(256))},
        "packed": {"bits": 2},
    }.items():
        indexed.save(tmp_path / f"{name}.png", **options)
        np.testing.assert_array_equal(read_mask(tmp_path / f"{name}.png"), IDS)


@pytest.mark.parametrize("kind", ["cut", "noise", "no palette"])
def test_a_broken_palette_mask_is_named(tmp_path: Path, kind: str) -> None:
    data = packed(8, 3)
    broken = {"cut": data[: len(data) // 2], "noise": data[:40] + bytes(200), "no palette": data[:30]}[kind]
    (tmp_path / "mask.png").write_bytes(broken)
    with pytest.raises(ValueError, match=r"8-bit single-channel mask of class ids \(grey or palette\) in .*mask\.png"):
        read_mask(tmp_path / "mask.png")


def test_a_data_set_of_palette_masks_is_that_of_grey_masks(tmp_path: Path, cityscapes: Path) -> None:
    root = write_camvid(tmp_path / "camvid")
    before = [CamVid(root, "train")[i] for i in range(6)]
    for path in (root / "trainannot").iterdir():
        path.write_bytes(packed(8, 3, cv2.imread(str(path), cv2.IMREAD_UNCHANGED)))
    for (_, ids), (_, palette) in zip(before, (CamVid(root, "train")[i] for i in range(6)), strict=True):
        np.testing.assert_array_equal(palette, ids)
    data = Cityscapes(cityscapes, "train")
    stem, image, mask = data.pairs[0]
    _, ids = data[0]
    recoloured = tmp_path / mask.name
    recoloured.write_bytes(packed(8, 3, cv2.imread(str(mask), cv2.IMREAD_UNCHANGED)))
    data.pairs[0] = (stem, image, recoloured)
    np.testing.assert_array_equal(data[0][1], ids)


def test_tags_are_counted_and_told_where_they_are_not_followed(tmp_path: Path) -> None:
    data = CamVid(write_camvid(tmp_path / "camvid", upside_down=(1, 4)), "train")
    assert list(data.unturned) == [data.stems[1], data.stems[4]]
    assert tags_note(data) == (
        "note: EXIF would turn 2 of the 6 images in camvid train; they are read as stored, as their masks are (data.turned "
        "turns both)"
    )
    assert list(Subset(data, 3).unturned) == [s for s in Subset(data, 3).stems if s in data.unturned]
    assert tags_note(Resized(data, (32, 48))) == tags_note(data)
    assert tags_note(CamVid(write_camvid(tmp_path / "plain"), "train")) == ""


def test_a_turned_data_set_is_another_data_set_and_has_nothing_to_tell(tmp_path: Path) -> None:
    root = write_camvid(tmp_path / "camvid", upside_down=(1, 4))
    stored, turned = CamVid(root, "train"), CamVid(root, "train", turned=True)
    assert tags_note(turned) == ""
    assert turned.fingerprint() != stored.fingerprint()
    for i in range(6):
        image, ids = street(i)
        ids = np.where(ids == UNLABELLED, 255, ids)
        flip = slice(None, None, -1 if i in (1, 4) else 1)
        np.testing.assert_array_equal(stored[i][0], image)
        np.testing.assert_array_equal(stored[i][1], ids)
        np.testing.assert_array_equal(turned[i][0], image[flip, flip])
        np.testing.assert_array_equal(turned[i][1], ids[flip, flip])
