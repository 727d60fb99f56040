"""MLflow's metrics in long form: `run_id, key, value, step, timestamp`."""

from collections.abc import Iterator
from dataclasses import replace

from seglab.records.imports.grid import Grid
from seglab.records.imports.joined import Figure, joined

KIND = "an MLflow export"
_RUNS = ("run_name", "run_id", "run_uuid")


def read_mlflow(grid: Grid) -> Grid | None:
    """Return one row a run and step; nothing where it is no such export."""
    names = [name.lower() for name in grid.header]
    run = next((name for name in _RUNS if name in names), None)
    if run is None or not {"key", "value", "step"} <= set(names):
        return None
    at = [names.index(name) for name in (run, "step", "key", "value")]

    def figures() -> Iterator[Figure]:
        for line, cells in grid.rows:
            one, step, key, value = (cells[i].strip() if i < len(cells) else "" for i in at)
            yield line, one, step, key, value

    header, rows = joined(figures())
    notes = (*grid.notes, f"{KIND}: one run a `{run}`, one column a `key`, `step` read as epoch")
    return replace(grid, header=header, rows=rows, kind=KIND, notes=notes)
