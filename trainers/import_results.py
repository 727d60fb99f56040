"""Import your own results from a CSV file: `variant, seed, epoch`, then one column per metric or class.

python -m trainers.import_results FILE.csv --experiment NAME [--label-space KEY] [--title TITLE] [--unit percent]
"""

import sys
from pathlib import Path
from typing import Annotated, Any, cast

from typer import Argument, Option

from seglab.cli import among, single
from seglab.labels import SPACES
from seglab.records.imports.table import MAX_BYTES, ImportedTable, ImportProblem, parse_csv, write_import
from seglab.records.store import RESULTS
from trainers.training.options import Results


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


def import_results_command(
    file: Annotated[
        Path, Argument(metavar="FILE.csv", help=f"One row a run and epoch, at most {MAX_BYTES // 2**20} MiB.")
    ],
    experiment: Annotated[str, Option(metavar="NAME", help="Name of the new experiment's folder.")],
    label_space: Annotated[
        str | None, Option(help="Needed where the class columns do not tell it.", **among(SPACES))
    ] = None,
    title: Annotated[str, Option(metavar="TEXT", help="Of the experiment, as people call it.")] = "",
    unit: Annotated[
        str | None, Option(help="Of the metrics; told from the file by default.", **among(("fraction", "percent")))
    ] = None,
    results: Results = RESULTS,
) -> int:
    """Do what the command line asks; returns the exit code."""
    try:
        with open(file, "rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        table = parse_csv(data, label_space, unit=cast(Any, unit), name=file.name)
        folders = write_import(table, experiment, results, title)
    except ImportProblem as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:  # a path with a NUL byte is a ValueError
        print(f"{file}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1
    print(f"imported into {folders[0].parent}\n{describe(table)}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(import_results_command, argv, "python -m trainers.import_results", __doc__)


if __name__ == "__main__":
    sys.exit(main())
