"""Searches of hyper-parameters as ``trainers.search`` records them: ``results/<experiment>/<variant>.study.json``."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from seglab.records.files import RunError

SCHEMA_VERSION = 1
SUFFIX = ".study.json"
MAX_BYTES = 8 * 2**20
MAX_TRIALS = 5000
PARAMETER = "parameter "  # before a parameter's column, for its key may be any word
MAX_PARAMETERS = 50
LARGEST = 1e15  # no figure here is; also keeps infinity and huge integers out
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
    words = ("experiment", "variant", "title", "sampler", "pruner", "objective")
    sound = (
        all(isinstance(study.get(word), str) for word in words)
        and all(isinstance(study.get(part), dict) for part in ("space", "recipe", "trial", "environment", "importance"))
        and len(study["space"]) <= MAX_PARAMETERS
        and all(len(key) <= 100 and _is_range(value) for key, value in study["space"].items())
        and all(key in study["space"] and _is_number(share) for key, share in study["importance"].items())
        and isinstance(study.get("trials"), list)
        and len(study["trials"]) <= MAX_TRIALS
        and all(map(_is_trial, study["trials"]))
    )
    if not sound:
        raise RunError(problem)
    return study


def _is_range(value: Any) -> bool:
    return isinstance(value, dict) and isinstance(value.get("text", ""), str) and len(value.get("text", "")) <= 100


def _is_trial(trial: Any) -> bool:
    if not isinstance(trial, dict):
        return False
    curve = [trial.get("epochs"), trial.get("miou")]
    return (
        _is_number(trial.get("number"))
        and isinstance(trial["number"], int)
        and trial.get("state") in STATES
        and isinstance(trial.get("params"), dict)
        and len(trial["params"]) <= MAX_PARAMETERS
        and all(map(_is_value, trial["params"].values()))
        and all(trial.get(name) is None or _is_number(trial[name]) for name in ("value", "seconds"))
        and all(isinstance(part, list) and all(map(_is_number, part)) for part in curve)
        and len({len(part) for part in curve if isinstance(part, list)}) == 1
    )


def _is_value(value: Any) -> bool:
    """Tell whether a recipe can have it: a plain value, or a short list of such."""
    parts = value if isinstance(value, list) else [value]
    return len(parts) <= 16 and all(part is None or isinstance(part, (str, bool)) or _is_number(part) for part in parts)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) <= LARGEST


def trials_table(study: Mapping[str, Any]) -> pd.DataFrame:
    """Return one row a trial: ``number``, ``state``, ``miou``, ``best``, ``epochs``, ``seconds``, and its parameters.

    ``miou`` is the last evaluation's; ``best`` the largest of the complete trials up to this one, NaN before the first. A
    parameter's column has :data:`PARAMETER` before its key; lists are text.
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
                **{PARAMETER + key: _cell(trial["params"].get(key)) for key in study["space"]},
            }
        )
    columns = ["number", "state", "miou", "best", "epochs", "seconds", *(PARAMETER + key for key in study["space"])]
    return pd.DataFrame(rows, columns=columns)


def _cell(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list) else value
