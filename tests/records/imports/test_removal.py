"""Only what was imported can be removed, as a whole, and nothing beside it."""

import json
import shutil
from pathlib import Path

import pytest

from seglab.evidence.runs.table import template_csv
from seglab.records.imports.problems import ImportProblem
from seglab.records.imports.removal import remove_import
from seglab.records.imports.table import parse_csv, write_import
from tests.synthetic import write_experiment


@pytest.fixture
def store(tmp_path: Path) -> Path:
    results = tmp_path / "results"
    write_experiment(results, "trained", seeds=[1], epochs=1, counts_at=(), variants={"a": "A"})
    for name in ("mine", "other"):
        write_import(parse_csv(template_csv()), name, results)
    return results


def everything(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


def refused(store: Path, name: str, match: str) -> None:
    before = everything(store)
    with pytest.raises(ImportProblem, match=match):
        remove_import(name, store)
    assert everything(store) == before


def test_an_import_goes_and_nothing_else(store: Path) -> None:
    before = everything(store)
    assert remove_import("mine", store) == 4
    assert everything(store) == {name for name in before if name.split("/")[0] != "mine"}


def test_the_same_name_can_be_imported_again(store: Path) -> None:
    remove_import("mine", store)
    assert len(write_import(parse_csv(template_csv()), "mine", store)) == 4


@pytest.mark.parametrize(
    "name", ["..", ".", "", "/", "../results/mine", "mine/", "mine/a-ce-seed42", "MINE", ".import-1", "a\0b", "x" * 99]
)
def test_a_name_that_is_no_folder_name_removes_nothing(store: Path, name: str) -> None:
    refused(store, name, "expected an experiment name")


def test_what_was_trained_stays(store: Path) -> None:
    refused(store, "trained", "was not imported but 'trained'")
    refused(store, "nothing", "there is no experiment nothing")


def test_one_run_of_another_origin_keeps_all(store: Path) -> None:
    shutil.copytree(store / "trained" / "a-seed1", store / "mine" / "a-seed1")
    refused(store, "mine", "not imported but 'trained'")


@pytest.mark.parametrize("provenance", ["published", "trained", ["imported"], None])
def test_a_record_that_does_not_say_imported_keeps_all(store: Path, provenance: object) -> None:
    path = next((store / "mine").glob("*/run.json"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"provenance": provenance}))
    refused(store, "mine", "not imported but")


def test_a_damaged_record_keeps_all(store: Path) -> None:
    next((store / "mine").glob("*/run.json")).write_text("{")
    refused(store, "mine", "cannot be read")


def test_files_that_no_import_writes_keep_all(store: Path) -> None:
    (store / "mine" / "notes.txt").write_text("mine")
    refused(store, "mine", "'notes.txt', which is no run")
    (store / "mine" / "notes.txt").unlink()
    (next((store / "mine").iterdir()) / "weights.safetensors").write_text("")
    refused(store, "mine", "'weights.safetensors', which no import writes")


def test_links_are_not_followed(store: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.move(store / "other", outside)
    (store / "other").symlink_to(outside)
    refused(store, "other", "there is no experiment other")
    (store / "mine" / "linked").symlink_to(next(outside.iterdir()))
    refused(store, "mine", "'linked', which is no run")
    assert len(list(outside.iterdir())) == 4
