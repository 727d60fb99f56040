"""MMSegmentation's `scalars.json` (or `….log.json`): one JSON object a line."""

from collections.abc import Iterator

from seglab.records.imports.grid import Grid
from seglab.records.imports.joined import Figure, joined
from seglab.records.imports.json_logs import cells, parse
from seglab.records.imports.problems import ImportProblem

KIND = "an MMSegmentation log"
_STEPS = ("step", "iter", "epoch")


def read_mmseg(text: str, notes: tuple[str, ...]) -> Grid:
    """Return one row a step.

    Raises:
        ImportProblem: where a line is no JSON object.
    """

    def figures() -> Iterator[Figure]:
        for line, one in enumerate(text.splitlines(), 1):
            entry = parse(one, line) if one.strip() else {}
            if not isinstance(entry, dict):
                raise ImportProblem([f"line {line}: expected a JSON object a line"])
            found = cells(entry)
            step = next((found[name] for name in _STEPS if name in found), None)
            if step is not None:
                yield from ((line, "", step, name, cell) for name, cell in found.items() if name not in _STEPS)

    header, rows = joined(figures(), last=True)
    return Grid(header, rows, (*notes, f"{KIND}: the step read as epoch"), KIND)
