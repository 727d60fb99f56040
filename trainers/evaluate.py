"""Evaluate a run on its validation split, from the stored float16 weights through fp32 torch.

python -m trainers.evaluate results/camvid-architectures/deeplabv3plus-seed42 --data DIR
"""

import sys
from pathlib import Path
from typing import Annotated

from typer import Argument, Option

from seglab.cli import single
from seglab.labels import space
from seglab.measure.counts import summarise_images
from seglab.predict.networks import load_run
from seglab.records.files import RunError
from seglab.records.runs import read_record
from trainers.training.evaluation import measure, note_other_data, open_validation


def evaluate_command(
    runs: Annotated[list[Path], Argument(metavar="RUN", help="A run's folder with weights.safetensors.")],
    data: Annotated[Path, Option(help="The data set's root folder.")],
) -> int:
    """Do what the command line asks; returns the exit code."""
    code = 0
    for folder in runs:
        try:
            record = read_record(folder)
            model = load_run(folder)
            opened = open_validation(record, data)
            note_other_data(folder.name, record, opened)
            names = space(opened.label_space).names
            result = summarise_images(measure(model, opened, progress=True), names)
        except (RunError, ValueError) as error:
            print(f"{folder.name}: {error}", file=sys.stderr)
            code = 1
            continue
        print(f"{folder.name} on {opened.name} {opened.split}, {len(opened)} images")
        for name, value in result.items():
            if "/" in name and not name.startswith("iou/"):
                continue
            headline = (record.get("metrics") or {}).get(name)
            print(f"  {name:<20} {value:.6f}" + ("" if headline is None else f"   recorded {headline:.6f}"))
    return code


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(evaluate_command, argv, "python -m trainers.evaluate", __doc__)


if __name__ == "__main__":
    sys.exit(main())
