"""Label spaces and remaps equal what their data sets document."""

import numpy as np
import pytest

from seglab import labels
from seglab.labels import REMAPS, SPACES, VOID, remap, remap_table, rolls_up, space

# Written by hand from the data sets' documents, not from the code.
CAMVID_NAMES = [
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
]
GROUPS = ["flat", "human", "vehicle", "construction", "object", "nature", "sky"]
CAMVID_TO_8 = {
    "flat": ["road", "pavement"],
    "human": ["pedestrian", "bicyclist"],
    "vehicle": ["car"],
    "construction": ["building", "fence"],
    "object": ["pole", "sign"],
    "nature": ["tree"],
    "sky": ["sky"],
}
TRAIN_IDS = [  # name, raw id, group
    ("road", 7, "flat"),
    ("sidewalk", 8, "flat"),
    ("building", 11, "construction"),
    ("wall", 12, "construction"),
    ("fence", 13, "construction"),
    ("pole", 17, "object"),
    ("traffic light", 19, "object"),
    ("traffic sign", 20, "object"),
    ("vegetation", 21, "nature"),
    ("terrain", 22, "nature"),
    ("sky", 23, "sky"),
    ("person", 24, "human"),
    ("rider", 25, "human"),
    ("car", 26, "vehicle"),
    ("truck", 27, "vehicle"),
    ("bus", 28, "vehicle"),
    ("train", 31, "vehicle"),
    ("motorcycle", 32, "vehicle"),
    ("bicycle", 33, "vehicle"),
]
# Raw ids that belong to a category but to none of the nineteen classes.
CATEGORY_ONLY = {9: "flat", 10: "flat", 14: "construction", 15: "construction", 16: "construction", 18: "object"}
CATEGORY_ONLY |= {29: "vehicle", 30: "vehicle"}


def test_the_spaces_name_their_classes_in_the_order_of_the_ids() -> None:
    assert list(space("camvid-11").names) == CAMVID_NAMES
    assert list(space("cityscapes-19").names) == [name for name, _, _ in TRAIN_IDS]
    assert list(space("cityscapes-8").names) == GROUPS
    assert [s.num_classes for s in SPACES.values()] == [11, 19, 7]


def test_camvid_rolls_up_to_the_eight_groups_as_designed() -> None:
    table = remap_table("camvid-11", "cityscapes-8")
    for group, members in CAMVID_TO_8.items():
        for member in members:
            assert table[CAMVID_NAMES.index(member)] == GROUPS.index(group)
    assert set(table[11:].tolist()) == {VOID}


def test_raw_cityscapes_ids_map_to_the_nineteen_train_ids_and_all_others_to_void() -> None:
    table = remap_table("cityscapes-labelids", "cityscapes-19")
    expected = {raw: train_id for train_id, (_, raw, _) in enumerate(TRAIN_IDS)}
    assert table.tolist() == [expected.get(i, VOID) for i in range(256)]


def test_raw_cityscapes_ids_map_to_their_category() -> None:
    table = remap_table("cityscapes-labelids", "cityscapes-8")
    expected = {raw: GROUPS.index(group) for _, raw, group in TRAIN_IDS}
    expected |= {raw: GROUPS.index(group) for raw, group in CATEGORY_ONLY.items()}
    assert table.tolist() == [expected.get(i, VOID) for i in range(256)]


def test_nineteen_classes_roll_up_to_the_category_of_their_raw_id() -> None:
    table = remap_table("cityscapes-19", "cityscapes-8")
    assert table[:19].tolist() == [GROUPS.index(group) for _, _, group in TRAIN_IDS]
    assert set(table[19:].tolist()) == {VOID}


@pytest.mark.parametrize("pair", REMAPS, ids=" to ".join)
def test_void_stays_void_and_targets_are_classes_of_the_target_space(pair: tuple[str, str]) -> None:
    table = REMAPS[pair]
    assert table.shape == (256,)
    assert table.dtype == np.uint8
    assert table[VOID] == VOID
    assert set(table.tolist()) <= {*range(space(pair[1]).num_classes), VOID}
    assert not table.flags.writeable


@pytest.mark.parametrize("key", SPACES)
def test_a_space_maps_onto_itself(key: str) -> None:
    ids = np.arange(256, dtype=np.uint8).reshape(16, 16)
    expected = np.where(ids < space(key).num_classes, ids, VOID)
    assert np.array_equal(remap(ids, key, key), expected)
    assert rolls_up(key, key)


def test_remap_keeps_shape_and_type() -> None:
    mask = np.array([[3, 4, 8], [9, 255, 11]], np.uint8)
    out = remap(mask, "camvid-11", "cityscapes-8")
    assert out.dtype == np.uint8
    assert out.tolist() == [[0, 0, 2], [1, 255, 255]]


@pytest.mark.parametrize("key", SPACES)
@pytest.mark.parametrize("palette", ["native", "colour-blind"])
def test_the_colours_of_a_space_differ_from_each_other_and_from_void(key: str, palette: labels.Palette) -> None:
    colours = space(key).palette(palette)
    assert len(colours) == space(key).num_classes
    assert len({*colours, (0, 0, 0)}) == len(colours) + 1
    assert all(0 <= c <= 255 for colour in colours for c in colour)


@pytest.mark.parametrize("key", SPACES)
def test_the_colour_table_paints_classes_and_leaves_the_rest_black(key: str) -> None:
    table, n = space(key).lut(), space(key).num_classes
    assert table.shape == (256, 3)
    assert table[:n].tolist() == [list(c) for c in space(key).colours]
    assert not table[n:].any()


def test_an_unknown_space_is_answered_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="camvid-11, cityscapes-19, cityscapes-8, got 'kitti'"):
        space("kitti")


def test_a_finer_space_cannot_be_made_of_a_coarser_one() -> None:
    assert not rolls_up("cityscapes-8", "camvid-11")
    with pytest.raises(ValueError, match="camvid-11 -> cityscapes-8") as caught:
        remap_table("cityscapes-8", "camvid-11")
    assert "got cityscapes-8 -> camvid-11" in str(caught.value)
