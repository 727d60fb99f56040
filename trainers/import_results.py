"""Import your own results from a CSV file: `variant, seed, epoch`, then one column per metric or class.

python -m trainers.import_results FILE.csv --experiment NAME [--label-space KEY] [--title TITLE] [--unit percent]
"""

import argparse
import sys
from pathlib import Path

from seglab.labels import SPACES
from seglab.records.imports.table import MAX_BYTES, ImportedTable, ImportProblem, parse_csv, write_import
from seglab.records.store import RESULTS


def describe(table: ImportedTable) -> str:
    """Return what was read: a line in all, then one per variant."""
    seeds: dict[str, list[int]] = {}
    for run in table.runs:
        seeds.setdefault(run.variant, []).append(run.seed)
    epochs = {epoch for run in table.runs for epoch in run.epochs}
    lines = [
        f"{len(table.runs)} runs, {table.rows} rows, epochs {min(epochs)} to {max(epochs)}, {len(table.metrics)} columns, "
        f"label space {table.label_space}, figures read as {table.unit}"
    ]
    titles = {run.variant: run.title for run in table.runs}
    lines += [f"  {variant} ({titles[variant]}): seeds {', '.join(map(str, own))}" for variant, own in seeds.items()]
    return "\n".join(lines)


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainers.import_results", description=__doc__.splitlines()[0])
    parser.add_argument("file", type=Path, metavar="FILE.csv")
    parser.add_argument("--experiment", required=True, help="name of the new experiment's folder")
    parser.add_argument("--label-space", choices=SPACES, help="needed where the class columns do not tell it")
    parser.add_argument("--title", default="", help="of the experiment, as people call it")
    parser.add_argument("--unit", choices=("fraction", "percent"), help="of the metrics; told from the file by default")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the store's folder")
    args = parser.parse_args(argv)
    try:
        with open(args.file, "rb") as file:
            data = file.read(MAX_BYTES + 1)
        table = parse_csv(data, args.label_space, unit=args.unit, name=args.file.name)
        folders = write_import(table, args.experiment, args.results, args.title)
    except ImportProblem as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:  # a path with a NUL byte is a ValueError
        print(f"{args.file}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1
    print(f"imported into {folders[0].parent}\n{describe(table)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
