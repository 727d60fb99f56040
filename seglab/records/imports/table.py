"""Runs from a user's own table: checked as a whole, then written as records like any other, all or none.

`parse_csv` reads and checks, `write_import` stores; both say in sentences what is wrong (`ImportProblem`).
"""

import hashlib
import json
import os
import re
import secrets
import shutil
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seglab.records.files import RunError, check_name, write_atomic
from seglab.records.imports.problems import ImportProblem, Problems, listed, quoted
from seglab.records.imports.sheet import MAX_BYTES, PLAIN, Sheet, read_sheet
from seglab.records.runs import SCHEMA_VERSION
from seglab.records.store import RESULTS
from seglab.records.writer import RunWriter

__all__ = ["MAX_BYTES", "ImportProblem", "ImportedRun", "ImportedTable", "Unit", "parse_csv", "write_import"]

Unit = Literal["fraction", "percent"]
MAX_RUNS = 10_000
_SURELY_PERCENT = 1.5
_MEND = "give every metric as a fraction or every one in percent, or say which it is if the file is right"


@dataclass(frozen=True)
class ImportedRun:
    """One run of an imported table.

    Attributes:
        variant: safe as a folder name, made of ``title``.
        title: the variant as the file writes it.
        epochs: rising.
        values: ``(epochs, metrics)`` fractions (losses and rates as they are); NaN where nothing counts.
    """

    variant: str
    title: str
    seed: int
    epochs: tuple[int, ...]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class ImportedTable:
    """A checked table, ready to be written."""

    label_space: str
    unit: Unit
    metrics: tuple[str, ...]
    runs: tuple[ImportedRun, ...]
    rows: int
    sha256: str
    name: str

    def lines(self, run: ImportedRun) -> Iterator[dict[str, Any]]:
        """Yield a run's epochs as records hold them."""
        for epoch, values in zip(run.epochs, run.values.tolist(), strict=True):
            counted = (None if value != value else value for value in values)
            yield {"epoch": epoch, **dict(zip(self.metrics, counted, strict=True))}


def parse_csv(
    data: bytes, label_space: str | None = None, *, unit: Unit | None = None, name: str = ""
) -> ImportedTable:
    """Return the runs in a CSV file with the columns ``variant, seed, epoch`` and one per metric or class.

    Args:
        data: the file's bytes.
        label_space: key of the label space; needed where the class columns do not tell it.
        unit: of the metrics; told from the whole file where it is not given.
        name: of the file, kept in the records.

    Raises:
        ImportProblem: with one sentence per problem, each naming its lines.
    """
    if unit is not None and unit not in get_args(Unit):
        raise ImportProblem([f"expected the unit fraction or percent, got {unit!r}"])
    sheet = read_sheet(data, label_space)
    metrics = [i for i, key in enumerate(sheet.keys) if key not in PLAIN]
    found = unit or _unit(sheet, metrics)
    values = sheet.values.copy()
    if found == "percent":
        values[:, metrics] = np.round(values[:, metrics] / 100, 10)
    else:
        _check_fractions(sheet, metrics)
    runs = _runs(sheet, values)
    digest = hashlib.sha256(data).hexdigest()
    return ImportedTable(sheet.label_space, found, sheet.keys, runs, len(sheet.line), digest, _file_name(name))


def _unit(sheet: Sheet, metrics: Sequence[int]) -> Unit:
    """Tell fractions from percent for the whole file; zeros are the same in both."""
    values = np.where(np.isnan(sheet.values), 0, sheet.values)
    rows = {i: int(values[:, i].argmax()) for i in metrics if values[:, i].any()}
    tops = {i: float(values[row, i]) for i, row in rows.items()}
    if all(top <= 1 for top in tops.values()):
        return "fraction"
    problems = Problems()
    low = [i for i in tops if tops[i] <= _SURELY_PERCENT]
    if low:
        named = [*low[:3], *sorted(tops.keys() - set(low), key=lambda i: -tops[i])[:1]]
        largest = ", ".join(f"of {sheet.names[i]} {tops[i]:g} (line {sheet.line[rows[i]]})" for i in named)
        problems.add(f"mixed units: the largest value is {largest}; {_MEND}")
    for i in tops.keys() - set(low):
        for row in np.flatnonzero((values[:, i] > 0) & (values[:, i] <= 1)):
            problems.add(f"mixed units: column {sheet.names[i]} has 1 or less among percent; {_MEND}", sheet.line[row])
    problems.check()
    return "percent"


def _check_fractions(sheet: Sheet, metrics: Sequence[int]) -> None:
    problems = Problems()
    for i in metrics:
        for row in np.flatnonzero(sheet.values[:, i] > 1):
            problems.add(f"column {sheet.names[i]}: expected fractions from 0 to 1", sheet.line[row])
    problems.check()


def _runs(sheet: Sheet, values: NDArray[np.float64]) -> tuple[ImportedRun, ...]:
    rows: dict[tuple[str, int], dict[int, int]] = {}  # (variant, seed) -> epoch -> row
    problems = Problems()
    for row, (variant, seed, epoch) in enumerate(zip(sheet.variant, sheet.seed, sheet.epoch, strict=True)):
        first = rows.setdefault((variant, seed), {}).setdefault(epoch, row)
        if first != row:
            run = f"variant {quoted(variant)}, seed {seed}, epoch {epoch}"
            problems.add(f"{run} stands in line {sheet.line[first]} already", sheet.line[row])
    if len(rows) > MAX_RUNS:
        problems.add(f"the file has {len(rows)} runs; at most {MAX_RUNS} are read at once")
    problems.check()
    first_lines: dict[str, int] = {}
    for variant, line in zip(sheet.variant, sheet.line, strict=True):
        first_lines.setdefault(variant, line)
    slugs = _slugs(first_lines, problems)
    _check_epochs({run: sorted(epochs) for run, epochs in rows.items()}, problems)
    problems.check()
    return tuple(
        ImportedRun(slugs[variant], variant, seed, tuple(sorted(at)), values[[at[epoch] for epoch in sorted(at)]])
        for (variant, seed), at in rows.items()
    )


def _slugs(lines: Mapping[str, int], problems: Problems) -> dict[str, str]:
    """Return each variant's folder name; two that would share one are a problem."""
    slugs: dict[str, str] = {}
    taken: dict[str, str] = {}
    for variant, line in lines.items():
        plain = unicodedata.normalize("NFKD", variant).encode("ascii", "ignore").decode().lower()
        slug = re.sub(r"\.{2,}", ".", re.sub(r"[^a-z0-9._-]+", "-", plain)).strip("-._")[:56].rstrip("-._")
        if not slug:
            problems.add(f"the variant {quoted(variant)} has no letter a to z or digit to name its folder by", line)
        elif slug in taken:
            other = quoted(taken[slug])
            problems.add(f"the variants {other} and {quoted(variant)} would both be named {slug}; rename one", line)
        slugs[variant] = slug
        taken.setdefault(slug, variant)
    return slugs


def _check_epochs(runs: Mapping[tuple[str, int], Sequence[int]], problems: Problems) -> None:
    """Find epochs that a run leaves out: between its own, or where other seeds of its variant have one."""
    union: dict[str, set[int]] = {}
    for (variant, _), epochs in runs.items():
        union.setdefault(variant, set()).update(epochs)
    for (variant, seed), epochs in runs.items():
        run = f"variant {quoted(variant)}, seed {seed}"
        step = _uneven(epochs)
        others = sorted(union[variant].difference(epochs))
        if step:
            span, own = range(epochs[0], epochs[-1], step), set(epochs)
            first = list(islice((epoch for epoch in span if epoch not in own), 10))
            missing = listed(first, 10, len(span) - sum(epoch in span for epoch in epochs))
            problems.add(f"{run} goes in steps of {step} and lacks epoch {missing}")
        elif others:
            problems.add(f"{run} lacks epoch {listed(others)}, which other seeds have")


def _uneven(epochs: Sequence[int]) -> int:
    """Return the usual step of epochs that leave some out, 0 where none is left out.

    The first and the last step may be shorter: runs evaluate epoch 1, then every tenth, and the last one.
    """
    steps = [b - a for a, b in pairwise(epochs)]
    if not steps:
        return 0
    counts = Counter(steps)
    usual = min(counts, key=lambda step: (-counts[step], step))
    even = all(step == usual for step in steps[1:-1]) and max(steps[0], steps[-1]) <= usual
    return 0 if even else usual


def _file_name(name: str) -> str:
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable())[:120]


def write_import(table: ImportedTable, experiment: str, results: Path = RESULTS, title: str = "") -> list[Path]:
    """Write a table's runs as one new experiment, all of them or none; return their folders.

    Args:
        table: what :func:`parse_csv` returned.
        experiment: name of the experiment's folder, which must not exist.
        results: the store.
        title: of the experiment, as people call it.

    Raises:
        ImportProblem: where the name is no folder name or is taken.
        OSError: where the store cannot be written; nothing is left behind then.
    """
    try:
        target = results / check_name(experiment, "an experiment name")
    except RunError as error:
        raise ImportProblem([str(error)]) from None
    taken = ImportProblem([f"the experiment {experiment} exists already; choose another name or delete its folder"])
    if os.path.lexists(target):
        raise taken
    time = datetime.now(UTC).isoformat(timespec="seconds")
    hidden = results / f".import-{secrets.token_hex(8)}"
    folder = hidden / "runs" / experiment  # one deeper than a store's runs: no reader meets it half-written
    try:
        for run in table.runs:
            _write_run(folder / f"{run.variant}-seed{run.seed}", table, run, experiment, title, time)
        try:
            folder.rename(target)
        except OSError:
            if os.path.lexists(target):
                raise taken from None
            raise
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
    return [target / f"{run.variant}-seed{run.seed}" for run in table.runs]


def _write_run(folder: Path, table: ImportedTable, run: ImportedRun, experiment: str, title: str, time: str) -> None:
    lines = list(table.lines(run))
    source = {"sha256": table.sha256, "name": table.name, "unit": table.unit}
    record = {
        "schema_version": SCHEMA_VERSION,
        "experiment": experiment,
        "experiment_title": "".join(c for c in title if c.isprintable())[:200],
        "variant": run.variant,
        "title": run.title,
        "seed": run.seed,
        "model": {"key": "imported", "size": ""},
        "label_space": table.label_space,
        "data": {"name": "imported"},
        "recipe": {},
        "provenance": "imported",
        "status": "finished",
        "source": {key: value for key, value in source.items() if value},
        "started": time,
        "finished": time,
        "epochs": run.epochs[-1],
        "metrics": {key: value for key, value in lines[-1].items() if key not in ("epoch", *PLAIN)},
    }
    RunWriter(folder, record)
    text = "".join(json.dumps(line, allow_nan=False) + "\n" for line in lines)
    write_atomic(folder / "epochs.jsonl", text.encode())
