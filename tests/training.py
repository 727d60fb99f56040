"""Runs of the tiny recipe: trained, killed at a chosen moment, and compared with one that nothing disturbed."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglab.predict.networks import load_run
from seglab.records.runs import read_counts, read_epochs
from tests import tiny
from trainers.train import train

NAME = "tiny/deeplabv3plus-seed42"
THREE = tiny.recipe(epochs=3)


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the trainer may see it."""


def run(recipe: Any, data: Path, results: Path) -> dict[str, Any]:
    return train(recipe, data, results, progress=False)


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the epochs as recorded, apart from how long they took."""
    return [{k: v for k, v in row.items() if k not in ("seconds", "eval_seconds")} for row in read_epochs(folder)]


def record_of(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return record


def once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, act: Any, at: int = 1) -> None:
    """Let the ``at``-th call of ``owner.name`` do ``act(original, *args)`` instead; the others as ever."""
    original, calls = getattr(owner, name), []

    def patched(*args: Any, **more: Any) -> Any:
        calls.append(1)
        return act(original, *args, **more) if len(calls) == at else original(*args, **more)

    monkeypatch.setattr(owner, name, patched)


def die(*_: Any, **__: Any) -> Any:
    raise Killed


def same_run(folder: Path, reference: Path) -> None:
    """Check that a run that was stopped ended as the one that was not."""
    assert rows(folder) == rows(reference)
    ours, theirs = record_of(folder), record_of(reference)
    assert ours["status"] == theirs["status"] == "finished"
    assert ours["metrics"] == theirs["metrics"]
    assert ours["weights"] == theirs["weights"]
    assert "message" not in ours
    counts, expected = read_counts(folder), read_counts(reference)
    assert sorted(counts) == sorted(expected)
    for name, values in counts.items():
        assert np.array_equal(values, expected[name], equal_nan=values.dtype.kind == "f")
    files, others = ({p.name for p in one.iterdir()} - {"run.lock"} for one in (folder, reference))  # refusals leave it
    assert files == others
    load_run(folder)
