"""JSON logs as objects, shared by the kinds that are written so: numbers stay text, as a CSV has them."""

import json
import re
from typing import Any

from seglab.records.imports.problems import ImportProblem

_NUMBER = re.compile(r"nan|-?infinity|-?\d{1,400}(\.\d*)?([eE][+-]?\d{1,4})?", re.ASCII)
_PLAIN: dict[str, Any] = {"parse_float": str, "parse_int": str, "parse_constant": str.lower}


def parse(text: str, line: int | None = None) -> Any:
    """Return what JSON text holds.

    Raises:
        ImportProblem: where it is none.
    """
    try:
        return json.loads(text, **_PLAIN)
    except (ValueError, RecursionError) as error:
        at = getattr(error, "lineno", 1) if line is None else line
        raise ImportProblem([f"line {at}: the text is not JSON"]) from None


def cells(entry: dict[str, Any]) -> dict[str, str]:
    """Return an object's numbers by name; all else is left out."""
    return {name: value for name, value in entry.items() if isinstance(value, str) and _NUMBER.fullmatch(value)}
