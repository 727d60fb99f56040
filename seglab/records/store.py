"""All records below a folder: one by one, or as two tables from their columnar index."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

from seglab.records.files import RunError, check_name
from seglab.records.runs import Record, read_record

RESULTS = Path(os.environ.get("SEGLAB_RESULTS") or Path(__file__).resolve().parents[2] / "results")


class RunStore:
    """Reads every run below a folder; a damaged run is listed with what is wrong and never hides the others."""

    def __init__(self, root: Path = RESULTS) -> None:
        self.root = root

    def __iter__(self) -> Iterator[Record]:
        return self._below("*")

    def _below(self, experiment: str) -> Iterator[Record]:
        for path in sorted(self.root.glob(f"{experiment}/*/run.json")):
            try:
                yield Record(path.parent, read_record(path.parent))
            except RunError as error:
                yield Record(path.parent, {}, str(error))

    def servable(self, experiment: str) -> list[Record]:
        """Return the finished runs with weights of one experiment, in the order of their folders."""
        return [run for run in self._below(check_name(experiment, "an experiment name")) if run.servable]

    def runs(self) -> "pd.DataFrame":
        """Return one row a run, from the columnar index; see :mod:`seglab.records.index`."""
        from seglab.records.index import load_runs  # pandas and pyarrow, where tables are asked for

        return load_runs(self.root)

    def curves(self, experiment: str | None = None, metric: str | None = None) -> "pd.DataFrame":
        """Return tidy curves: run, experiment, variant, seed, epoch, metric, class (empty for all), value (NaN: not counted).

        A page names both: the index then reads one metric of one experiment, whatever the store holds.
        """
        from seglab.records.index import load_curves

        return load_curves(self.root, experiment, metric)
