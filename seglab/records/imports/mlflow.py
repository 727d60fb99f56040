"""MLflow: metrics in long form (`run_id, key, value, step`), its table of runs (final figures alone), and a tracking server."""

import csv
import io
import os
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from seglab.records.imports.grid import MAX_BYTES, Grid
from seglab.records.imports.joined import Figure, joined
from seglab.records.imports.problems import ImportProblem, listed, quoted

KIND = "an MLflow export"
PREFIX = "mlflow:"  # how an experiment of a tracking server is named in place of a file
_RUNS = ("run_name", "tags.mlflow.runname", "name", "run_id", "run_uuid", "run id")
_MAX_RUNS = 2_000


def read_mlflow(grid: Grid) -> Grid | None:
    """Return one row a run and step, or one a run of a table without steps; nothing where it is no such export."""
    names = [name.lower() for name in grid.header]
    run = next((name for name in _RUNS if name in names), None)
    if run is None:
        return None
    if {"key", "value"} <= set(names):
        return _long(grid, names, run)
    return _wide(grid, names, run) if {"run_id", "run id"} & set(names) else None


def _long(grid: Grid, names: list[str], run: str) -> Grid:
    step = names.index("step") if "step" in names else len(names)
    at = [names.index(run), step, names.index("key"), names.index("value")]

    def figures() -> Iterator[Figure]:
        for line, cells in grid.rows:
            one, step, key, value = (cells[i].strip() if i < len(cells) else "" for i in at)
            yield line, one, step, key, value

    header, rows = joined(figures())
    read = "`step` read as epoch"
    if step == len(names):
        epoch = header.index("epoch")
        header = [*header[:epoch], *header[epoch + 1 :]]
        rows = [(line, [*cells[:epoch], *cells[epoch + 1 :]]) for line, cells in rows]
        read = "no step, so figures of one epoch"
    notes = (*grid.notes, f"{KIND}: one run a `{run}`, one column a `key`, {read}")
    return replace(grid, header=header, rows=rows, kind=KIND, notes=notes)


def _wide(grid: Grid, names: list[str], run: str) -> Grid | None:
    """Return the table of runs that MLflow's page downloads and `mlflow.search_runs` returns: one row a run."""
    prefixed = any(name.startswith("metrics.") for name in names)
    if not prefixed and not {"start time", "status"} <= set(names):
        return None
    before = () if prefixed else names[: names.index("status") + 1]  # what stands before the figures
    columns = {names.index(run): "run"}
    for at, name in enumerate(names):
        if name in ("seed", "params.seed"):
            columns[at] = "seed"
        elif name.startswith("metrics."):
            columns[at] = grid.header[at][len("metrics.") :]
        elif name.startswith("params.") or (before and name not in before):  # left out unless --map says what it is
            columns[at] = grid.header[at]
    kept = sorted(columns)

    def rows() -> Iterator[tuple[int, list[str]]]:
        for line, cells in grid.rows:
            if len(cells) != len(names):
                raise ImportProblem([f"line {line}: expected {len(names)} cells as in the header, got {len(cells)}"])
            yield line, [cells[at] for at in kept]

    note = f"{KIND}: a table of runs, one a `{run}`; it holds no step, so figures of one epoch"
    return replace(
        grid, header=[columns[at] for at in kept], rows=rows(), kind=f"{KIND} of runs", notes=(*grid.notes, note)
    )


def fetch(experiment: str, tracking_uri: str = "") -> bytes:
    """Return every metric of every run of an experiment of a tracking server as MLflow's long CSV.

    A run is called by its parameters ``variant`` and ``seed`` where it has them, else by its name.

    Args:
        experiment: its name.
        tracking_uri: such as ``http://host:5000`` or ``sqlite:///mlflow.db``; empty: as MLflow itself would choose.

    Raises:
        ImportProblem: where MLflow is not installed or not reached, or has no such experiment or too much in it.
    """
    for name, value in (
        ("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1"),
        ("MLFLOW_HTTP_REQUEST_TIMEOUT", "10"),
        ("MLFLOW_DISABLE_TELEMETRY", "true"),
    ):
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise ImportProblem(["a tracking server needs MLflow: pip install -r requirements-track.txt"]) from None
    try:
        client = MlflowClient(tracking_uri or None)
        found = client.get_experiment_by_name(experiment)
        if found is None:
            known = [quoted(one.name) for one in client.search_experiments(max_results=50)]
            raise ImportProblem([f"the server has no experiment {quoted(experiment)}; it has {listed(known, 8)}"])
        return _written(client, found.experiment_id)
    except ImportProblem:
        raise
    except Exception as error:  # whatever the client raises for a server that is no such one
        first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ImportProblem(
            [f"MLflow at {tracking_uri or 'its default'} cannot be read: {first.strip()[:200]}"]
        ) from None


def _written(client: Any, experiment_id: str) -> bytes:
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(["run_name", "key", "value", "step"])
    page = client.search_runs([experiment_id], max_results=200)
    count = 0
    while page:
        for run in page:
            count += 1
            if count > _MAX_RUNS:
                raise ImportProblem([f"the experiment has more than {_MAX_RUNS} runs"])
            for key in run.data.metrics:
                if key.startswith("system/"):
                    continue
                by_step = {
                    one.step: one.value
                    for one in sorted(client.get_metric_history(run.info.run_id, key), key=lambda one: one.timestamp)
                }
                table.writerows([_name(run), key, repr(value), step] for step, value in by_step.items())
            if text.tell() > MAX_BYTES:
                raise ImportProblem([f"the experiment has more than {MAX_BYTES // 2**20} MiB of figures"])
        page = client.search_runs([experiment_id], max_results=200, page_token=page.token) if page.token else None
    return text.getvalue().encode()


def _name(run: Any) -> str:
    parameters, name = run.data.params, run.info.run_name or run.info.run_id
    name = parameters.get("variant") or name
    seed = parameters.get("seed", "")
    return f"{name}-seed{seed}" if seed.isdigit() and "seed" not in name.lower() else name
