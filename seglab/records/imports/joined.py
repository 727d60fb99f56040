"""Figures that an export gives one by one, or in sparse rows, as rows of a table."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from seglab.records.imports.grid import MAX_COLUMNS, MAX_ROWS
from seglab.records.imports.problems import ImportProblem

Figure = tuple[int, str, str, str, str]  # line, run (empty where the file names none), epoch, column, cell


@dataclass
class _Row:
    line: int
    run: str
    epoch: str
    cells: dict[str, str] = field(default_factory=dict)


def joined(figures: Iterable[Figure], *, last: bool = False) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """Return header and rows: one row a run and epoch, with the columns ``run`` (where there are any) and ``epoch``.

    Args:
        figures: empty cells are passed over.
        last: of two figures of one run, epoch and column the last counts; else the second begins a row of its own,
            which is told as given twice later.

    Raises:
        ImportProblem: where they are too many.
    """
    rows: dict[tuple[str, str], _Row] = {}
    twice: list[_Row] = []
    columns: dict[str, None] = {}
    for line, run, epoch, column, cell in figures:
        if not cell:
            continue
        columns.setdefault(column)
        row = rows.setdefault((run, epoch), _Row(line, run, epoch))
        if column in row.cells and not last:
            twice.append(_Row(line, run, epoch, {column: cell}))
        else:
            row.cells[column] = cell
        if len(columns) > MAX_COLUMNS:
            raise ImportProblem([f"the file has more than {MAX_COLUMNS} columns of figures"])
        if len(rows) + len(twice) > MAX_ROWS:
            raise ImportProblem([f"line {line}: more than {MAX_ROWS} rows; import the experiments one by one"])
    every = [*rows.values(), *twice]
    named = any(row.run for row in every)
    header = [*(["run"] if named else []), "epoch", *columns]
    return header, [
        (row.line, [*([row.run] if named else []), row.epoch, *(row.cells.get(column, "") for column in columns)])
        for row in every
    ]
