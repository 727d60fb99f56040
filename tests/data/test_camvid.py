"""CamVid is read in the SegNet tutorial's layout, and whatever is not that is named."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from seglab.data import open_data
from seglab.data.camvid import CamVid
from seglab.labels import VOID
from tests.tiny import HEIGHT, UNLABELLED, WIDTH, street, write_camvid


@pytest.fixture
def own(camvid: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny CamVid that a test may damage."""
    return Path(shutil.copytree(camvid, tmp_path / "camvid"))


def mask_file(root: Path) -> Path:
    return sorted((root / "trainannot").iterdir())[0]


def test_a_frame_is_rgb_and_its_mask_holds_ids_with_unlabelled_as_void(camvid: Path) -> None:
    data = CamVid(camvid, "train")
    image, mask = data[2]
    drawn, ids = street(2)
    assert np.array_equal(image, drawn)
    assert np.array_equal(mask, np.where(ids == UNLABELLED, VOID, ids))
    assert image.dtype == mask.dtype == np.uint8
    assert (mask == VOID).any()


def test_frames_come_in_the_order_of_their_names(camvid: Path) -> None:
    data = CamVid(camvid, "train")
    assert len(data) == 6
    assert data.stems == sorted(data.stems)
    assert len(CamVid(camvid, "val")) == 3


def test_recordings_are_kept_or_left_out_by_name(camvid: Path) -> None:
    every = CamVid(camvid, "train").stems
    only = CamVid(camvid, "train", ["0001TP", "0016E5"]).stems
    rest = CamVid(camvid, "train", ["-0001TP", "-0016E5"]).stems
    assert sorted([*only, *rest]) == every
    assert {s[:6] for s in only} == {"0001TP", "0016E5"}
    assert {s[:6] for s in rest} == {"0006R0"}
    with pytest.raises(ValueError, match=r"expected images with masks in .*train, found none"):
        CamVid(camvid, "train", ["nothing"])


def test_the_data_set_opens_by_its_name(camvid: Path) -> None:
    data = open_data("camvid", camvid, "val", "camvid-11")
    assert (data.name, data.split, data.label_space, len(data)) == ("camvid", "val", "camvid-11", 3)
    with pytest.raises(ValueError, match="out of camvid, cityscapes; got 'kitti'"):
        open_data("kitti", camvid, "val", "camvid-11")


@pytest.mark.parametrize("missing", ["train", "trainannot"])
def test_a_missing_folder_is_named_with_what_to_do(own: Path, missing: str) -> None:
    shutil.rmtree(own / missing)
    with pytest.raises(ValueError, match=f"found no folder .*{missing}; pass --data DIR"):
        CamVid(own, "train")


def test_a_missing_mask_is_named(own: Path) -> None:
    gone = mask_file(own)
    gone.unlink()
    with pytest.raises(ValueError, match=f"expected a mask {gone.name} in .*trainannot"):
        CamVid(own, "train")


@pytest.mark.parametrize("wrong", [12, 33, 254])
def test_an_id_of_no_class_is_named_with_its_file(own: Path, wrong: int) -> None:
    mask = np.full((HEIGHT, WIDTH), 3, np.uint8)
    mask[0, 0] = wrong
    cv2.imwrite(str(mask_file(own)), mask)
    with pytest.raises(ValueError, match=rf"expected ids 0\.\.10 or void in .*{mask_file(own).name}, got \[{wrong}\]"):
        CamVid(own, "train")[0]


@pytest.mark.parametrize("kind", ["colour", "16-bit", "text", "empty"])
def test_a_mask_that_is_no_8_bit_grey_image_is_refused(own: Path, kind: str) -> None:
    path = mask_file(own)
    if kind == "colour":
        cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH, 3), np.uint8))
    elif kind == "16-bit":
        cv2.imwrite(str(path), np.zeros((HEIGHT, WIDTH), np.uint16))
    else:
        path.write_bytes(b"road" if kind == "text" else b"")
    with pytest.raises(ValueError, match="expected an 8-bit single-channel mask of class ids"):
        CamVid(own, "train")[0]


def test_an_image_that_cannot_be_read_is_named(own: Path) -> None:
    path = sorted((own / "train").iterdir())[0]
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ValueError, match=f"expected an image in .*{path.name}"):
        CamVid(own, "train")[0]


def test_a_mask_of_another_size_than_its_image_is_refused(own: Path) -> None:
    cv2.imwrite(str(mask_file(own)), np.zeros((HEIGHT, WIDTH + 1), np.uint8))
    with pytest.raises(ValueError, match=rf"expected a mask of \({HEIGHT}, {WIDTH}\) pixels"):
        CamVid(own, "train")[0]


def test_the_fingerprint_follows_the_content_and_not_the_place(camvid: Path, own: Path, tmp_path: Path) -> None:
    first = CamVid(camvid, "train").fingerprint()
    assert CamVid(own, "train").fingerprint() == first
    assert CamVid(write_camvid(tmp_path / "again"), "train").fingerprint() == first
    assert CamVid(own, "val").fingerprint() != first
    mask = cv2.imread(str(mask_file(own)), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    mask[0, 0] ^= 1
    cv2.imwrite(str(mask_file(own)), mask)
    assert CamVid(own, "train").fingerprint() != first
