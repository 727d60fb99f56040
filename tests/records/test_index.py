"""The tables of runs and curves."""

import json
import math
import random
import shutil
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seglab.records import index as run_index
from seglab.records import parts as curve_parts
from seglab.records.index import load_curves, load_runs, load_tables
from seglab.records.runs import read_epochs, read_record
from seglab.records.store import RunStore
from seglab.records.writer import RunWriter


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


def point(value: object) -> float | None:
    """Return a value that compares equal to itself; none for NaN."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def scanned(root: Path, experiment: str | None = None, metric: str | None = None) -> list[tuple[Any, ...]]:
    """Return every curve's points by a plain loop over the records."""
    found: list[tuple[Any, ...]] = []
    for path in root.glob("[!.]*/*/run.json"):
        read = read_record(path.parent)
        for line in read_epochs(path.parent):
            for key, value in line.items():
                name, _, of = key.partition("/")
                wanted = metric in (None, name) and experiment in (None, path.parent.parent.name)
                if key not in ("epoch", "seconds") and wanted:
                    run = f"{path.parent.parent.name}/{path.parent.name}"
                    found.append((run, read["variant"], read["seed"], line["epoch"], name, of, point(value)))
    return sorted(found, key=str)


def indexed(root: Path, experiment: str | None = None, metric: str | None = None) -> list[tuple[Any, ...]]:
    table = load_curves(root, experiment, metric)
    columns = [table[name].tolist() for name in ("run", "variant", "seed", "epoch", "metric", "class", "value")]
    return sorted(((*row[:-1], point(row[-1])) for row in zip(*columns, strict=True)), key=str)


def small_parts(monkeypatch: pytest.MonkeyPatch, lines: int) -> None:
    monkeypatch.setattr(curve_parts, "PART_LINES", lines)
    monkeypatch.setattr(run_index, "PART_LINES", lines)


def parts(root: Path) -> set[str]:
    return {path.name for path in (root / run_index.FOLDER / "curves").glob("*")}


def change_something(root: Path, draw: random.Random) -> None:
    """Add a run, lengthen one, write one anew or delete one."""
    folders = [path.parent for path in root.glob("[!.]*/*/run.json")]
    what = draw.choice(["add", "add", "lengthen", "anew", "delete"]) if folders else "add"
    if what == "delete":
        shutil.rmtree(draw.choice(folders))
        return
    folder = (
        draw.choice(folders) if what != "add" else root / f"e{draw.randrange(3)}" / f"v{draw.randrange(10**9)}-seed1"
    )
    if what == "anew":
        shutil.rmtree(folder)
    writer = RunWriter(folder, record(folder.name, 1, experiment=folder.parent.name))
    first = len(read_epochs(folder)) + 1
    for epoch in range(first, first + draw.randrange(5)):
        row = {
            key: draw.choice([None, draw.random()])
            for key in ("miou", "iou/road", "iou/sky", "dice")
            if draw.randrange(3)
        }
        writer.append_epoch({"epoch": epoch, "seconds": 1.0, **row})


@pytest.mark.parametrize("seed", range(4))
def test_after_any_changes_the_curves_are_those_of_a_plain_scan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    small_parts(monkeypatch, 7)
    draw = random.Random(seed)
    for _ in range(25):
        for _ in range(draw.randrange(1, 4)):
            change_something(tmp_path, draw)
        query = draw.choice([(None, None), ("e1", "iou"), ("e2", None), (None, "miou")])
        assert indexed(tmp_path, *query) == scanned(tmp_path, *query)
    assert indexed(tmp_path) == scanned(tmp_path)
    assert parts(tmp_path) == set(load_rows(tmp_path)["part"]) - {""}, "no part is left behind"


def load_rows(root: Path) -> pd.DataFrame:
    return run_index._read_rows(root / run_index.FOLDER)


def test_a_page_reads_one_metric_of_one_experiment_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("one", "two"):
        writer = RunWriter(tmp_path / name / "a-seed1", record(experiment=name))
        writer.append_epoch({"epoch": 1, "miou": 0.5, "miou_like": 0.1, "iou/road": 0.4})
    load_runs(tmp_path)
    rows = load_rows(tmp_path).set_index("experiment")
    seen: list[tuple[str, list[str]]] = []
    original = run_index.read_part

    def watched(path: Path, metric: str | None = None) -> Any:
        table = original(path, metric)
        seen.append((path.name, table.column_names))
        return table

    monkeypatch.setattr(run_index, "read_part", watched)
    assert load_curves(tmp_path, "two", "miou")["value"].tolist() == [0.5]
    assert seen == [(rows.loc["two", "part"], ["run", "epoch", "metric:miou"])]


def test_a_changed_run_leaves_the_other_full_parts_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small_parts(monkeypatch, 4)
    writers = [write(tmp_path, "a", seed, [0.1, 0.2]) for seed in range(8)]
    load_runs(tmp_path)
    before = parts(tmp_path)
    assert len(before) == 4
    writers[3].append_epoch({"epoch": 3, "miou": 0.3})
    assert indexed(tmp_path, "exp", "miou") == scanned(tmp_path, "exp", "miou")
    assert len(before & parts(tmp_path)) == 3


def test_the_table_of_runs_says_what_a_page_shows(tmp_path: Path) -> None:
    val = {"split": "val", "images": 101, "fingerprint": "f" * 64, "size_px": [360, 480]}
    folder = tmp_path / "exp" / "a-seed1"
    more: dict[str, Any] = {"seconds_per_epoch": 59.2, "peak_memory_mib": 1360, "started": "2026-11-21T13:58:59+00:00"}
    RunWriter(folder, record(data={"name": "camvid", "val": val}, epochs=48, **more))
    RunWriter(tmp_path / "exp" / "b", record("b", provenance="published", citation="Someone, 2020") | {"seed": None})
    table = load_runs(tmp_path).set_index("run")
    first, second = table.loc["exp/a-seed1"], table.loc["exp/b"]
    assert (first["data_name"], first["split"], first["val_images"], first["size_px"]) == (
        "camvid",
        "val",
        101,
        "480x360",
    )
    assert (first["val_fingerprint"], first["epochs"], first["seconds_per_epoch"]) == ("f" * 64, 48, 59.2)
    assert (first["peak_memory_mib"], first["started"], first["finished"]) == (1360, more["started"], "")
    assert (second["citation"], second["provenance"]) == ("Someone, 2020", "published")
    assert second["seed"] is pd.NA
    assert second["epochs"] is pd.NA
    assert table["problem"].isna().all()
    assert {name: str(kind) for name, kind in load_runs(tmp_path).dtypes.items()} == run_index.RUN_COLUMNS


def test_only_published_figures_may_lack_a_seed(tmp_path: Path) -> None:
    for variant, provenance in (("a", "trained"), ("b", "imported"), ("c", "published")):
        RunWriter(tmp_path / "exp" / variant, record(variant, provenance=provenance) | {"seed": None})
    table = load_runs(tmp_path)
    assert table["problem"].notna().tolist() == [True, True, False]


def test_hidden_folders_are_no_experiments(tmp_path: Path) -> None:
    write(tmp_path, "a", 1, [0.1])
    for hidden in (tmp_path / ".import-1" / "a-seed1", tmp_path / "exp" / ".a-seed2"):
        RunWriter(hidden, record())
    assert load_runs(tmp_path)["run"].tolist() == ["exp/a-seed1"]


def test_the_folder_names_the_experiment(tmp_path: Path) -> None:
    RunWriter(tmp_path / "copy" / "a-seed1", record()).append_epoch({"epoch": 1, "miou": 0.5})
    assert load_runs(tmp_path)["experiment"].tolist() == ["copy"]
    assert len(load_curves(tmp_path, "copy", "miou")) == 1
    assert len(load_curves(tmp_path, "exp", "miou")) == 0


@pytest.mark.parametrize("experiment", ["", ".", "..", "../up", "/", "nope", ".index", "a\0b", "\udc80"])
def test_an_experiment_that_is_not_there_has_no_curves(tmp_path: Path, experiment: str) -> None:
    root = tmp_path / "results"
    write(tmp_path, "a", 1, [0.1])
    write(root, "a", 1, [0.1])
    table = load_curves(root, experiment, "miou")
    assert len(table) == 0
    assert list(table) == list(run_index.CURVE_COLUMNS)


def test_odd_lines_hide_no_other_run(tmp_path: Path) -> None:
    write(tmp_path, "a", 1, [0.1])
    odd = {
        "surrogate": '{"epoch": 1, "iou/\\ud800": 0.5, "miou": 0.5}',
        "columns": '{"epoch": 1, "run": 0.5, "epoch/x": 0.5, "": 0.5, "a.b": 0.5, "metric:miou": 0.5}',
        "values": '{"epoch": 1, "miou": Infinity, "dice": "0.5", "iou/road": [1], "iou/sky": true, "lr": NaN}',
    }
    bad = {"huge": '{"epoch": 1' + "0" * 30 + "}", "float": '{"epoch": 1, "miou": 1' + "0" * 400 + "}"}
    for name, line in {**odd, **bad}.items():
        folder = tmp_path / "exp" / f"{name}-seed1"
        RunWriter(folder, record(name, title="half \ud800"))
        (folder / "epochs.jsonl").write_text(line + "\n")
    table = load_runs(tmp_path).set_index("run")
    assert table.index[table["problem"].notna()].tolist() == ["exp/float-seed1", "exp/huge-seed1"]
    assert table.loc["exp/columns-seed1", "title"] == "half ?"
    curves = load_curves(tmp_path, "exp").set_index("run")
    assert sorted(curves.loc["exp/columns-seed1", "metric"]) == ["", "a.b", "epoch", "metric:miou", "run"]
    assert load_curves(tmp_path, "exp", "a")["value"].tolist() == []
    assert set(curves.loc["exp/surrogate-seed1", "class"]) == {"?", ""}
    assert curves.loc["exp/values-seed1", "value"].isna().sum() == 4
    pd.testing.assert_frame_equal(load_curves(tmp_path, "exp"), curves.reset_index())


@pytest.mark.parametrize("damage", ["gone", "empty", "garbage", "cut"])
def test_a_damaged_part_is_made_again(tmp_path: Path, damage: str) -> None:
    writer = write(tmp_path, "a", 1, [0.1, 0.2])
    write(tmp_path, "b", 1, [0.3])
    RunStore(tmp_path).runs()
    for changed in (False, True):
        (part,) = (tmp_path / run_index.FOLDER / "curves").glob("*.parquet")
        data = part.read_bytes()
        part.unlink()
        if damage != "gone":
            part.write_bytes({"empty": b"", "garbage": b"x" * 999, "cut": data[:-100]}[damage])
        if changed:
            writer.append_epoch({"epoch": 3, "miou": 0.9})
            assert len(load_runs(tmp_path)) == 2
        assert indexed(tmp_path) == scanned(tmp_path)


def test_an_index_of_another_version_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, "a", 1, [0.1])
    RunStore(tmp_path).runs()
    monkeypatch.setattr(run_index, "VERSION", run_index.VERSION + 1)
    seen: list[str] = []
    original = run_index._read_run
    monkeypatch.setattr(run_index, "_read_run", lambda f, n: (seen.append(n), original(f, n))[1])
    assert len(RunStore(tmp_path).runs()) == len(RunStore(tmp_path).runs()) == 1
    assert seen == ["exp/a-seed1"]


@pytest.mark.parametrize("fails", ["everything", "the table of runs"])
def test_a_store_that_cannot_be_written_is_read_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    write(tmp_path, "a", 1, [0.1, None])
    write(tmp_path, "b", 1, [0.2])
    original = curve_parts.pq.write_table

    def full(table: Any, path: Path, **more: Any) -> None:
        if fails == "everything" or path.suffix == ".tmp":
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")
        original(table, path, **more)

    monkeypatch.setattr(curve_parts.pq, "write_table", full)
    for _ in range(2):
        assert len(load_runs(tmp_path)) == 2
        assert indexed(tmp_path, "exp", "miou") == scanned(tmp_path, "exp", "miou")
        assert [path for path in (tmp_path / run_index.FOLDER).rglob("*") if path.is_file()] == []
    runs, curves = load_tables(tmp_path)
    assert (len(runs), len(curves)) == (2, len(scanned(tmp_path)))


def test_sessions_that_ask_at_once_read_the_records_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(10):
        write(tmp_path, "a", seed, [0.1])
    seen: list[str] = []
    original = run_index._read_run
    monkeypatch.setattr(run_index, "_read_run", lambda f, n: (seen.append(n), original(f, n))[1])
    lengths: list[int] = []
    threads = [threading.Thread(target=lambda: lengths.append(len(indexed(tmp_path, "exp", "miou")))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lengths == [10] * 6
    assert len(seen) == 10
