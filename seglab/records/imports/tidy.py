"""A long table, one row a figure: `variant, seed, epoch, metric, value`, and `class`; the Runs page saves curves so."""

from collections.abc import Iterator
from dataclasses import replace

from seglab.records.imports.grid import Grid
from seglab.records.imports.joined import Figure, joined

KIND = "a long table"
_NEEDED = ("variant", "seed", "epoch", "metric", "value")
_BETWEEN = "\n"  # no cell holds one


def read_tidy(grid: Grid) -> Grid | None:
    """Return one row a run and epoch; nothing where it is no such table."""
    names = [name.lower() for name in grid.header]
    if not set(_NEEDED) <= set(names):
        return None
    at = [names.index(name) for name in _NEEDED]
    of = names.index("class") if "class" in names else len(names)

    def figures() -> Iterator[Figure]:
        for line, cells in grid.rows:
            variant, seed, epoch, metric, value = (cells[i].strip() if i < len(cells) else "" for i in at)
            one = cells[of].strip() if of < len(cells) else ""
            yield line, variant + _BETWEEN + seed, epoch, f"{metric}/{one}" if one else metric, value

    header, rows = joined(figures())
    split = [(line, [*cells[0].split(_BETWEEN, 1), *cells[1:]]) for line, cells in rows]
    note = f"{KIND}: one column a metric and class"
    return replace(grid, header=["variant", "seed", *header[1:]], rows=split, kind=KIND, notes=(*grid.notes, note))
