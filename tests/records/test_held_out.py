"""Test figures stand beside val for the weights they are of, and for no others."""

import json
from pathlib import Path
from typing import Any

import pytest

from seglab.evidence.runs.models_table import models_table
from seglab.predict.model import beside_test
from seglab.predict.shelf import bundled_models, bundled_runs
from seglab.predict.sources.run import run_model
from seglab.records import held_out
from seglab.records.files import RunError
from seglab.records.runs import Record

GOOD: dict[str, Any] = {
    "weights_sha256": "ab",
    "data": "camvid",
    "split": "test",
    "images": 233,
    "miou": 0.5,
    "iou": {"road": 0.9},
    "origin": "on all test frames",
}


def write(folder: Path, **changes: object) -> Path:
    (folder / held_out.FILE).write_text(json.dumps(GOOD | changes))
    return folder


def test_figures_are_read_for_the_weights_they_are_of(tmp_path: Path) -> None:
    assert held_out.load(tmp_path, "ab", "camvid", ["road"]) is None
    found = held_out.load(write(tmp_path), "ab", "camvid", ["road"])
    assert found == held_out.HeldOut(0.5, {"road": 0.9}, 233, "on all test frames")
    with pytest.raises(RunError, match="about other weights"):
        held_out.load(tmp_path, "cd", "camvid", ["road"])


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"miou": 55.5}, "fractions from 0 to 1"),
        ({"miou": None}, "fractions from 0 to 1"),
        ({"iou": {"road": "90"}}, "fractions from 0 to 1"),
        ({"iou": {"road": True}}, "fractions from 0 to 1"),
        ({"images": 0}, "images and origin"),
        ({"images": 2.7}, "images and origin"),
        ({"split": "val"}, "test split of camvid"),
        ({"data": "cityscapes"}, "test split of camvid"),
        ({"iou": [0.9]}, "one figure for each of road"),
        ({"iou": {}}, "one figure for each of road"),
        ({"iou": {"road": 0.9, "moon": 0.1}}, "one figure for each of road"),
        ({"more": 1}, "a field more"),
        ({"origin": " "}, "images and origin"),
        ({"origin": 3}, "images and origin"),
    ],
)
def test_a_bad_file_is_told_in_a_sentence(tmp_path: Path, changes: dict[str, object], words: str) -> None:
    with pytest.raises(RunError, match=words):
        held_out.load(write(tmp_path, **changes), "ab", "camvid", ["road"])


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, "\x00"])
def test_hostile_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / held_out.FILE).write_text(text)
    with pytest.raises(RunError):
        held_out.load(tmp_path, "ab", "camvid", ["road"])


def test_a_huge_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with (tmp_path / held_out.FILE).open("wb") as file:
        file.truncate(10**9)
    with pytest.raises(RunError, match="larger than"):
        held_out.load(tmp_path, "ab", "camvid", ["road"])


def test_four_of_the_bundled_models_have_both_and_the_sentence_is_computed() -> None:
    models = {model.key: model for model in bundled_models()}
    assert models["mask2former"].facts.test_words == "test not measured"
    assert models["deeplabv3plus"].facts.test_words == "test 55.5 %"
    assert [key for key, model in models.items() if model.facts.test is None] == ["mask2former"]
    for model in models.values():
        if model.facts.test:
            mean = sum(model.facts.test.iou.values()) / 11
            assert mean == pytest.approx(model.facts.test.miou, abs=0.006), "classes are recorded in whole percent"
            assert model.facts.test.miou < model.facts.metrics["miou"]
    assert beside_test(models.values()).startswith(
        "Val is one clip of one street (101 frames) and flatters: it lies 9 to 14 points above test for the 4 models that have "
        "both. Test: measured on all 233 test frames, not used for any choice;"
    )
    assert beside_test([models["mask2former"]]) == ""


def test_a_figure_of_other_weights_hides_itself_and_says_why(tmp_path: Path) -> None:
    run = bundled_runs()["deeplabv3plus"]
    write(tmp_path)
    for name in ("run.json", "weights.safetensors"):
        (tmp_path / name).symlink_to(run.folder / name)
    facts = run_model(Record(tmp_path, run.fields)).facts
    assert facts.test is None
    assert facts.test_words.startswith("test not shown: ")
    assert "about other weights" in facts.test_words
    (tmp_path / "counts.npz").symlink_to(run.folder / "counts.npz")
    table = models_table([Record(tmp_path, run.fields)])
    assert "not shown: test.json is about other weights" in table
    assert "Test: " not in table
