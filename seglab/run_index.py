"""Every run as two tables, kept as Parquet next to the records and brought up to date by what changed.

Reading ten thousand JSON records on a page load would take seconds; this looks at their sizes and times only, and reads
the records that changed. The tables can be deleted at any time.
"""

import json
import math
import os
from pathlib import Path
from typing import Any

import pandas as pd

from seglab.runs import Run, RunError, read_epochs, read_record

FOLDER = ".index"
VERSION = 1
_CURVE_SKIP = ("epoch", "seconds")
RUN_COLUMNS = (
    "experiment",
    "variant",
    "seed",
    "title",
    "model",
    "size",
    "label_space",
    "provenance",
    "status",
    "epochs",
    "miou",
    "parameters",
    "device",
    "git_commit",
    "has_weights",
    "problem",
)
CURVE_COLUMNS = ("experiment", "variant", "seed", "epoch", "metric", "class", "value")


def load_tables(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table of runs (:data:`RUN_COLUMNS`) and the tidy table of curves (:data:`CURVE_COLUMNS`).

    A damaged run has a row whose ``problem`` says what is wrong. ``class`` is empty for metrics over all classes.
    """
    stamps = _stamps(root)
    folder = root / FOLDER
    runs, curves, known = _read(folder)
    changed = [name for name, stamp in stamps.items() if known.get(name) != stamp]
    gone = known.keys() - stamps.keys()
    if not changed and not gone:
        return runs.drop(columns="run"), curves.drop(columns="run")
    stale = {*changed, *gone}
    read = [_read_run(root / name, name) for name in changed]
    runs = _joined(runs[~runs["run"].isin(stale)], [row for row, _ in read], ("run", *RUN_COLUMNS))
    curves = _joined(curves[~curves["run"].isin(stale)], [p for _, part in read for p in part], ("run", *CURVE_COLUMNS))
    _write(folder, runs, curves, stamps)
    return runs.drop(columns="run"), curves.drop(columns="run")


def _stamps(root: Path) -> dict[str, list[int]]:
    """Return size and time of each run's two files, by ``experiment/run``."""
    stamps: dict[str, list[int]] = {}
    for record in root.glob("*/*/run.json"):
        files = [record, record.with_name("epochs.jsonl"), record.with_name("weights.safetensors")]
        stamp: list[int] = []
        for file in files:
            try:
                found = file.stat()
                stamp += [found.st_size, found.st_mtime_ns]
            except OSError:
                stamp += [0, 0]
        stamps[f"{record.parent.parent.name}/{record.parent.name}"] = stamp
    return stamps


def _read(folder: Path) -> tuple[pd.DataFrame, pd.DataFrame, dict[str, list[int]]]:
    try:
        state = json.loads((folder / "state.json").read_text())
        if state["version"] != VERSION:
            raise ValueError("made by another version")
        known: dict[str, list[int]] = state["stamps"]
        return pd.read_parquet(folder / "runs.parquet"), pd.read_parquet(folder / "curves.parquet"), known
    except (OSError, ValueError, KeyError, TypeError):
        return pd.DataFrame(columns=["run", *RUN_COLUMNS]), pd.DataFrame(columns=["run", *CURVE_COLUMNS]), {}


def _joined(kept: pd.DataFrame, rows: list[dict[str, Any]], columns: tuple[str, ...]) -> pd.DataFrame:
    new = pd.DataFrame(rows, columns=list(columns))
    return new if kept.empty else pd.concat([kept, new], ignore_index=True) if rows else kept.reset_index(drop=True)


def _write(folder: Path, runs: pd.DataFrame, curves: pd.DataFrame, stamps: dict[str, list[int]]) -> None:
    """Store the tables; a store that cannot be written is read anew the next time, which is only slower."""
    try:
        folder.mkdir(exist_ok=True)
        for name, table in (("runs", runs), ("curves", curves)):
            partial = folder / f"{name}-{os.getpid()}.tmp"
            table.to_parquet(partial)
            partial.replace(folder / f"{name}.parquet")
        partial = folder / f"state-{os.getpid()}.tmp"
        partial.write_text(json.dumps({"version": VERSION, "stamps": stamps}))
        partial.replace(folder / "state.json")
    except (OSError, ValueError):
        return


def _read_run(folder: Path, name: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    try:
        return _rows(folder, name, read_record(folder), read_epochs(folder))
    except (RunError, ValueError, TypeError, AttributeError, OverflowError) as error:  # one damaged run hides no other
        problem = str(error) if isinstance(error, RunError) else f"{folder.name}/run.json has a field of another kind"
        empty = dict.fromkeys(RUN_COLUMNS)
        return {"run": name, **empty, "experiment": folder.parent.name, "variant": folder.name, "problem": problem}, []


def _rows(
    folder: Path, name: str, record: dict[str, Any], epochs: list[dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    environment = record.get("environment") or {}
    row = {
        "run": name,
        "experiment": record["experiment"],
        "variant": str(record["variant"]),
        "seed": int(record["seed"]),
        "title": record["title"],
        "model": record["model"]["key"],
        "size": record["model"]["size"],
        "label_space": record["label_space"],
        "provenance": str(record["provenance"]),
        "status": record["status"],
        "epochs": epochs[-1]["epoch"] if epochs else 0,
        "miou": _number((record.get("metrics") or {}).get("miou")),
        "parameters": _number(record["model"].get("parameters")),
        "device": str(environment.get("device") or ""),
        "git_commit": str(environment.get("git_commit") or ""),
        "has_weights": Run(folder, record).weights.is_file(),
        "problem": None,
    }
    head = {"run": name, **{column: row[column] for column in ("experiment", "variant", "seed")}}
    tidy = []
    for line in epochs:
        for key, value in line.items():
            if key in _CURVE_SKIP:
                continue
            metric, _, name_of_class = key.partition("/")
            tidy.append(
                {**head, "epoch": line["epoch"], "metric": metric, "class": name_of_class, "value": _number(value)}
            )
    return row, tidy


def _number(value: Any) -> float:
    return float(value) if isinstance(value, (int, float)) else math.nan
