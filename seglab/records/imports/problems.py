"""What is wrong with a user's file, gathered so that one answer tells all of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

SHOWN = 20  # problems told; the rest are counted
_LINES_SHOWN = 5


class ImportProblem(ValueError):  # noqa: N818  (a problem of the file, not an error of ours)
    """A table that cannot be imported; ``problems`` says why, one sentence each, at most :data:`SHOWN` and the rest counted.

    ``flags`` are options of the command line that would answer what the file leaves open, ``unknown`` its columns that
    are not understood.
    """

    def __init__(
        self, problems: Sequence[str], more: int = 0, flags: Sequence[str] = (), unknown: Sequence[str] = ()
    ) -> None:
        self.flags, self.unknown = tuple(flags), tuple(unknown)
        self.problems = [*problems, *([f"and {more} more"] if more else [])]
        super().__init__("\n".join(self.problems))


@dataclass
class Problems:
    """Gathers what is wrong; the same sentence about several lines is told once."""

    found: dict[str, list[int]] = field(default_factory=dict)
    more: int = 0
    flags: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    word: str = "line"

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
            told = [self._at(lines) + sentence for sentence, lines in self.found.items()]
            raise ImportProblem(told, self.more, self.flags, self.unknown)

    def _at(self, lines: Sequence[int]) -> str:
        if not lines:
            return ""
        plural = {"line": "lines", "entry": "entries", "event": "events"}[self.word]
        return (self.word if len(lines) == 1 else plural) + " " + listed(lines, _LINES_SHOWN) + ": "


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
