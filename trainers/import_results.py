"""Import your own results: a table `variant, seed, epoch` and one column per metric or class, or what a tracker exports.

Delimited text, exports of W&B, TensorBoard, MLflow and Lightning, MMSegmentation's scalars.json, trainer_state.json.

python -m trainers.import_results FILE.csv --experiment NAME [--label-space KEY] [--title TITLE] [--unit percent]
python -m trainers.import_results FILE.csv --experiment NAME --variant mine --seed 1 --map Value=mIoU
python -m trainers.import_results mlflow:STUDY --tracking-uri http://host:5000 --experiment NAME
"""

import sys
from pathlib import Path
from typing import Annotated, Any, cast

from typer import Argument, Option

from seglab.cli import among, single
from seglab.labels import SPACES
from seglab.records.imports.command import command
from seglab.records.imports.mlflow import PREFIX, fetch
from seglab.records.imports.table import MAX_BYTES, ImportedTable, ImportProblem, Said, parse_files, write_import
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


def mapping(pairs: list[str]) -> dict[str, str]:
    """Return what `--map column=meaning` says; a column's name may hold =.

    Raises:
        ValueError: where a pair has no =.
    """
    if wrong := [pair for pair in pairs if not pair.rpartition("=")[0]]:
        raise ValueError(f"expected --map column=meaning, got {wrong[0]!r}")
    return {name: meaning.strip() for name, _, meaning in (pair.rpartition("=") for pair in pairs)}


def _read(file: Path, tracking_uri: str) -> bytes:
    if (name := str(file)).startswith(PREFIX):
        return fetch(name.removeprefix(PREFIX), tracking_uri)
    with open(file, "rb") as opened:
        return opened.read(MAX_BYTES + 1)


def import_results_command(
    files: Annotated[
        list[Path],
        Argument(
            metavar="FILE",
            help=f"Of one experiment, at most {MAX_BYTES // 2**20} MiB each: a table or an export; or mlflow:NAME, an "
            "experiment of a tracking server.",
        ),
    ],
    experiment: Annotated[str, Option(metavar="NAME", help="Name of the new experiment's folder.")],
    label_space: Annotated[
        str | None, Option(help="Needed where the class columns do not tell it.", **among(SPACES))
    ] = None,
    title: Annotated[str, Option(metavar="TEXT", help="Of the experiment, as people call it.")] = "",
    unit: Annotated[
        str | None, Option(help="Of the metrics; told from the file by default.", **among(("fraction", "percent")))
    ] = None,
    map_: Annotated[
        list[str] | None,
        Option("--map", metavar="COLUMN=MEANING", help="What a column is: seed, mIoU, a class, skip; repeatable."),
    ] = None,
    variant: Annotated[str, Option(metavar="NAME", help="Of a file that names none.")] = "",
    seed: Annotated[int | None, Option(metavar="N", help="Of a file that names none.")] = None,
    epoch: Annotated[
        int | None, Option(metavar="N", help="Of a file that names none, such as one of final figures.")
    ] = None,
    tracking_uri: Annotated[
        str, Option(metavar="URI", help="Of mlflow:NAME; by default what MLflow itself takes.")
    ] = "",
    results: Results = RESULTS,
) -> int:
    """Do what the command line asks; returns the exit code."""
    said = Said(label_space, mapping(map_ or []), variant, seed, epoch)
    try:
        table = parse_files([(file.name, _read(file, tracking_uri)) for file in files], said, cast(Any, unit))
        print(*table.notes, sep="\n", end="\n" * bool(table.notes))
        folders = write_import(table, experiment, results, title)
    except ImportProblem as error:
        print(*error.problems, sep="\n", file=sys.stderr)
        if error.flags:
            again = command(
                [*map(str, files), *(["--tracking-uri", tracking_uri] * bool(tracking_uri))],
                experiment,
                said,
                unit or "",
                error.flags,
            )
            print(f"with what the file does not say: {again}", file=sys.stderr)
        return 1
    except (OSError, ValueError) as error:  # a path with a NUL byte is a ValueError
        named = getattr(error, "filename", None) or files[0]
        print(f"{named}: {getattr(error, 'strerror', None) or error}", file=sys.stderr)
        return 1
    print(f"imported into {folders[0].parent}\n{describe(table)}")
    return 0


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(import_results_command, argv, "python -m trainers.import_results", __doc__)


if __name__ == "__main__":
    sys.exit(main())
