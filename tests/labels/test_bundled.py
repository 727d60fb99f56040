"""A space is one YAML file: every file of the folder is one, and adding one needs nothing else."""

import hashlib
import json
import pickle
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from seglab import labels
from seglab.labels import GROUPS, SPACES, VOID, Palette, load_space, remap_table, space, table_between
from seglab.labels.bundled import BundledSpaces

FOLDER = Path(labels.__file__).with_name("spaces")
BEFORE = json.loads(Path(__file__).with_name("before_yaml.json").read_text())
Facts = list[tuple[int, str, tuple[int, int, int]]]
# Class count and some classes of each, copied from the sources that the files name, not from the files.
FACTS: dict[str, tuple[int, Facts]] = {
    "ade20k-150": (
        150,
        [
            (0, "wall", (120, 120, 120)),
            (6, "road", (140, 140, 140)),
            (20, "car", (0, 102, 200)),
            (80, "bus", (255, 0, 245)),
            (136, "traffic light", (41, 0, 255)),
            (149, "flag", (92, 0, 255)),
        ],
    ),
    "voc-21": (
        21,
        [(0, "background", (0, 0, 0)), (7, "car", (128, 128, 128)), (15, "person", (192, 128, 128))],
    ),
    "mapillary-65": (
        65,
        [
            (0, "bird", (165, 42, 42)),
            (13, "road", (128, 64, 128)),
            (24, "lane marking - general", (255, 255, 255)),
            (50, "traffic sign (front)", (220, 220, 0)),
            (64, "ego vehicle", (120, 10, 10)),
        ],
    ),
    "cityscapes-34": (
        34,
        [
            (0, "unlabeled", (0, 0, 0)),
            (5, "dynamic", (111, 74, 0)),
            (7, "road", (128, 64, 128)),
            (18, "polegroup", (153, 153, 153)),
            (29, "caravan", (0, 0, 90)),
            (33, "bicycle", (119, 11, 32)),
        ],
    ),
    "camvid-32": (
        32,
        [
            (0, "animal", (64, 128, 64)),
            (17, "road", (128, 64, 128)),
            (22, "suv pickup truck", (64, 128, 192)),
            (30, "void", (0, 0, 0)),
            (31, "wall", (64, 192, 0)),
        ],
    ),
    "idd-26": (
        26,
        [
            (0, "road", (128, 64, 128)),
            (1, "drivable fallback", (81, 0, 81)),
            (8, "autorickshaw", (255, 204, 54)),
            (18, "traffic sign", (220, 220, 0)),
            (25, "sky", (70, 130, 180)),
        ],
    ),
    "coco-panoptic-133": (
        133,
        [
            (0, "person", (220, 20, 60)),
            (11, "stop sign", (220, 220, 0)),
            (79, "toothbrush", (191, 162, 208)),
            (80, "banner", (255, 255, 128)),
            (100, "road", (128, 64, 128)),
            (119, "sky-other-merged", (70, 130, 180)),
            (132, "rug-merged", (250, 141, 255)),
        ],
    ),
    "coco-stuff-171": (
        171,
        [
            (0, "person", (0, 192, 64)),
            (11, "stop sign", (0, 0, 224)),
            (80, "banner", (0, 192, 0)),
            (137, "road", (192, 128, 128)),
            (170, "wood", (64, 64, 0)),
        ],
    ),
    "mapillary-v2": (
        123,
        [
            (0, "bird", (165, 42, 42)),
            (21, "road", (128, 64, 128)),
            (45, "lane marking - crosswalk", (255, 255, 255)),
            (91, "traffic light - pedestrians", (250, 170, 30)),
            (122, "static", (111, 111, 0)),
        ],
    ),
}
MINE = """
key: my-town
title: My town
raw: my-tool
classes:
  - {name: lane, colour: [1, 2, 3], group: flat, maps: {cityscapes-19: road}, raw_ids: [4]}
  - {name: bench, colour: [1, 2, 4]}
"""


def folder(at: Path, **texts: str) -> BundledSpaces:
    """Return the spaces of a new folder: the eight groups, Cityscapes, and these files."""
    at.mkdir(exist_ok=True)
    for key in (GROUPS, "cityscapes-19"):
        (at / f"{key}.yaml").write_bytes((FOLDER / f"{key}.yaml").read_bytes())
    for name, text in texts.items():
        (at / f"{name.replace('_', '-')}.yaml").write_text(text)
    return BundledSpaces(at)


def test_the_keys_are_the_file_names_in_order() -> None:
    assert list(SPACES) == sorted(path.stem for path in FOLDER.iterdir())
    assert [key for key in SPACES if key in BEFORE["spaces"]] == ["camvid-11", "cityscapes-19", "cityscapes-8"]
    assert len(SPACES) == len(list(SPACES))


@pytest.mark.parametrize("key", SPACES)
def test_a_bundled_space_says_what_it_is_and_where_it_is_from(key: str) -> None:
    one = space(key)
    assert one.key == key
    assert one.title
    assert one.short
    assert one.source is not None
    assert one.source.licence
    assert 0 < one.num_classes <= VOID == one.void[-1]
    assert load_space(FOLDER / f"{key}.yaml") == one


@pytest.mark.parametrize("key", BEFORE["spaces"])  # some data sets paint several classes alike
@pytest.mark.parametrize("palette", get_args(Palette))
def test_the_colours_of_a_space_differ_from_each_other_and_from_void(key: str, palette: Palette) -> None:
    colours = space(key).palette(palette)
    assert len(colours) == space(key).num_classes
    assert len({*colours, (0, 0, 0)}) == len(colours) + 1


@pytest.mark.parametrize("key", BEFORE["spaces"])
def test_a_space_is_as_it_was_before_the_spaces_were_data(key: str) -> None:
    one, before = space(key), BEFORE["spaces"][key]
    assert (one.title, list(one.names)) == (before["title"], before["names"])
    assert [list(colour) for colour in one.colours] == before["colours"]
    assert [list(colour) for colour in one.safe_colours] == before["safe_colours"]
    for palette in get_args(Palette):
        assert hashlib.sha256(one.lut(palette).tobytes()).hexdigest() == BEFORE["lut_sha256"][f"{key} {palette}"]


def test_the_raw_ids_of_cityscapes_are_as_they_were() -> None:
    assert {str(raw): i for raw, i in space("cityscapes-19").raw_ids.items()} == BEFORE["cityscapes_label_ids"]


def test_every_space_is_checked_against_its_source_or_against_before() -> None:
    assert {*FACTS, *BEFORE["spaces"]} == {*SPACES}


@pytest.mark.parametrize("key", FACTS)
def test_a_space_has_the_classes_of_its_source(key: str) -> None:
    count, facts = FACTS[key]
    one = space(key)
    assert one.num_classes == count
    for i, name, colour in facts:
        assert (one.names[i], one.colours[i]) == (name, colour)


def test_the_colours_of_voc_are_those_of_its_rule() -> None:
    """The bits of an id go to red, green and blue in turn, the lowest to each colour's highest."""
    for i, colour in enumerate(space("voc-21").colours):
        bits = [[i >> (3 * at + channel) & 1 for at in range(8)] for channel in range(3)]
        assert colour == tuple(sum(bit << (7 - at) for at, bit in enumerate(some)) for some in bits)


@pytest.mark.parametrize("key", FACTS)
def test_a_class_is_in_the_group_of_the_class_that_it_maps_to(key: str) -> None:
    cityscapes = space("cityscapes-19")
    group_of = dict(zip(cityscapes.names, cityscapes.groups, strict=True))
    for one in space(key).classes:
        assert {target for target, _ in one.maps} <= {"cityscapes-19"}
        if (name := one.told_in("cityscapes-19")) is not None:
            assert one.group == group_of[name], one.name
    found = set(space(key).groups) - {None}
    assert found == ({"human", "vehicle"} if key == "voc-21" else {*space(GROUPS).names})


@pytest.mark.parametrize(
    ("key", "names"),
    [
        ("ade20k-150", ["wall", "earth", "floor", "signboard", "boat"]),
        ("voc-21", ["background", "boat"]),
        ("mapillary-65", ["traffic sign (back)", "street light", "water", "ego vehicle"]),
        ("cityscapes-34", ["unlabeled", "static", "ground"]),
        ("camvid-32", ["void", "animal"]),
        ("idd-26", ["non-drivable fallback", "billboard"]),
        ("coco-panoptic-133", ["wall-other-merged", "dirt-merged", "boat"]),
    ],
)
def test_what_cityscapes_has_no_class_for_is_void_there(key: str, names: list[str]) -> None:
    for name in names:
        one = space(key).classes[space(key).names.index(name)]
        assert (one.group, one.maps) == (None, ())


def test_the_label_ids_of_cityscapes_lead_to_its_other_spaces_in_two_ways_that_agree() -> None:
    for target in ("cityscapes-19", GROUPS):
        direct, onward = remap_table("cityscapes-labelids", target), remap_table("cityscapes-34", target)
        assert onward.tolist() == direct.tolist()
        assert onward[remap_table("cityscapes-labelids", "cityscapes-34")].tolist() == direct.tolist()
    assert remap_table("cityscapes-labelids", "cityscapes-34")[:8].tolist() == [VOID] * 7 + [7]


def test_what_mapillary_calls_unlabeled_is_void() -> None:
    assert (space("mapillary-65").void, space("mapillary-v2").void) == ((65, VOID), (123, VOID))


def test_a_new_file_is_a_new_space_with_its_tables(tmp_path: Path) -> None:
    found = folder(tmp_path, my_town=MINE)
    assert list(found) == ["cityscapes-19", "cityscapes-8", "my-town"]
    one = found["my-town"]
    assert (one.names, one.short, one.raw_ids, one.groups) == (("lane", "bench"), "2 classes", {4: 0}, ("flat", None))
    for target in (GROUPS, "cityscapes-19"):
        table = table_between(one, found[target])
        assert table is not None
        assert table[:3].tolist() == [0, VOID, VOID]


def test_two_spaces_may_map_to_each_other(tmp_path: Path) -> None:
    back = "{key: back, title: Back, classes: [{name: lane, colour: [1, 2, 3], maps: {my-town: lane}}]}"
    found = folder(tmp_path, my_town=MINE.replace("cityscapes-19: road", "back: lane"), back=back)
    assert found["my-town"].classes[0].maps == (("back", "lane"),)
    assert found["back"].classes[0].maps == (("my-town", "lane"),)


WRONG = [
    ("flat", "falt", r"class 0 \('lane'\), group: expected a class out of flat, …, got 'falt'"),
    ("flat", "road", r"class 0 \('lane'\), group: expected a class out of .*, got 'road'"),
    ("cityscapes-19: road", "cityscapes-19: lane", r"class 0 \('lane'\), maps, cityscapes-19: .*, got 'lane'"),
    ("cityscapes-19: road", "kitti: road", r"class 0 \('lane'\), maps: .* out of .*cityscapes-8, .*got 'kitti'"),
    ("my-tool", "cityscapes-19", "raw: expected an annotation format, got the label space 'cityscapes-19'"),
]


@pytest.mark.parametrize(("old", "new", "says"), WRONG)
def test_what_a_space_maps_to_must_exist(tmp_path: Path, old: str, new: str, says: str) -> None:
    found = folder(tmp_path, my_town=MINE.replace(old, new))
    with pytest.raises(ValueError, match=rf"^my-town\.yaml, {says}"):
        found["my-town"]


def test_the_key_of_a_bundled_file_is_its_name(tmp_path: Path) -> None:
    found = folder(tmp_path, other=MINE)
    with pytest.raises(ValueError, match=r"^other\.yaml, key: expected the file's name, other, got 'my-town'"):
        found["other"]


def test_a_file_that_is_wrong_hides_no_other_space(tmp_path: Path) -> None:
    found = folder(tmp_path, broken="key: [")
    assert found[GROUPS].names == space(GROUPS).names
    with pytest.raises(ValueError, match=r"^broken\.yaml cannot be read as YAML, line "):
        found["broken"]


def test_a_space_of_ones_own_is_read_from_anywhere(tmp_path: Path) -> None:
    (tmp_path / "Any name.yaml").write_text(MINE)
    one = load_space(tmp_path / "Any name.yaml")
    assert (one.key, one.names) == ("my-town", ("lane", "bench"))
    (tmp_path / "bad.yaml").write_text(MINE.replace("flat", "falt"))
    with pytest.raises(ValueError, match=r"^bad\.yaml, class 0 \('lane'\), group"):
        load_space(tmp_path / "bad.yaml")


@pytest.mark.parametrize("name", ["none.yaml", ".", "long" * 100])
def test_a_file_that_cannot_be_opened_is_answered_in_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="expected a label space's YAML file, "):
        load_space(tmp_path / name)


def test_an_unknown_space_is_answered_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match=r"camvid-11.*cityscapes-19.*cityscapes-8.*, got 'kitti'"):
        space("kitti")
    assert "kitti" not in SPACES


@pytest.mark.parametrize("key", SPACES)
def test_a_space_travels_between_processes_and_caches(key: str) -> None:
    one = space(key)
    again = pickle.loads(pickle.dumps(one))
    assert again == one
    assert hash(again) == hash(one)
    assert again.names == one.names


def test_importing_the_spaces_reads_no_file_and_imports_little() -> None:
    code = (
        "import sys, seglab.labels as l\n"
        "print(l.SPACES._checked.cache_info().misses)\n"
        "print([m for m in ('torch', 'pandas', 'cv2', 'streamlit', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=FOLDER.parents[2]
    )
    assert done.stdout.split("\n")[:2] == ["0", "[]"]
