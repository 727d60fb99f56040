"""TensorBoard: the CSV of one scalar (`Wall time, Step, Value`), and event files where its package is installed."""

import re
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from seglab.records.imports.grid import MAX_BYTES, Grid
from seglab.records.imports.joined import Figure, joined
from seglab.records.imports.problems import ImportProblem

KIND = "a TensorBoard export"
_NAMED = re.compile(r"run-(?P<run>.+)-tag-(?P<tag>.+)\.csv")  # what TensorBoard calls the file


def read_tensorboard(grid: Grid, name: str) -> Grid | None:
    """Return one row a step; run and metric are told by the name that TensorBoard gives the file, or asked for."""
    if [one.lower() for one in grid.header] != ["wall time", "step", "value"]:
        return None
    match = _NAMED.fullmatch(name)
    run, tag = (match["run"], match["tag"]) if match else ("", "Value")

    def figures() -> Iterator[Figure]:
        for line, cells in grid.rows:
            _, step, value = (*cells, "", "", "")[:3]
            yield line, run, step.strip(), tag, value.strip()

    header, rows = joined(figures())
    notes = [f"{KIND}: `Step` read as epoch"]
    if match:
        notes.append(f"run `{run}` and metric `{tag}` read from the file's name")
    return replace(grid, header=header, rows=rows, kind=KIND, notes=(*grid.notes, *notes))


def is_events(name: str) -> bool:
    """Return whether a file is called as event files are."""
    return ".tfevents." in name


def read_events(data: bytes) -> Grid:
    """Return the scalars of an event file, one row a step.

    Raises:
        ImportProblem: where it cannot be read, or the package is not installed.
    """
    if len(data) > MAX_BYTES:
        raise ImportProblem([f"the file is larger than {MAX_BYTES // 2**20} MiB"])
    try:
        from tensorboard.backend.event_processing.event_file_loader import EventFileLoader
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError:
        raise ImportProblem(
            ["an event file needs the package tensorboard: pip install -r requirements-track.txt, or export a CSV"]
        ) from None

    def figures() -> Iterator[Figure]:
        for number, event in enumerate(EventFileLoader(str(path)).Load(), 1):
            for value in event.summary.value:
                is_scalar = value.metadata.plugin_data.plugin_name == "scalars"
                if is_scalar and value.HasField("tensor") and not value.tensor.tensor_shape.dim:  # a shape allocates
                    yield number, "", str(event.step), value.tag, repr(float(make_ndarray(value.tensor).item()))

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.out.tfevents.0"
        path.write_bytes(data)
        try:
            header, rows = joined(figures(), last=True)
        except ImportProblem:
            raise
        except Exception as error:  # whatever the library raises for bytes that are no events
            raise ImportProblem([f"the event file cannot be read: {type(error).__name__}"]) from None
    if not rows:
        raise ImportProblem(["the event file holds no scalar"])
    return Grid(header, rows, ("a TensorBoard event file: the step read as epoch",), "an event file", "event")
