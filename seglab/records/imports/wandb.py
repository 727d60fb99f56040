"""The CSV of a Weights & Biases chart: `Step`, then `<run> - <metric>` with `…__MIN` and `…__MAX`."""

from collections.abc import Iterator
from dataclasses import replace

from seglab.records.imports.grid import Grid
from seglab.records.imports.joined import Figure, joined

KIND = "a W&B chart's export"
_BOUNDS = ("__MIN", "__MAX")


def read_wandb(grid: Grid) -> Grid | None:
    """Return one row a run and step; nothing where it is no such export."""
    rest = [name for name in grid.header[1:] if not name.endswith(_BOUNDS)]
    if not rest or not all(" - " in name for name in rest):
        return None

    def figures() -> Iterator[Figure]:
        for line, cells in grid.rows:
            for name, cell in zip(grid.header[1:], cells[1:], strict=False):
                run, _, metric = name.rpartition(" - ")
                if not name.endswith(_BOUNDS) and not metric.endswith("_step"):
                    yield line, run.strip(), cells[0].strip(), metric.strip(), cell.strip()

    header, rows = joined(figures())
    notes = [f"{KIND}: one run a group of columns, `{grid.header[0]}` read as epoch"]
    if len(rest) < len(grid.header) - 1:
        notes.append("`…__MIN` and `…__MAX` left out")
    return replace(grid, header=header, rows=rows, kind=KIND, notes=(*grid.notes, *notes))
