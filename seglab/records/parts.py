"""Curves of many runs as Parquet parts of a few megabytes: one row an epoch, one column a metric.

A part holds runs of one experiment and never changes once it is written: a changed run goes into a new part, so readers
need no lock. Which part a run is in stands in the table of runs (`seglab.records.index`).
"""

import math
import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

PART_LINES = 20_000  # epochs; a changed run costs the rewriting of one part
CURVE_COLUMNS = ("run", "experiment", "variant", "seed", "epoch", "metric", "class", "value")
_PREFIX = "metric:"  # so that no metric's name meets the columns run and epoch
_SKIP = ("epoch", "seconds", "eval_seconds")
_ORPHAN_S = 3600


def text(value: object) -> str:
    """Return a value as text that can be stored; half surrogate pairs become question marks."""
    return str(value).encode("utf-8", "replace").decode()


def number(value: object) -> float:
    """Return a number as float; NaN for anything else and for infinities."""
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else math.nan


def run_table(name: str, lines: Sequence[Mapping[str, Any]]) -> Any:
    """Return the Arrow table of one run's epochs: null where a line lacks the key, NaN where it does not count."""
    epochs = np.array([line["epoch"] for line in lines], np.int64)
    columns = {"run": pa.array([name] * len(lines), pa.string()), "epoch": pa.array(epochs)}
    for key in dict.fromkeys(key for line in lines for key in line if key not in _SKIP):
        values = [number(line[key]) if key in line else None for line in lines]
        columns[_PREFIX + text(key)] = pa.array(values, pa.float64())
    return pa.table(columns)


class PartWriter:
    """Gathers tables of runs into parts; where they cannot be stored they stay in ``unsaved`` for this reader only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.part_of: dict[str, str] = {}  # run -> name of its part
        self.unsaved: dict[str, Any] = {}
        self._pending: list[Any] = []
        self._lines = 0

    def add(self, table: Any) -> None:
        """Add the epochs of one run, or of some."""
        if table.num_rows:
            self._pending.append(table)
            self._lines += table.num_rows
        if self._lines >= PART_LINES:
            self.flush()

    def flush(self) -> None:
        """Write what was added as one part."""
        if not self._pending:
            return
        table = pa.concat_tables(self._pending, promote_options="default")
        self._pending, self._lines = [], 0
        name = f"{secrets.token_hex(8)}.parquet"
        self.part_of.update(dict.fromkeys(table.column("run").unique().to_pylist(), name))
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, self.folder / name, compression="zstd", use_dictionary=["run"])
        except OSError:
            self.unsaved[name] = table
            discard([self.folder / name])

    def keep_unsaved(self) -> None:
        """Take the written parts back into memory: the table that would name them cannot be stored."""
        for name in set(self.part_of.values()) - self.unsaved.keys():
            self.unsaved[name] = read_part(self.folder / name)
            discard([self.folder / name])


def discard(paths: Iterable[Path]) -> None:
    """Delete files where that is possible."""
    for path in paths:
        try:
            path.unlink(missing_ok=True)
        except OSError:
            continue


def sweep(folder: Path, used: set[str]) -> None:
    """Delete parts that no run names any more and that are too old to be another process's, still to be named."""
    for path in folder.glob("*.parquet"):
        try:
            if path.name not in used and path.stat().st_mtime < time.time() - _ORPHAN_S:
                path.unlink()
        except OSError:
            continue


def read_part(path: Path, metric: str | None = None) -> Any:
    """Return a part as an Arrow table: all of it, or one metric with its classes.

    Raises:
        OSError, pyarrow.ArrowException: where the part is gone or damaged.
    """
    with pq.ParquetFile(path, read_dictionary=["run"]) as file:
        names = ["run", "epoch", *_columns(file.schema_arrow.names, metric)]
        return file.read(columns=names, use_threads=False)


def without(table: Any, runs: set[str]) -> Any:
    """Return a part's table without some runs."""
    names = table.column("run").cast(pa.string())
    rest = table.set_column(0, "run", names)
    return rest.filter(pa.array([name not in runs for name in names.to_pylist()], pa.bool_()))


def _columns(names: Iterable[str], metric: str | None) -> list[str]:
    keys = (name for name in names if name.startswith(_PREFIX))
    return [key for key in keys if metric is None or key[len(_PREFIX) :].partition("/")[0] == metric]


def tidy(tables: Iterable[Any], runs: pd.DataFrame, metric: str | None = None) -> pd.DataFrame:
    """Return :data:`CURVE_COLUMNS` out of parts, in the order of ``runs``; names are categorical.

    Args:
        tables: parts as :func:`read_part` returns them.
        runs: the rows of the table of runs that are wanted; other runs of a part are left out.
        metric: only this one and its classes.
    """
    position = {name: at for at, name in enumerate(runs["run"])}
    keys: dict[str, int] = {}
    pieces: list[tuple[NDArray[Any], ...]] = []
    for table in tables:
        run, epoch = _positions(table, position), table.column("epoch").to_numpy()
        for name in _columns(table.column_names, metric):
            column = table.column(name)
            rows = np.flatnonzero(column.is_valid().to_numpy() & (run >= 0))
            key = np.full(len(rows), keys.setdefault(name[len(_PREFIX) :], len(keys)), np.int32)
            pieces.append((run[rows], epoch[rows], key, column.to_numpy()[rows]))
    if not pieces:
        pieces.append((np.empty(0, np.int32), np.empty(0, np.int64), np.empty(0, np.int32), np.empty(0)))
    at, epoch, key, value = (np.concatenate(arrays) for arrays in zip(*pieces, strict=True))
    order = np.argsort(at, kind="stable")
    return _frame(at[order], epoch[order], key[order], value[order], runs, list(keys))


def _positions(table: Any, position: Mapping[str, int]) -> NDArray[np.int32]:
    """Return each line's row in the table of runs; -1 where it has none."""
    runs = table.column("run").unify_dictionaries().combine_chunks()
    runs = runs if pa.types.is_dictionary(runs.type) else runs.dictionary_encode()
    lookup = np.array([position.get(name, -1) for name in runs.dictionary.to_pylist()], np.int32)
    indices: NDArray[np.int32] = runs.indices.to_numpy()
    return lookup[indices]


def _frame(
    at: NDArray[Any], epoch: NDArray[Any], key: NDArray[Any], value: NDArray[Any], runs: pd.DataFrame, keys: list[str]
) -> pd.DataFrame:
    columns: dict[str, Any] = {}
    for name in ("run", "experiment", "variant"):
        columns[name] = _categorical(runs[name], at)
    columns["seed"] = runs["seed"].array.take(at)
    columns["epoch"] = epoch
    words = [one.partition("/") for one in keys]
    columns["metric"] = _categorical(pd.Series([metric for metric, _, _ in words], dtype="str"), key)
    columns["class"] = _categorical(pd.Series([name for _, _, name in words], dtype="str"), key)
    columns["value"] = value
    return pd.DataFrame(columns)[list(CURVE_COLUMNS)]


def _categorical(names: "pd.Series[str]", at: NDArray[Any]) -> pd.Categorical:
    """Return ``names`` at those positions; a name may stand at several."""
    codes, categories = pd.factorize(names)
    return pd.Categorical.from_codes(codes[at], categories)
