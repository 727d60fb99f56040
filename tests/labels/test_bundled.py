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
from seglab.labels import GROUPS, SPACES, VOID, Palette, load_space, space, table_between
from seglab.labels.bundled import BundledSpaces

FOLDER = Path(labels.__file__).with_name("spaces")
BEFORE = json.loads(Path(__file__).with_name("before_yaml.json").read_text())
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
