"""Remaps equal what the data sets document, and those of before the spaces were data."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from seglab.labels import GROUPS as GROUP_SPACE
from seglab.labels import (
    REMAPS,
    SPACES,
    VOID,
    common_spaces,
    lost_in,
    remap,
    remap_table,
    rolls_up,
    space,
    table_between,
)

# Tables, names and colours as the Python module had them, before each space became a YAML file.
BEFORE = json.loads(Path(__file__).with_name("before_yaml.json").read_text())

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
    assert [space(key).num_classes for key in ("camvid-11", "cityscapes-19", "cityscapes-8")] == [11, 19, 7]


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


@pytest.mark.parametrize("pair", BEFORE["remaps"])
def test_a_table_is_the_one_from_before_the_spaces_were_data(pair: str) -> None:
    source, target = pair.split(" -> ")
    before = np.full(256, VOID, np.uint8)
    for raw, label in BEFORE["remaps"][pair].items():
        before[int(raw)] = label
    assert remap_table(source, target).tobytes() == before.tobytes()
    assert REMAPS[source, target].tobytes() == before.tobytes()


def test_no_further_table_connects_the_spaces_from_before() -> None:
    before = {*BEFORE["spaces"], "cityscapes-labelids"}
    assert {f"{a} -> {b}" for a, b in REMAPS if {a, b} <= before} == set(BEFORE["remaps"])


@pytest.mark.parametrize("key", SPACES)
def test_every_space_rolls_up_into_the_groups(key: str) -> None:
    table = remap_table(key, GROUP_SPACE)
    told = [None if i == VOID else space(GROUP_SPACE).names[i] for i in table[: space(key).num_classes]]
    assert told == [*(space(key).names if key == GROUP_SPACE else space(key).groups)]


def test_a_class_goes_where_its_own_line_says_and_maps_are_not_chained() -> None:
    road, car = space("camvid-11").classes[3], space("camvid-11").classes[8]
    mine = replace(space("camvid-11"), key="mine", classes=(replace(car, maps=(("camvid-11", "road"),)), road))
    table = table_between(mine, space("camvid-11"))
    assert table is not None
    assert table[:3].tolist() == [3, VOID, VOID]
    assert table_between(mine, space("cityscapes-8"))[:2].tolist() == [2, 0]  # type: ignore[index]
    assert table_between(mine, space("cityscapes-19")) is None


def test_remap_keeps_shape_and_type() -> None:
    mask = np.array([[3, 4, 8], [9, 255, 11]], np.uint8)
    out = remap(mask, "camvid-11", "cityscapes-8")
    assert out.dtype == np.uint8
    assert out.tolist() == [[0, 0, 2], [1, 255, 255]]


def test_a_finer_space_cannot_be_made_of_a_coarser_one() -> None:
    assert not rolls_up("cityscapes-8", "camvid-11")
    with pytest.raises(ValueError, match="cityscapes-8 -> cityscapes-8; got cityscapes-8 -> camvid-11"):
        remap_table("cityscapes-8", "camvid-11")


@pytest.mark.parametrize(("source", "target"), [("kitti", "camvid-11"), ("camvid-11", "kitti"), ("", "")])
def test_what_is_no_space_has_no_table(source: str, target: str) -> None:
    assert not rolls_up(source, target)
    assert (source, target) not in REMAPS
    with pytest.raises(ValueError, match=f"camvid-11 -> cityscapes-8.*; got {source} -> {target}"):
        remap_table(source, target)


@pytest.mark.parametrize(
    ("own", "offered"),
    [
        (["camvid-11"], ["camvid-11", "cityscapes-8"]),
        (["cityscapes-19"], ["cityscapes-19", "cityscapes-8"]),
        (["cityscapes-8", "cityscapes-8"], ["cityscapes-8"]),
        (["camvid-11", "cityscapes-19"], ["cityscapes-8"]),
        (["ade20k-150", "cityscapes-19"], ["cityscapes-19", "cityscapes-8"]),
        (["camvid-11", "nowhere"], []),
    ],
)
def test_what_spaces_have_in_common_is_offered_the_finest_first(own: list[str], offered: list[str]) -> None:
    assert common_spaces(own) == offered


def test_what_a_coarser_space_merges_and_leaves_out_is_told() -> None:
    assert lost_in("camvid-11", "cityscapes-8") == ([], 8)
    lost, _ = lost_in("ade20k-150", "cityscapes-19")
    assert "bed" in lost
    assert "road" not in lost
