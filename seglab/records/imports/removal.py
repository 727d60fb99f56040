"""Taking an imported experiment out of the store again. Nothing else can be removed: what was trained or published stays."""

import os
import secrets
import shutil
from pathlib import Path

from seglab.records.files import RunError, check_name
from seglab.records.imports.problems import ImportProblem
from seglab.records.runs import read_record
from seglab.records.store import RESULTS

_FILES = {"run.json", "epochs.jsonl"}  # what an import writes


def remove_import(experiment: str, results: Path = RESULTS) -> int:
    """Delete an experiment that was imported, and return how many runs it had.

    Every folder in it must be a run with the provenance ``imported`` that holds what an import writes and nothing else.

    Args:
        experiment: name of its folder.
        results: the store.

    Raises:
        ImportProblem: where it is no such experiment; nothing is deleted then.
        OSError: where the store cannot be written.
    """
    try:
        folder = results / check_name(experiment, "an experiment name")
    except RunError as error:
        raise ImportProblem([str(error)]) from None
    if folder.is_symlink() or not folder.is_dir():
        raise ImportProblem([f"there is no experiment {experiment}; it may have been removed already"])
    runs = sorted(folder.iterdir())
    for run in runs:
        _check(run, experiment)
    hidden = results / f".removed-{secrets.token_hex(8)}"  # gone for every reader at once, then deleted
    os.rename(folder, hidden)
    shutil.rmtree(hidden, ignore_errors=True)
    return len(runs)


def _check(run: Path, experiment: str) -> None:
    by_hand = f"look at the folder of {experiment} and delete it by hand if it is not needed"
    if run.is_symlink() or not run.is_dir():
        raise ImportProblem([f"{experiment} holds {run.name!r}, which is no run; {by_hand}"])
    strange = sorted(file.name for file in run.iterdir() if file.name not in _FILES or not file.is_file())
    if strange:
        raise ImportProblem([f"{experiment}/{run.name} holds {strange[0]!r}, which no import writes; {by_hand}"])
    try:
        provenance = read_record(run)["provenance"]
    except RunError as error:
        raise ImportProblem([f"{error}; {by_hand}"]) from None
    if provenance != "imported":
        raise ImportProblem(
            [f"{experiment}/{run.name} was not imported but {provenance!r}; only imports are removed here"]
        )
