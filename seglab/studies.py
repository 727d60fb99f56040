"""Searches of hyper-parameters as ``trainers.search`` records them: ``results/<experiment>/<variant>.study.json``."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from seglab.runs import RunError

SCHEMA_VERSION = 1
SUFFIX = ".study.json"
MAX_BYTES = 8 * 2**20
MAX_TRIALS = 5000
STATES = ("complete", "pruned", "fail", "running", "waiting")


def find_studies(root: Path) -> list[Path]:
    """Return the studies' files below a results folder, sorted."""
    return sorted(path for path in root.glob(f"*/*{SUFFIX}") if path.is_file())


def read_study(path: Path) -> dict[str, Any]:
    """Read a study's file.

    Raises:
        RunError: where it is damaged, too large, or of another version.
    """
    problem = f"{path.parent.name}/{path.name} cannot be read as a search; restore it or delete it"
    try:
        if path.stat().st_size > MAX_BYTES:
            raise RunError(f"{problem}: larger than {MAX_BYTES >> 20} MiB")
        study = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise RunError(problem) from None
    if not isinstance(study, dict) or study.get("schema_version") != SCHEMA_VERSION:
        raise RunError(f"{problem}: expected schema_version {SCHEMA_VERSION}")
    trials, words = study.get("trials"), ("experiment", "variant", "title", "sampler", "pruner", "objective")
    sound = (
        isinstance(trials, list)
        and len(trials) <= MAX_TRIALS
        and all(map(_is_trial, trials))
        and all(isinstance(study.get(word), str) for word in words)
        and all(isinstance(study.get(part), dict) for part in ("space", "recipe", "trial", "environment", "importance"))
        and all(_is_number(share) for share in study["importance"].values())
    )
    if not sound:
        raise RunError(problem)
    return study


def _is_trial(trial: Any) -> bool:
    if not isinstance(trial, Mapping):
        return False
    curve = [trial.get("epochs"), trial.get("miou")]
    return (
        isinstance(trial.get("number"), int)
        and trial.get("state") in STATES
        and isinstance(trial.get("params"), dict)
        and all(isinstance(v, (str, bool)) or _is_number(v) for v in trial["params"].values())
        and (trial.get("value") is None or _is_number(trial["value"]))
        and all(isinstance(part, list) and all(map(_is_number, part)) for part in curve)
        and len({len(part) for part in curve if isinstance(part, list)}) == 1
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def trials_table(study: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a trial: ``number``, ``state``, ``miou`` (its last evaluation), ``best`` so far, and each parameter.

    ``best`` is the largest mIoU of the complete trials up to this one; NaN before the first.
    """
    rows, best = [], math.nan
    for trial in sorted(study["trials"], key=lambda t: t["number"]):
        if trial["value"] is not None:
            best = trial["value"] if math.isnan(best) else max(best, trial["value"])
        last = trial["value"] if trial["value"] is not None else (trial["miou"] or [math.nan])[-1]
        rows.append(
            {
                "number": trial["number"],
                "state": trial["state"],
                "miou": last,
                "best": best,
                "epochs": (trial["epochs"] or [0])[-1],
                "seconds": trial.get("seconds"),
                **{key: trial["params"].get(key) for key in study["space"]},
            }
        )
    return pd.DataFrame(rows, columns=["number", "state", "miou", "best", "epochs", "seconds", *study["space"]])
