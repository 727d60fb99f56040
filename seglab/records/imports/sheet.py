"""A table of results from outside: bytes in, checked columns out, or sentences that name the lines.

One row is one evaluated epoch of one run: `variant, seed, epoch`, then one column per metric or class.
"""

import math
import re
from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from seglab.records.imports.exports import read_file
from seglab.records.imports.grid import MAX_BYTES, MAX_COLUMNS, MAX_ROWS, Grid
from seglab.records.imports.names import KEYS, METRICS, PLAIN, Columns, read_columns
from seglab.records.imports.problems import ImportProblem, Problems, quoted

__all__ = ["MAX_BYTES", "MAX_COLUMNS", "MAX_ROWS", "METRICS", "PLAIN", "Said", "Sheet", "read_sheet"]

MAX_EPOCH = 100_000_000  # steps count here, too
MAX_SEED = 2**32 - 1
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_WHOLE = re.compile(r"(\d{1,18})(\.0+)?", re.ASCII)
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?", re.ASCII)
_SEEDED = re.compile(r"(.*?[^\W_])[\s_./-]*seed[\s_=-]?(\d{1,10})", re.ASCII | re.IGNORECASE)
_FORMULA = ("=", "+", "-", "@")


@dataclass(frozen=True)
class Said:
    """What is said about a file beside it.

    Attributes:
        label_space: of the class columns; needed where they do not tell it.
        mapping: name of a column to what it is; ``skip`` leaves it out.
        variant: of a file that names none.
        seed: of a file that names none.
        epoch: of a file that names none, such as one of final figures.
    """

    label_space: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    variant: str = ""
    seed: int | None = None
    epoch: int | None = None


@dataclass(frozen=True)
class Sheet:
    """The rows of a file, checked one by one; nothing is said yet about how they fit together.

    Attributes:
        label_space: key of the label space of the class columns.
        names: the metric columns as the file writes them.
        keys: the same as records write them, such as ``miou`` and ``iou/road``.
        line, variant, seed, epoch: one per row.
        values: ``(rows, columns)`` as the file has them; NaN where the cell is empty.
        percent: what says that the figures are percent; empty where nothing does.
        notes: how the file was read where that is not literal.
        word: what ``line`` counts.
    """

    label_space: str
    names: tuple[str, ...]
    keys: tuple[str, ...]
    line: list[int]
    variant: list[str]
    seed: list[int]
    epoch: list[int]
    values: NDArray[np.float64]
    percent: str
    notes: tuple[str, ...]
    word: str


@dataclass
class _Cells:
    """Reads cells one by one, and remembers how numbers are written."""

    problems: Problems
    comma: int = 0  # the first line with a decimal comma
    point: int = 0
    nan: int = 0
    percent: str = ""

    def whole(self, cell: str, name: str, most: int, line: int) -> int:
        match = _WHOLE.fullmatch(cell)
        if match and int(match[1]) <= most:
            return int(match[1])
        self.problems.add(f"expected {name} as a whole number from 0 to {most}, got {quoted(cell)}", line)
        return 0

    def value(self, cell: str, name: str, plain: bool, line: int) -> float:
        """Return a cell's number; NaN where it is empty, and with a problem where it is none."""
        if not cell:
            return math.nan
        if cell.lower() == "nan":
            self.nan = self.nan or line
            return math.nan
        bare = cell.removesuffix("%").rstrip() if not plain else cell
        if bare != cell:
            self.percent = self.percent or f"{quoted(cell)} in line {line} has a percent sign"
        if _DECIMAL_COMMA.fullmatch(bare):
            bare, self.comma = bare.replace(",", "."), self.comma or line
        elif "." in bare:
            self.point = self.point or line
        if not _NUMBER.fullmatch(bare):
            self.problems.add(
                f"column {name}: expected a number, or an empty cell where nothing counts, got {quoted(cell)}", line
            )
            return math.nan
        value = float(bare)
        if not math.isfinite(value) or (not plain and not 0 <= value <= 100):
            limits = "a finite number" if plain else "0 to 1, or 0 to 100 in percent"
            self.problems.add(f"column {name}: expected {limits}, got {quoted(cell)}", line)
        return value


def read_sheet(data: bytes, said: Said | None = None, name: str = "") -> Sheet:
    """Return the checked rows of a file.

    Args:
        data: the file: a table as text, or an export that :mod:`seglab.records.imports.exports` knows.
        said: what is said beside it.
        name: of the file.

    Raises:
        ImportProblem: for a file that is no such table.
    """
    said = said or Said()
    grid = read_file(data, name)
    rows = iter(grid.rows)
    head = next(rows, None)
    first = head[1] if head else []
    problems = Problems(word=grid.word)
    if match := _SEEDED.fullmatch(PurePath(name).stem) if _is_one_run(grid, said) else None:
        said = replace(said, variant=match[1], seed=int(match[2]))
        note = f"variant {match[1]} and seed {int(match[2])} read from the file's name"
        grid = replace(grid, notes=(*grid.notes, note))
    answers = {"variant": said.variant, "seed": said.seed, "epoch": said.epoch}
    given = {key for key, value in answers.items() if value not in ("", None)}
    seeded = "" if "seed" in given else _seeded(grid, first)
    columns = read_columns(
        grid.header,
        first,
        problems,
        label_space=said.label_space,
        mapping=said.mapping,
        given={*given, *(["seed"] if seeded else [])},
        lenient=bool(grid.kind),
    )
    for key in sorted(given & {*columns.keys}):
        problems.add(f"the file has the column {quoted(grid.header[columns.keys.index(key)])}; leave --{key} out")
    if said.variant:
        _variant(said.variant, None, problems)
    if said.seed is not None and not 0 <= said.seed <= MAX_SEED:
        problems.add(f"expected a seed from 0 to {MAX_SEED}, got {said.seed}")
    if said.epoch is not None and not 0 <= said.epoch <= MAX_EPOCH:
        problems.add(f"expected an epoch from 0 to {MAX_EPOCH}, got {said.epoch}")
    problems.check()
    if head is None:
        raise ImportProblem(["the file has a header and no row below it"])
    return _read(replace(grid, rows=chain([head], rows)), columns, said, problems)


def _is_one_run(grid: Grid, said: Said) -> bool:
    """Return whether it is the export of one run, and nobody says of which."""
    return bool(grid.kind) and "run" not in grid.header and not said.variant and said.seed is None


def _seeded(grid: Grid, first: list[str]) -> str:
    """Return the first run's name where runs of an export hold their seeds, such as `A-seed1`."""
    if "run" not in grid.header or "seed" in (name.lower() for name in grid.header):
        return ""
    cell = first[grid.header.index("run")].strip() if len(first) == len(grid.header) else ""
    return cell if _SEEDED.fullmatch(cell) else ""


def _read(grid: Grid, columns: Columns, said: Said, problems: Problems) -> Sheet:
    at = {key: columns.keys.index(key) for key in KEYS if key in columns.keys}
    metrics = [i for i, key in enumerate(columns.keys) if key and key not in KEYS]
    scores = [i for i in metrics if columns.keys[i] not in PLAIN]
    names = tuple(grid.header[i] for i in metrics)
    lines: list[int] = []
    variants: list[str] = []
    seeds: list[int] = []
    epochs: list[int] = []
    notes = [*grid.notes, *columns.notes]
    values, cell, dropped, example = array("d"), _Cells(problems), 0, ""
    for line, cells in grid.rows:
        if len(cells) != len(grid.header):
            problems.add(_count(len(grid.header), len(cells)), line)
            continue
        if grid.kind and not any(cells[i].strip() for i in scores):
            dropped += 1
            continue
        variant = cells[at["variant"]].strip() if "variant" in at else said.variant
        if "seed" in at:
            seed = cell.whole(cells[at["seed"]].strip(), "seed", MAX_SEED, line)
        elif said.seed is not None:
            seed = said.seed
        elif match := _SEEDED.fullmatch(variant):
            example = example or variant
            variant, seed = match[1], cell.whole(match[2], "seed", MAX_SEED, line)
        else:
            problems.add(
                f"the run {quoted(variant)} does not tell its seed; name every run as in A-seed1, or say --seed"
            )
            continue
        lines.append(line)
        variants.append(_variant(variant, line, problems))
        seeds.append(seed)
        epoch = said.epoch
        if epoch is None:
            epoch = cell.whole(cells[at["epoch"]].strip(), "epoch", MAX_EPOCH, line)
        epochs.append(epoch)
        for i, name in zip(metrics, names, strict=True):
            values.append(cell.value(cells[i].strip(), name, columns.keys[i] in PLAIN, line))
    if cell.comma and cell.point:
        problems.add(f"line {cell.comma} has a decimal comma and line {cell.point} a decimal point; write one of them")
    problems.check()
    if not lines:
        raise ImportProblem(["the file has a header and no row with a figure below it"])
    if cell.comma:
        separated = next((note for note in notes if note.endswith(" separates")), "")
        notes = [note for note in notes if note != separated]
        notes.insert(0, f"{separated}, so `,` is the decimal sign" if separated else "`,` is the decimal sign")
    if example:
        notes.append(f"variant and seed read from the run's name, such as `{example}`")
    if cell.nan:
        notes.append(f"`NaN` read as a figure that does not count, first in {problems.word} {cell.nan}")
    if dropped:
        notes.append(f"{dropped} {problems.word if dropped == 1 else 'rows'} without a score left out")
    percent = cell.percent or (f"the column {columns.percent} says so" if columns.percent else "")
    table = np.frombuffer(values, np.float64).reshape(len(lines), len(metrics))
    keys = tuple(columns.keys[i] for i in metrics)
    return Sheet(
        columns.label_space, names, keys, lines, variants, seeds, epochs, table, percent, tuple(notes), grid.word
    )


def _count(expected: int, got: int) -> str:
    hint = "; write decimals with a point, 0.71, if these have commas" if got > expected else ""
    return f"expected {expected} cells as in the header, got {got}{hint}"


def _variant(cell: str, line: int | None, problems: Problems) -> str:
    if not cell:
        problems.add("the variant is empty", line)
    elif cell.startswith(_FORMULA):
        problems.add(f"the variant {quoted(cell)} starts like a spreadsheet's formula; start it with a letter", line)
    elif len(cell) > 80 or not cell.isprintable():
        problems.add(f"expected a variant of at most 80 printable characters, got {quoted(cell)}", line)
    return cell
