"""Every run as two tables, kept as Parquet next to the records and brought up to date by what changed.

Reading ten thousand JSON records on a page load would take seconds; this looks at their sizes and times only, and reads
the records that changed. The table of runs is one file; the curves lie in parts (`seglab.records.parts`), so that a page
reads one metric of one experiment. The folder can be deleted at any time.
"""

import os
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from seglab.records.files import RunError
from seglab.records.parts import (
    CURVE_COLUMNS,
    PART_LINES,
    PartWriter,
    discard,
    number,
    read_part,
    run_table,
    sweep,
    text,
    tidy,
    without,
)
from seglab.records.runs import Record, read_epochs, read_record

__all__ = ["CURVE_COLUMNS", "FOLDER", "RUN_COLUMNS", "VERSION", "load_curves", "load_runs", "load_tables"]

FOLDER = ".index"
VERSION = 3
RUN_COLUMNS = {
    "run": "str",  # experiment/folder
    "experiment": "str",  # the folder's name, as shown everywhere
    "variant": "str",
    "seed": "Int64",  # missing for published figures
    "title": "str",
    "model": "str",
    "size": "str",
    "label_space": "str",
    "provenance": "str",
    "status": "str",
    "epochs": "Int64",  # the last evaluated; missing where the source of published figures prints none
    "miou": "float64",
    "parameters": "float64",
    "seconds_per_epoch": "float64",
    "peak_memory_mib": "float64",
    "data_name": "str",
    "split": "str",
    "val_fingerprint": "str",
    "val_images": "Int64",
    "size_px": "str",  # width x height
    "device": "str",
    "git_commit": "str",
    "started": "str",
    "finished": "str",
    "citation": "str",
    "has_curve": "boolean",  # epochs were stored; published figures may have none
    "has_weights": "boolean",
    "problem": "str",
}
_STORED = {**RUN_COLUMNS, "stamp": "str", "part": "str", "lines": "int64"}
_FILES = ("run.json", "epochs.jsonl", "weights.safetensors")
_UNREADABLE = (OSError, pa.ArrowException)
_LOCK = threading.Lock()  # one session reads what changed, the others find it done


def load_runs(root: Path) -> pd.DataFrame:
    """Return the table of runs (:data:`RUN_COLUMNS`), in the order of their folders.

    A damaged run has a row whose ``problem`` says what is wrong.
    """
    return _refresh(root)[0][list(RUN_COLUMNS)]


def load_curves(root: Path, experiment: str | None = None, metric: str | None = None) -> pd.DataFrame:
    """Return the tidy curves (:data:`CURVE_COLUMNS`) of one experiment and metric, or of all.

    ``class`` is empty for metrics over all classes; a value that does not count is NaN.
    """
    experiment = None if experiment is None else text(experiment)
    for anew in (False, False, True):  # a part may be replaced between the two reads; at last all is read anew
        rows, unsaved = _refresh(root, experiment, anew)
        if experiment is not None:
            rows = rows[rows["experiment"] == experiment].reset_index(drop=True)
        parts = [part for part in rows["part"].unique() if part]
        try:
            tables = (unsaved.get(part) or read_part(root / FOLDER / "curves" / part, metric) for part in parts)
            return tidy(tables, rows, metric)
        except _UNREADABLE as error:
            unreadable = error
    raise unreadable


def load_tables(root: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the table of runs and every curve; a page asks :func:`load_curves` for what it shows."""
    return load_runs(root), load_curves(root)


def _folders(path: str) -> list["os.DirEntry[str]"]:
    """Return the folders in a folder, in order; hidden ones and those whose name is no text are no runs."""
    try:
        with os.scandir(path) as found:
            names = [one for one in found if one.name[0] != "." and one.name == text(one.name) and one.is_dir()]
    except OSError:
        return []
    return sorted(names, key=lambda one: one.name)


def _stamp(folder: str) -> str | None:
    """Return sizes and times of a run's files; none where there is no record."""
    stamp = []
    for name in _FILES:
        try:
            found = os.stat(f"{folder}/{name}")
            stamp.append(f"{found.st_size} {found.st_mtime_ns}")
        except OSError:
            if name == _FILES[0]:
                return None
            stamp.append("")
    return ",".join(stamp)


def _stamps(root: Path, experiment: str | None) -> Iterator[tuple[str, str]]:
    for group in _folders(str(root)):
        if experiment is None or experiment == group.name:
            for folder in _folders(group.path):
                stamp = _stamp(folder.path)
                if stamp is not None:
                    yield f"{group.name}/{folder.name}", stamp


def _refresh(root: Path, experiment: str | None = None, anew: bool = False) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Return the stored table of runs, brought up to date for one experiment or all, and parts that could not be stored."""
    with _LOCK:
        stamps = dict(_stamps(root, experiment))
        for attempt in (anew, anew, True):
            rows = _read_rows(root / FOLDER)
            scope = rows if experiment is None else rows[rows["experiment"] == experiment]
            known = dict(zip(scope["run"], scope["stamp"], strict=True))
            stale = {one for one in known.keys() | stamps.keys() if attempt or known.get(one) != stamps.get(one)}
            try:
                return _update(root, rows, stale, stamps) if stale else (rows, {})
            except _UNREADABLE as error:
                unreadable = error
        raise unreadable


def _update(
    root: Path, rows: pd.DataFrame, stale: set[str], stamps: dict[str, str]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    writer = PartWriter(root / FOLDER / "curves")
    fresh: list[dict[str, Any]] = []
    replaced: set[str] = set()
    for experiment in sorted({name.partition("/")[0] for name in stale}):
        replaced |= _carry(rows[rows["experiment"] == experiment], stale, writer)
        for name in sorted(name for name in stale & stamps.keys() if name.partition("/")[0] == experiment):
            row, table = _read_run(root / name, name)
            writer.add(table)
            fresh.append({**row, "stamp": stamps[name], "part": "", "lines": table.num_rows})
        writer.flush()
    kept = rows[~rows["run"].isin(list(stale))]
    new = pd.DataFrame(fresh, columns=list(_STORED)).astype(_STORED)
    rows = (new if kept.empty else pd.concat([kept, new])).sort_values("run", ignore_index=True)
    at = [writer.part_of.get(run, part) for run, part in zip(rows["run"], rows["part"], strict=True)]
    rows["part"] = pd.Series(at, dtype="str")
    if _write_rows(root / FOLDER, rows):
        discard(writer.folder / part for part in replaced)
        sweep(writer.folder, set(rows["part"]))
    else:
        writer.keep_unsaved()
    return rows, writer.unsaved


def _carry(rows: pd.DataFrame, stale: set[str], writer: PartWriter) -> set[str]:
    """Add the unchanged runs of an experiment's parts that must be rewritten, or are small; return those parts."""
    lines = rows[rows["part"] != ""].groupby("part")["lines"].sum()
    changed = set(rows.loc[rows["run"].isin(list(stale)), "part"])
    replaced = {part for part in lines.index if part in changed or lines[part] < PART_LINES // 2}
    for part in sorted(replaced & set(rows.loc[~rows["run"].isin(list(stale)), "part"])):
        writer.add(without(read_part(writer.folder / part), stale))
    return replaced


def _read_rows(folder: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(folder / "runs.parquet", use_threads=False)
        if table.schema.metadata.get(b"seglab") != str(VERSION).encode():
            raise ValueError("made by another version")
        rows: pd.DataFrame = table.to_pandas()[list(_STORED)].astype(_STORED)
        return rows
    except (*_UNREADABLE, ValueError, KeyError, TypeError):
        return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in _STORED.items()})


def _write_rows(folder: Path, rows: pd.DataFrame) -> bool:
    """Store the table of runs; return whether that worked (a store that cannot be written is read anew each time)."""
    partial = folder / f"runs-{secrets.token_hex(8)}.tmp"
    table = pa.Table.from_pandas(rows, preserve_index=False)
    try:
        folder.mkdir(exist_ok=True)
        table = table.replace_schema_metadata({**table.schema.metadata, b"seglab": str(VERSION).encode()})
        pq.write_table(table, partial, compression="zstd")
        partial.replace(folder / "runs.parquet")
    except OSError:
        discard([partial])
        return False
    return True


def _read_run(folder: Path, name: str) -> tuple[dict[str, Any], Any]:
    try:
        epochs = read_epochs(folder)
        return _row(folder, name, read_record(folder), epochs), run_table(name, epochs)
    except (RunError, ValueError, TypeError, AttributeError, OverflowError) as error:  # one damaged run hides no other
        problem = str(error) if isinstance(error, RunError) else f"{folder.name}/run.json has a field of another kind"
        empty = dict.fromkeys(RUN_COLUMNS)
        names = {"run": name, "experiment": folder.parent.name, "variant": folder.name}
        return {**empty, **names, "problem": text(problem)}, run_table(name, [])


def _row(folder: Path, name: str, record: dict[str, Any], epochs: list[dict[str, Any]]) -> dict[str, Any]:
    environment, data = record.get("environment") or {}, record.get("data") or {}
    val = data.get("val") or {}
    none_yet = None if record["provenance"] == "published" else 0
    fields = ("variant", "title", "label_space", "provenance", "status")
    return {
        "run": name,
        "experiment": folder.parent.name,
        **{field: text(record[field]) for field in fields},
        "seed": record["seed"],
        "model": text(record["model"]["key"]),
        "size": text(record["model"]["size"]),
        "epochs": epochs[-1]["epoch"] if epochs else _whole(record.get("epochs", none_yet)),
        "miou": number((record.get("metrics") or {}).get("miou")),
        "parameters": number(record["model"].get("parameters")),
        "seconds_per_epoch": number(record.get("seconds_per_epoch")),
        "peak_memory_mib": number(record.get("peak_memory_mib")),
        "data_name": text(data.get("name") or ""),
        "split": text(val.get("split") or ""),
        "val_fingerprint": text(val.get("fingerprint") or ""),
        "val_images": _whole(val.get("images")),
        "size_px": _size(val.get("size_px")),
        **{field: text(environment.get(field) or "") for field in ("device", "git_commit")},
        **{field: text(record.get(field) or "") for field in ("started", "finished", "citation")},
        "has_curve": bool(epochs),
        "has_weights": Record(folder, record).weights.is_file(),
        "problem": None,
    }


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and abs(value) < 2**63 else None


def _size(value: object) -> str:
    """Return ``[H, W]`` as width x height."""
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(side, int) for side in value):
        return ""
    return f"{value[1]}x{value[0]}"
