"""Several files of one experiment as one: TensorBoard writes a file per run and scalar."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from seglab.records.imports.problems import ImportProblem
from seglab.records.imports.sheet import Sheet


def combined(sheets: Sequence[Sheet]) -> Sheet:
    """Return all rows of some sheets; rows of one run and epoch become one where no figure is given twice.

    Raises:
        ImportProblem: where the files have different label spaces.
    """
    spaces = sorted({sheet.label_space for sheet in sheets})
    if len(spaces) > 1:
        raise ImportProblem([f"the files have different label spaces ({', '.join(spaces)}); say which it is"])
    names = {key: name for sheet in sheets for key, name in zip(sheet.keys, sheet.names, strict=True)}
    column = {key: at for at, key in enumerate(names)}
    rows: list[np.ndarray] = []
    line: list[int] = []
    of: list[tuple[str, int, int]] = []
    first: dict[tuple[str, int, int], int] = {}
    for sheet in sheets:
        at = [column[key] for key in sheet.keys]
        for n, (where, values) in enumerate(zip(sheet.line, sheet.values, strict=True)):
            key = (sheet.variant[n], sheet.seed[n], sheet.epoch[n])
            row = first.setdefault(key, len(rows))
            if row == len(rows) or not np.isnan(rows[row][at]).all():
                row = len(rows)
                rows.append(np.full(len(names), np.nan))
                line.append(where)
                of.append(key)
            rows[row][at] = values
    return replace(
        sheets[0],
        names=tuple(names.values()),
        keys=tuple(names),
        line=line,
        variant=[one[0] for one in of],
        seed=[one[1] for one in of],
        epoch=[one[2] for one in of],
        values=np.array(rows),
        percent=next((sheet.percent for sheet in sheets if sheet.percent), ""),
        notes=tuple(dict.fromkeys(note for sheet in sheets for note in sheet.notes)),
    )
