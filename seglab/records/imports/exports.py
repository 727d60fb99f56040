"""The kinds of file that are read, and which of them one is: plain tables, and what trackers and trainers export."""

from seglab.records.imports.grid import Grid, decode, read_grid
from seglab.records.imports.huggingface import read_huggingface
from seglab.records.imports.json_logs import parse
from seglab.records.imports.lightning import read_lightning
from seglab.records.imports.mlflow import read_mlflow
from seglab.records.imports.mmseg import read_mmseg
from seglab.records.imports.problems import ImportProblem
from seglab.records.imports.tensorboard import is_events, read_events, read_tensorboard
from seglab.records.imports.tidy import read_tidy
from seglab.records.imports.wandb import read_wandb


def read_file(data: bytes, name: str = "") -> Grid:
    """Return a file as rows of a table, whichever kind it is.

    Raises:
        ImportProblem: for a file that is none of them.
    """
    if is_events(name):
        return read_events(data)
    text, notes = decode(data)
    if text.lstrip()[0] == "{":
        return _json(text, notes)
    grid = read_grid(text, notes)
    for read in (read_wandb, read_mlflow, read_tidy, read_lightning):
        if found := read(grid):
            return found
    return read_tensorboard(grid, name) or grid


def _json(text: str, notes: tuple[str, ...]) -> Grid:
    first = next(line for line in text.splitlines() if line.strip())
    try:
        parse(first)
    except ImportProblem:  # an object of several lines
        whole = parse(text)
    else:
        whole = parse(text) if len(text.strip().splitlines()) == 1 else None
    if isinstance(whole, dict) and "log_history" in whole:
        return read_huggingface(whole, notes)
    if whole is not None and not isinstance(whole, dict):
        raise ImportProblem(["expected JSON objects, one a line"])
    if isinstance(whole, dict) and len(text.strip().splitlines()) > 1:
        raise ImportProblem(["the JSON has no log_history, and is not one object a line"])
    return read_mmseg(text, notes)
