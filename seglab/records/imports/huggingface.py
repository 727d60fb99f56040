"""Hugging Face's `trainer_state.json`: the list `log_history`."""

from typing import Any

from seglab.records.imports.grid import Grid
from seglab.records.imports.joined import joined
from seglab.records.imports.json_logs import cells
from seglab.records.imports.problems import ImportProblem

KIND = "a Hugging Face trainer's state"


def read_huggingface(state: dict[str, Any], notes: tuple[str, ...]) -> Grid:
    """Return one row an epoch, or a step where it was evaluated within epochs.

    Raises:
        ImportProblem: where the history is no list of objects.
    """
    history = state["log_history"]
    if not isinstance(history, list) or not all(isinstance(entry, dict) for entry in history):
        raise ImportProblem(["expected log_history as a list of objects"])
    found = [cells(entry) for entry in history]
    evaluated = [entry for entry in found if any(name.startswith("eval_") for name in entry)]
    whole = all(float(entry.get("epoch", "nan")).is_integer() for entry in evaluated)
    by = "epoch" if whole else "step"
    header, rows = joined(
        (
            (number, "", entry[by], name, cell)
            for number, entry in enumerate(found, 1)
            if by in entry
            for name, cell in entry.items()
            if name not in ("epoch", "step")
        ),
        last=True,
    )
    return Grid(header, rows, (*notes, KIND if whole else f"{KIND}: `step` read as epoch"), KIND, "entry")
