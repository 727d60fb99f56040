"""What is wrong with a user's file, gathered so that one answer tells all of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

SHOWN = 20  # problems told; the rest are counted
_LINES_SHOWN = 5


class ImportProblem(ValueError):  # noqa: N818  (a problem of the file, not an error of ours)
    """A table that cannot be imported; ``problems`` says why, one sentence each, at most :data:`SHOWN` and the rest counted."""

    def __init__(self, problems: Sequence[str], more: int = 0) -> None:
        self.problems = [*problems, *([f"and {more} more"] if more else [])]
        super().__init__("\n".join(self.problems))


@dataclass
class Problems:
    """Gathers what is wrong; the same sentence about several lines is told once."""

    found: dict[str, list[int]] = field(default_factory=dict)
    more: int = 0

    def add(self, sentence: str, line: int | None = None) -> None:
        """Add a sentence, and the line it is about."""
        if len(self.found) >= SHOWN and sentence not in self.found:
            self.more += 1
            return
        lines = self.found.setdefault(sentence, [])
        if line is not None:
            lines.append(line)

    def check(self) -> None:
        """Raise what was found, if anything.

        Raises:
            ImportProblem: with each sentence and its lines.
        """
        if self.found:
            raise ImportProblem([_at(lines) + sentence for sentence, lines in self.found.items()], self.more)


def _at(lines: Sequence[int]) -> str:
    if not lines:
        return ""
    return ("line " if len(lines) == 1 else "lines ") + listed(lines, _LINES_SHOWN) + ": "


def listed(items: Sequence[object], shown: int = 10, total: int | None = None) -> str:
    """Return the first few, and how many more there are of ``total`` (all that are given).

    >>> listed([3, 4, 7], 2)
    '3, 4 and 1 more'
    """
    more = (len(items) if total is None else total) - shown
    return ", ".join(str(item) for item in items[:shown]) + (f" and {more} more" if more > 0 else "")


def quoted(cell: str) -> str:
    """Return a cell as it can be shown: in quotes, short, without control characters."""
    return repr(cell if len(cell) <= 40 else cell[:37] + "...")
