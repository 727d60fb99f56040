"""A run's record as rows of text, and what differs between two of them.

Records come from anywhere: whatever a field holds becomes a short text that can be shown and stored.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from seglab.labels import SPACES
from seglab.records.fields import ABSENT, at, clean, number_at

MAX_ROWS = 2_000
MAX_DEPTH = 12
DIFF_COLUMNS = ("part", "setting", "left", "right", "differs")
_LABELS = ("experiment", "variant", "title", "seed")  # what a recipe is called; the seed is compared on its own
_COMPARED = ("recipe", "model", "label_space", "classes", "data", "warm_start", "teacher", "environment")


def flatten(value: object, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, Any]]:
    """Yield ``(dotted key, value)`` of everything in a value; lists of plain values stay whole."""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, Mapping):
        inner = [(clean(key, 80), one) for key, one in value.items()]
    elif isinstance(value, list) and any(isinstance(one, (dict, list)) for one in value):
        inner = [(str(i), one) for i, one in enumerate(value)]
    if not inner or depth >= MAX_DEPTH:
        yield prefix, value
        return
    for key, one in inner:
        yield from flatten(one, f"{prefix}.{key}" if prefix else key, depth + 1)


def flat_table(record: Mapping[str, Any], part: str = "") -> pd.DataFrame:
    """Return the columns ``setting`` and ``value`` of a record, or of one part of it, as text."""
    rows: list[dict[str, str]] = []
    for key, value in flatten(at(record, part) if part else record):
        if len(rows) == MAX_ROWS:
            rows.append({"setting": "…", "value": f"and more; run.json has over {MAX_ROWS} values"})
            break
        rows.append({"setting": key or part, "value": clean(value)})
    return pd.DataFrame(rows, columns=["setting", "value"])


def resumes(record: Mapping[str, Any]) -> str:
    """Say where a run was stopped and went on, with the commit that went on; empty where it ran through."""
    resumed = at(record, "resumed")
    if not isinstance(resumed, list):
        return ""
    told = [
        f"epoch {clean(at(one, 'epoch'), 12)} (commit {clean(at(one, 'environment.git_commit'), 40)[:7]})"
        for one in resumed[:20]
    ]
    return "; ".join(told) + (f" and {len(resumed) - 20} more" if len(resumed) > 20 else "")


def settings(record: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """Return what makes a run what it is, by part and dotted key: recipe, data, environment; never what came out."""
    found: dict[tuple[str, str], Any] = {("recipe", "seed"): record.get("seed")}
    for part in _COMPARED:
        for key, one in flatten(record.get(part)):
            label = part == "recipe" and key.split(".")[0] in _LABELS
            if len(found) < MAX_ROWS and not label and (key or one is not None):
                found.setdefault((part, key or part), one)
    if resumed := resumes(record):
        found["environment", "resumed at"] = resumed
    return found


def diff(left: Mapping[str, Any], right: Mapping[str, Any]) -> pd.DataFrame:
    """Return the settings of two records side by side, in the order of the records: :data:`DIFF_COLUMNS`.

    What stands in the recipe's own ``model`` and in the record's is told once.
    """
    a, b = settings(left), settings(right)
    rows: list[tuple[str, str, str, str, bool]] = []
    for part, key in sorted(dict.fromkeys([*a, *b]), key=lambda where: _COMPARED.index(where[0])):
        one, two = a.get((part, key), _MISSING), b.get((part, key), _MISSING)
        recipe = ("recipe", f"{part}.{key}")
        if part == "model" and a.get(recipe, _MISSING) == one and b.get(recipe, _MISSING) == two:
            continue
        rows.append((part.replace("_", " "), key, _told(one), _told(two), not _same(one, two)))
    return pd.DataFrame(rows, columns=list(DIFF_COLUMNS)).astype({"differs": bool})


class _Missing:
    """Stands for a setting that a record does not have; none is a value."""


_MISSING = _Missing()


def _told(value: object) -> str:
    return ABSENT if value is _MISSING else clean(value) or "(empty)"


def _same(one: object, two: object) -> bool:
    if isinstance(one, bool) != isinstance(two, bool):
        return False
    return one == two or (one != one and two != two)  # NaN is like NaN here


def verdict(table: pd.DataFrame) -> str:
    """Say in a sentence what :func:`diff` found.

    >>> verdict(diff({"seed": 1, "recipe": {"lr": 1}}, {"seed": 2, "recipe": {"lr": 1}}))
    'Nothing differs but the seed.'
    """
    rows = table[table["differs"]]
    seed = (rows["part"] == "recipe") & (rows["setting"] == "seed")
    if rows.empty:
        return "Nothing differs: same recipe, same seed, same data, same environment."
    if seed.all():
        return "Nothing differs but the seed."
    counts = rows["part"].value_counts(sort=False)
    named = ", ".join(f"{count} in the {part}" for part, count in zip(counts.index, counts.tolist(), strict=True))
    return f"{len(rows)} setting{'s differ' if len(rows) > 1 else ' differs'}: {named}."


def facts(record: Mapping[str, Any]) -> pd.DataFrame:
    """Return what was run, on what and at what cost, as text: columns ``fact`` and ``value``."""
    parameters, seconds, epochs = (
        number_at(record, key) for key in ("model.parameters", "seconds_per_epoch", "epochs")
    )
    hours = "" if seconds is None or epochs is None else f" ({seconds * epochs / 3600:.2f} h in all)"
    sides, space = at(record, "data.val.size_px"), at(record, "label_space")
    rows = {
        "model": _joined(record, "model.key", "model.size"),
        "parameters": "" if parameters is None else f"{parameters / 1e6:.2f} M",
        "label space": SPACES[space].title if isinstance(space, str) and space in SPACES else space,
        "data": at(record, "data.name"),
        "train images": at(record, "data.train.images"),
        "val": at(record, "data.val.split"),
        "val images": at(record, "data.val.images"),
        "val image size": f"{sides[1]}×{sides[0]} px" if isinstance(sides, list) and len(sides) == 2 else "",
        "val fingerprint": at(record, "data.val.fingerprint"),
        "starts from": at(record, "warm_start.encoder") or at(record, "warm_start"),
        "teacher": at(record, "teacher.run"),
        "epochs": "" if epochs is None else f"{epochs:.0f}",
        "seconds per epoch": "" if seconds is None else f"{seconds:.1f}{hours}",
        "peak memory (MiB)": at(record, "peak_memory_mib"),
        "device": at(record, "environment.device"),
        "threads": at(record, "environment.threads"),
        "precision": at(record, "environment.precision"),
        "commit": at(record, "environment.git_commit"),
        "started": at(record, "started"),
        "finished": at(record, "finished"),
        "resumed at": resumes(record),
        "weights (SHA-256)": at(record, "weights.sha256"),
        "file (SHA-256)": at(record, "source.sha256"),
    }
    told = [(fact, clean(value)) for fact, value in rows.items() if value is not None and value != ""]
    return pd.DataFrame(told, columns=["fact", "value"])


def _joined(record: Mapping[str, Any], *paths: str) -> str:
    return ", ".join(clean(value, 80) for path in paths if (value := at(record, path)) not in (None, ""))
