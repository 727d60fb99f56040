"""Fields of records from anywhere: whatever one holds becomes a short text or a finite number, or is absent."""

import json
from collections.abc import Mapping
from typing import Any

MAX_TEXT = 300
ABSENT = "–"


def clean(value: object, limit: int = MAX_TEXT) -> str:
    """Return any value as one short printable line.

    >>> clean("two\\nlines"), clean([192, 256]), clean(None), clean("abcdef", 4)
    ('two lines', '[192, 256]', 'none', 'abc…')
    """
    if value is None or isinstance(value, bool):
        text = {None: "none", True: "true", False: "false"}[value]
    elif isinstance(value, (list, tuple, dict)):
        try:
            text = json.dumps(value, ensure_ascii=False, default=str)
        except (ValueError, RecursionError):
            text = f"{type(value).__name__} of {len(value)}"
    else:
        text = str(value)
    text = text[: limit + 1].encode("utf-8", "replace").decode()  # half surrogate pairs cannot be sent
    text = "".join(c if c.isprintable() else " " for c in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def at(record: object, path: str) -> Any:
    """Return what stands at a dotted path; none where something on the way is absent or of another kind.

    >>> at({"data": {"val": [1]}}, "data.val.images") is None
    True
    """
    for part in path.split("."):
        record = record.get(part) if isinstance(record, Mapping) else None
    return record


def number_at(record: object, path: str) -> float | None:
    """Return the finite number at a dotted path; none for anything else."""
    value = at(record, path)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) < 1e15:
        return None
    return float(value)
