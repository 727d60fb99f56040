"""Cityscapes is read in its own layout, with raw ids or train ids, as nineteen classes or eight groups."""

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from seglab.data import open_data
from seglab.data.cityscapes import Cityscapes
from seglab.labels import VOID, space
from tests.tiny import city_ids


@pytest.fixture
def own(cityscapes: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny Cityscapes that a test may damage."""
    return Path(shutil.copytree(cityscapes, tmp_path / "cityscapes"))


def test_frames_of_all_cities_come_in_order(cityscapes: Path) -> None:
    data = Cityscapes(cityscapes, "train")
    assert data.stems == [f"{city}_{i:06d}_000019" for city in ("aachen", "bochum") for i in range(2)]
    assert Cityscapes(cityscapes, "val").stems == ["lindau_000000_000019", "lindau_000001_000019"]


def test_raw_ids_become_the_nineteen_train_ids(cityscapes: Path) -> None:
    _, mask = Cityscapes(cityscapes, "train")[0]
    raw = city_ids(0)
    for i in range(34):
        assert set(mask[raw == i].tolist()) == {space("cityscapes-19").raw_ids.get(i, VOID)}


def test_train_ids_are_read_as_they_are(cityscapes: Path) -> None:
    _, mask = Cityscapes(cityscapes, "train")[2]
    raw = city_ids(2)
    assert set(mask[raw == 26].tolist()) == {13}
    assert set(np.unique(mask).tolist()) == {*range(19), VOID}


def test_the_eight_groups_count_categories_that_the_nineteen_classes_leave_out(cityscapes: Path) -> None:
    _, raw_groups = Cityscapes(cityscapes, "train", "cityscapes-8")[0]
    _, train_groups = Cityscapes(cityscapes, "train", "cityscapes-8")[2]
    assert set(np.unique(raw_groups).tolist()) == {*range(7), VOID}
    assert set(raw_groups[city_ids(0) == 9].tolist()) == {0}  # parking is flat
    assert set(train_groups[city_ids(2) == 9].tolist()) == {VOID}  # train ids have lost it
    assert set(train_groups[city_ids(2) == 26].tolist()) == {2}


def test_the_data_set_opens_by_its_name(cityscapes: Path) -> None:
    data = open_data("cityscapes", cityscapes, "val", "cityscapes-8")
    assert (data.name, data.split, data.label_space, len(data)) == ("cityscapes", "val", "cityscapes-8", 2)


def test_a_label_space_of_another_data_set_is_refused(cityscapes: Path) -> None:
    with pytest.raises(ValueError, match="expected cityscapes-19 or cityscapes-8 for Cityscapes, got 'camvid-11'"):
        Cityscapes(cityscapes, "train", "camvid-11")


def test_a_missing_split_is_named(cityscapes: Path) -> None:
    with pytest.raises(ValueError, match=r"found no folder .*leftImg8bit/test; pass --data DIR"):
        Cityscapes(cityscapes, "test")


def test_a_folder_without_images_is_named(own: Path) -> None:
    shutil.rmtree(own / "leftImg8bit" / "val" / "lindau")
    with pytest.raises(ValueError, match=r"expected images named \*_leftImg8bit\.png"):
        Cityscapes(own, "val")


def test_a_missing_mask_is_named_with_both_names_it_could_have(own: Path) -> None:
    for path in (own / "gtFine" / "val" / "lindau").iterdir():
        path.unlink()
    with pytest.raises(ValueError, match=r"lindau_000000_000019_gtFine_labelIds\.png or .*_labelTrainIds\.png"):
        Cityscapes(own, "val")


@pytest.mark.parametrize(("city", "wrong"), [("aachen", 34), ("bochum", 19)])
def test_an_id_outside_its_kind_of_mask_is_named(own: Path, city: str, wrong: int) -> None:
    data = Cityscapes(own, "train")
    index = data.stems.index(f"{city}_000000_000019")
    path = data.pairs[index][2]
    mask = np.zeros((64, 96), np.uint8)
    mask[0, 0] = wrong
    cv2.imwrite(str(path), mask)
    with pytest.raises(ValueError, match=rf"{path.name}, got \[{wrong}\]"):
        data[index]


def test_the_fingerprint_tells_two_splits_and_two_kinds_of_mask_apart(own: Path) -> None:
    before = Cityscapes(own, "val").fingerprint()
    assert before != Cityscapes(own, "train").fingerprint()
    for path in (own / "gtFine" / "val" / "lindau").glob("*_labelIds.png"):
        path.unlink()
    assert Cityscapes(own, "val").fingerprint() != before
