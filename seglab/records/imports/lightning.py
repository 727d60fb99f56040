"""Sparse logs, one row a logged step: Lightning's `metrics.csv` and the history of a W&B run."""

from collections.abc import Iterator
from dataclasses import replace

from seglab.records.imports.grid import Grid
from seglab.records.imports.joined import Figure, joined

_STEPS = ("step", "_step", "trainer/global_step", "global_step")


def read_lightning(grid: Grid) -> Grid | None:
    """Return one row an epoch, or a step where there is no epoch; nothing where it is no such log."""
    names = [name.lower() for name in grid.header]
    step = next((name for name in _STEPS if name in names), None)
    if step is None or ("_step" not in names and ("epoch" not in names or {"variant", "seed"} & set(names))):
        return None
    kind = "the history of a W&B run" if "_step" in names else "a Lightning log"
    by = "epoch" if "epoch" in names else step
    at = names.index(by)
    out = {at, *(i for i, name in enumerate(names) if name in _STEPS or name.startswith("_"))}

    def figures() -> Iterator[Figure]:
        epoch = ""
        for line, cells in grid.rows:
            epoch = cells[at].strip() if at < len(cells) and cells[at].strip() else epoch
            for i, (name, cell) in enumerate(zip(grid.header, cells, strict=False)):
                if i not in out:
                    yield line, "", epoch, name, cell.strip()

    header, rows = joined(figures(), last=True)
    note = f"{kind}: the rows of one {by} are one, the last figure of each column counts"
    return replace(grid, header=header, rows=rows, kind=kind, notes=(*grid.notes, note))
