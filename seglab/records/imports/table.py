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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from seglab.records.files import RunError, check_name, write_atomic
from seglab.records.imports.combine import combined
from seglab.records.imports.problems import ImportProblem, Problems, listed, quoted
from seglab.records.imports.sheet import MAX_BYTES, PLAIN, Said, Sheet, read_sheet
from seglab.records.runs import SCHEMA_VERSION
from seglab.records.store import RESULTS
from seglab.records.writer import RunWriter

__all__ = [
    "MAX_BYTES",
    "ImportProblem",
    "ImportedRun",
    "ImportedTable",
    "Said",
    "Unit",
    "parse_csv",
    "parse_files",
    "write_import",
]

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
    notes: tuple[str, ...] = ()  # how the file was read where that is not literal

    def lines(self, run: ImportedRun) -> Iterator[dict[str, Any]]:
        """Yield a run's epochs as records hold them."""
        for epoch, values in zip(run.epochs, run.values.tolist(), strict=True):
            counted = (None if value != value else value for value in values)
            yield {"epoch": epoch, **dict(zip(self.metrics, counted, strict=True))}


def parse_csv(
    data: bytes,
    label_space: str | None = None,
    *,
    unit: Unit | None = None,
    name: str = "",
    mapping: Mapping[str, str] | None = None,
    variant: str = "",
    seed: int | None = None,
    epoch: int | None = None,
) -> ImportedTable:
    """Return the runs in a table with the columns ``variant, seed, epoch`` and one per metric or class, or in an export.

    Args:
        data: the file's bytes.
        label_space: key of the label space; needed where the class columns do not tell it.
        unit: of the metrics; told from the whole file where it is not given.
        name: of the file, kept in the records.
        mapping: name of a column to what it is, such as ``{"Value": "mIoU"}``; ``skip`` leaves it out.
        variant: of a file that names none.
        seed: of a file that names none.
        epoch: of a file that names none.

    Raises:
        ImportProblem: with one sentence per problem, each naming its lines.
    """
    return parse_files([(name, data)], Said(label_space, mapping or {}, variant, seed, epoch), unit)


def parse_files(files: Sequence[tuple[str, bytes]], said: Said, unit: Unit | None = None) -> ImportedTable:
    """Return the runs in several files, name and bytes each, as one table; see :func:`parse_csv`.

    Raises:
        ImportProblem: with one sentence per problem, which names the file where there are several.
    """
    if unit is not None and unit not in get_args(Unit):
        raise ImportProblem([f"expected the unit fraction or percent, got {unit!r}"])
    if len(files) > 1 and sum(len(data) for _, data in files) > 4 * MAX_BYTES:
        raise ImportProblem([f"the files are larger than {4 * MAX_BYTES // 2**20} MiB; import them in parts"])
    sheets = []
    for name, data in files:
        last = _file_name(name)
        try:
            sheets.append(read_sheet(data, said, last))
        except ImportProblem as problem:
            if len(files) == 1:
                raise
            told = [f"{last}: {one}" for one in problem.problems]
            raise ImportProblem(told, 0, problem.flags, problem.unknown) from None
    sheet = sheets[0] if len(sheets) == 1 else combined(sheets)
    metrics = [i for i, key in enumerate(sheet.keys) if key not in PLAIN]
    notes = list(sheet.notes)
    found = unit or _unit(sheet, metrics, notes)
    values = sheet.values.copy()
    if found == "percent":
        values[:, metrics] = np.round(values[:, metrics] / 100, 10)
    else:
        _check_fractions(sheet, metrics)
    runs = _runs(sheet, values)
    if len({run.epochs for run in runs}) > 1:
        notes.append("runs have different epochs: a seed counts at the epochs it has")
    digest = hashlib.sha256(b"".join(data for _, data in files)).hexdigest()
    named = listed([_file_name(name) for name, _ in files], 3)
    return ImportedTable(sheet.label_space, found, sheet.keys, runs, len(sheet.line), digest, named, tuple(notes))


def _unit(sheet: Sheet, metrics: Sequence[int], notes: list[str]) -> Unit:
    """Tell fractions from percent for the whole file; zeros are the same in both, and a rare class may be below 1 %."""
    values = np.where(np.isnan(sheet.values), 0, sheet.values)
    tops = {i: int(values[:, i].argmax()) for i in metrics if values[:, i].any()}
    of = {i: float(values[row, i]) for i, row in tops.items()}
    top = max(of.values(), default=0.0)
    if top <= 1 and not sheet.percent:
        return "fraction"
    problems = Problems(word=sheet.word)
    overall = [i for i in of if "/" not in sheet.keys[i]]
    low = [i for i in (overall if top > _SURELY_PERCENT else of) if of[i] <= _SURELY_PERCENT]
    classes = [i for i in of if sheet.keys[i].startswith("iou/")]
    if overall and len(classes) > 1 and all(of[i] <= 1 for i in classes):  # one may be rare, all of them are fractions
        low += [i for i in classes if i not in low]
    if low and (top > 1 or not sheet.percent):
        named = [*low[:3], *sorted(of.keys() - set(low), key=lambda i: -of[i])[:1]]
        largest = ", ".join(f"of {sheet.names[i]} {of[i]:g} (line {sheet.line[tops[i]]})" for i in named)
        problems.add(f"mixed units: the largest value is {largest}; {_MEND}")
    for i in set(overall) - set(low):
        column = values[:, i]
        least = column[column > 1].min(initial=np.inf)
        for row in np.flatnonzero((column > 0) & (column <= 1) & (100 * column >= least) & (100 * column <= of[i])):
            problems.add(f"mixed units: column {sheet.names[i]} has 1 or less among percent; {_MEND}", sheet.line[row])
    problems.check()
    if sheet.percent:
        notes.append(f"percent: {sheet.percent}")
    else:
        at = max(of, key=lambda i: of[i])
        notes.append(f"percent: {sheet.names[at]} {top:g} > 1 in {sheet.word} {sheet.line[tops[at]]}")
    return "percent"


def _check_fractions(sheet: Sheet, metrics: Sequence[int]) -> None:
    problems = Problems(word=sheet.word)
    for i in metrics:
        for row in np.flatnonzero(sheet.values[:, i] > 1):
            problems.add(f"column {sheet.names[i]}: expected fractions from 0 to 1", sheet.line[row])
    problems.check()


def _runs(sheet: Sheet, values: NDArray[np.float64]) -> tuple[ImportedRun, ...]:
    rows: dict[tuple[str, int], dict[int, int]] = {}  # (variant, seed) -> epoch -> row
    problems = Problems(word=sheet.word)
    for row, (variant, seed, epoch) in enumerate(zip(sheet.variant, sheet.seed, sheet.epoch, strict=True)):
        first = rows.setdefault((variant, seed), {}).setdefault(epoch, row)
        if first != row:
            run = f"variant {quoted(variant)}, seed {seed}, epoch {epoch}"
            problems.add(f"{run} stands in {sheet.word} {sheet.line[first]} already", sheet.line[row])
    if len(rows) > MAX_RUNS:
        problems.add(f"the file has {len(rows)} runs; at most {MAX_RUNS} are read at once")
    problems.check()
    first_lines: dict[str, int] = {}
    for variant, line in zip(sheet.variant, sheet.line, strict=True):
        first_lines.setdefault(variant, line)
    slugs = _slugs(first_lines, problems)
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
    source = {"sha256": table.sha256, "name": table.name, "unit": table.unit, "read": "; ".join(table.notes)[:1000]}
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
