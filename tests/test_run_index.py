"""The tables of runs and curves."""

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seglab import run_index
from seglab.runs import RunStore, RunWriter


def record(variant: str = "a", seed: int = 1, **changes: Any) -> dict[str, Any]:
    base = {
        "schema_version": 1,
        "experiment": "exp",
        "variant": variant,
        "title": variant.upper(),
        "seed": seed,
        "model": {"key": "deeplabv3plus", "size": "bundled", "parameters": 5},
        "label_space": "camvid-11",
        "provenance": "trained",
        "status": "finished",
    }
    return base | changes


def write(root: Path, variant: str, seed: int, values: list[float | None]) -> RunWriter:
    writer = RunWriter(root / "exp" / f"{variant}-seed{seed}", record(variant, seed))
    for epoch, value in enumerate(values, 1):
        writer.append_epoch({"epoch": epoch, "train_loss": 1.0, "seconds": 3.0, "miou": value, "iou/road": 0.5})
    return writer


def test_curves_are_tidy_and_split_the_class_from_the_metric(tmp_path: Path) -> None:
    write(tmp_path, "a", 1, [0.1, None])
    table = RunStore(tmp_path).curves("exp")
    assert set(table["metric"]) == {"train_loss", "miou", "iou"}
    assert table[table["metric"] == "iou"]["class"].tolist() == ["road", "road"]
    values = table[table["metric"] == "miou"]["value"].tolist()
    assert values[0] == 0.1
    assert values[1] != values[1], "a value that does not count is NaN"


def test_a_damaged_run_is_a_row_with_its_problem_and_hides_no_other(tmp_path: Path) -> None:
    write(tmp_path, "a", 1, [0.1])
    broken = tmp_path / "exp" / "b-seed1"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    for variant, changes in {"c": {"metrics": ["x"]}, "d": {"seed": "two"}, "e": {"environment": 3}}.items():
        folder = tmp_path / "exp" / f"{variant}-seed1"
        folder.mkdir()
        (folder / "run.json").write_text(json.dumps(record(variant, **changes)))
    table = RunStore(tmp_path).runs()
    assert len(table) == 5
    assert table["problem"].notna().sum() == 4
    pd.testing.assert_frame_equal(RunStore(tmp_path).runs(), table)  # from the stored index


def test_only_changed_records_are_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a", 1, [0.1])
    second = write(tmp_path, "a", 2, [0.2])
    assert len(RunStore(tmp_path).runs()) == 2
    seen: list[str] = []
    original = run_index._read_run
    monkeypatch.setattr(run_index, "_read_run", lambda f, n: (seen.append(n), original(f, n))[1])
    second.append_epoch({"epoch": 2, "miou": 0.9})
    table = RunStore(tmp_path).curves("exp", "miou")
    assert seen == ["exp/a-seed2"]
    assert sorted(table["value"]) == [0.1, 0.2, 0.9]


def test_a_run_that_is_gone_leaves_the_tables(tmp_path: Path) -> None:
    write(tmp_path, "a", 1, [0.1])
    gone = write(tmp_path, "b", 1, [0.1])
    assert len(RunStore(tmp_path).runs()) == 2
    for file in gone.folder.iterdir():
        file.unlink()
    assert RunStore(tmp_path).runs()["variant"].tolist() == ["a"]


def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    write(tmp_path, "a", 1, [0.1])
    RunStore(tmp_path).runs()
    (tmp_path / run_index.FOLDER / "runs.parquet").write_bytes(b"no parquet")
    assert len(RunStore(tmp_path).runs()) == 1
    state = json.loads((tmp_path / run_index.FOLDER / "state.json").read_text())
    assert state["version"] == run_index.VERSION
