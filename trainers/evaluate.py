"""Evaluate a run on its validation split, from the stored float16 weights through fp32 torch.

python -m trainers.evaluate results/camvid-architectures/deeplabv3plus-seed42 --data DIR
"""

import sys
from pathlib import Path

from seglab.cli import single
from seglab.labels import space
from seglab.measure.counts import summarise_images
from seglab.predict.networks import load_run
from seglab.records.runs import read_record
from trainers.training.evaluation import measure, note_other_data, open_validation
from trainers.training.options import DataRoot, Runs
from trainers.training.setup import for_each_run


def evaluate_command(runs: Runs, data: DataRoot) -> int:
    """Do what the command line asks; returns the exit code."""
    return for_each_run(runs, lambda folder: evaluate_run(folder, data))


def evaluate_run(folder: Path, root: Path) -> None:
    """Evaluate a run and print its figures beside the recorded ones."""
    record = read_record(folder)
    model = load_run(folder)
    data = open_validation(record, root)
    note_other_data(folder.name, record, data)
    result = summarise_images(measure(model, data, progress=True), space(data.label_space).names)
    print(f"{folder.name} on {data.name} {data.split}, {len(data)} images")
    for name, value in result.items():
        if "/" in name and not name.startswith("iou/"):
            continue
        headline = (record.get("metrics") or {}).get(name)
        print(f"  {name:<20} {value:.6f}" + ("" if headline is None else f"   recorded {headline:.6f}"))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(evaluate_command, argv, "python -m trainers.evaluate", __doc__)


if __name__ == "__main__":
    sys.exit(main())
