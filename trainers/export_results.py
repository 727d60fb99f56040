"""Send runs that exist to a tracker, or write their curves as one table.

python -m trainers.export_results --to mlflow
python -m trainers.export_results --to csv --out curves.csv results/camvid-boundary-ablation
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from seglab.records.files import RunError
from seglab.records.lock import is_locked
from seglab.records.runs import read_epochs, read_record
from seglab.records.store import RESULTS
from trainers.training.setup import explain
from trainers.training.tracking import TRACKERS, figures, label, open_sink, push

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
    rows: list[dict[str, Any]] = []
    for folder in folders:
        record = read_record(folder)
        names = {key: record.get(key) for key in ("experiment", "variant", "seed", "provenance")}
        rows += [{**names, "epoch": row["epoch"], **figures(row)} for row in read_epochs(folder)]
    table = pd.DataFrame(rows)
    return table.astype({"seed": "Int64"}) if len(table) else table


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainers.export_results", description=__doc__.splitlines()[0])
    parser.add_argument(
        "runs", type=Path, nargs="*", help="folders of runs, or folders above them; all results if none"
    )
    parser.add_argument("--to", choices=(*TRACKERS, *TABLES), required=True, help="where they go")
    parser.add_argument("--out", type=Path, help="the table's file (csv, parquet)")
    args = parser.parse_args(argv)
    try:
        folders = find_runs(args.runs or [RESULTS])
        if args.to in TABLES:
            out = args.out or Path(f"curves.{args.to}")
            table = curves(folders)
            if table.empty:
                raise ValueError(f"none of {len(folders)} runs has an evaluated epoch")
            if args.to == "csv":
                table.to_csv(out, index=False)
            else:
                table.to_parquet(out, index=False)
            print(f"{len(table)} epochs of {len(folders)} runs: {out}")
            return 0
        if args.out:
            raise ValueError("--out is for csv and parquet; MLflow's address is MLFLOW_TRACKING_URI")
    except (ValueError, RunError, OSError) as error:
        print(f"error: {explain(error)}", file=sys.stderr)
        return 1
    code = 0
    for folder in folders:
        try:
            record = read_record(folder)
            if is_locked(folder):
                print(f"{label(record)} is being trained; --track tells a tracker of it, or send it when it has ended")
                continue
            print(f"{label(record)}: {push(open_sink(args.to), folder, record)} epochs sent", flush=True)
        except KeyboardInterrupt:
            print("interrupted; run the same command to go on", file=sys.stderr)
            return 130
        except Exception as error:  # whatever a server or its library answers; the next run may go through
            print(f"{folder.name}: {explain(error)}", file=sys.stderr)
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
