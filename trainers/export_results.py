"""Send runs that exist to a tracker, or write their curves as one table.

python -m trainers.export_results --to mlflow
python -m trainers.export_results --to csv --out curves.csv results/camvid-boundary-ablation
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
from typer import Argument, Option

from seglab.cli import among, single
from seglab.records.lock import is_locked
from seglab.records.runs import read_epochs, read_record
from seglab.records.store import RESULTS
from trainers.training.errors import explain
from trainers.training.options import TRACKERS

TABLES = ("csv", "parquet")


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Return the folders of runs at or below some paths, sorted.

    Raises:
        ValueError: where there is none.
    """
    found = {file.parent for path in paths for depth in ("", "*/", "*/*/") for file in path.glob(f"{depth}run.json")}
    if not found:
        raise ValueError(f"expected runs at or below {', '.join(map(str, paths))}, found no run.json")
    return sorted(found)


def curves(folders: Sequence[Path]) -> pd.DataFrame:
    """Return one row a run and evaluated epoch: ``experiment, variant, seed, provenance, epoch`` and every figure.

    Figures are fractions; cells are empty where a run has no such figure.
    """
    from trainers.training.tracking import figures  # imports torch, which help does without

    rows: list[dict[str, Any]] = []
    for folder in folders:
        record = read_record(folder)
        names = {key: record.get(key) for key in ("experiment", "variant", "seed", "provenance")}
        rows += [{**names, "epoch": row["epoch"], **figures(row)} for row in read_epochs(folder)]
    table = pd.DataFrame(rows)
    return table.astype({"seed": "Int64"}) if len(table) else table


def export_results_command(
    to: Annotated[str, Option(help="A tracker, or the kind of table.", **among((*TRACKERS, *TABLES)))],
    runs: Annotated[
        list[Path] | None, Argument(metavar="RUN", help="Folders of runs, or folders above them; all results if none.")
    ] = None,
    out: Annotated[
        Path | None, Option(metavar="FILE", help="The table's file; curves.csv or curves.parquet here by default.")
    ] = None,
) -> int:
    """Do what the command line asks; returns the exit code."""
    folders = find_runs(runs or [RESULTS])
    if to in TABLES:
        file = out or Path(f"curves.{to}")
        table = curves(folders)
        if table.empty:
            raise ValueError(f"none of {len(folders)} runs has an evaluated epoch")
        if to == "csv":
            table.to_csv(file, index=False)
        else:
            table.to_parquet(file, index=False)
        print(f"{len(table)} epochs of {len(folders)} runs: {file}")
        return 0
    if out:
        raise ValueError("--out is for csv and parquet; MLflow's address is MLFLOW_TRACKING_URI")
    from trainers.training.tracking import label, open_sink, push

    code = 0
    for folder in folders:
        try:
            record = read_record(folder)
            if is_locked(folder):
                print(f"{label(record)} is being trained; --track tells a tracker of it, or send it when it has ended")
                continue
            print(f"{label(record)}: {push(open_sink(to), folder, record)} epochs sent", flush=True)
        except Exception as error:  # whatever a server or its library answers; the next run may go through
            print(f"{folder.name}: {explain(error)}", file=sys.stderr)
            code = 1
    return code


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(export_results_command, argv, "python -m trainers.export_results", __doc__, explain)


if __name__ == "__main__":
    sys.exit(main())
