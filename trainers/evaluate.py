"""Evaluate a run on its validation split, from the stored float16 weights through fp32 torch.

python -m trainers.evaluate results/camvid-architectures/deeplabv3plus-seed42 --data DIR
"""

import argparse
import sys
from pathlib import Path

from seglab.labels import space
from seglab.measure.counts import summarise_images
from seglab.predict.networks import load_run
from seglab.records.files import RunError
from seglab.records.runs import read_record
from trainers.training.evaluation import measure, note_other_data, open_validation


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m trainers.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a run's folder with weights.safetensors")
    parser.add_argument("--data", type=Path, required=True, help="the data set's root folder")
    args = parser.parse_args(argv)
    code = 0
    for folder in args.runs:
        try:
            record = read_record(folder)
            model = load_run(folder)
            data = open_validation(record, args.data)
            note_other_data(folder.name, record, data)
            names = space(data.label_space).names
            result = summarise_images(measure(model, data, progress=True), names)
        except (RunError, ValueError) as error:
            print(f"{folder.name}: {error}", file=sys.stderr)
            code = 1
            continue
        print(f"{folder.name} on {data.name} {data.split}, {len(data)} images")
        for name, value in result.items():
            if "/" in name and not name.startswith("iou/"):
                continue
            headline = (record.get("metrics") or {}).get(name)
            print(f"  {name:<20} {value:.6f}" + ("" if headline is None else f"   recorded {headline:.6f}"))
    return code


if __name__ == "__main__":
    sys.exit(main())
