"""Median milliseconds of each bundled model on one scene of this machine; ``--write`` stores them for the Runs page.

python benchmarks/model_latency.py [--results DIR] [--repeats 15] [--write]
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from seglab.predict.latency import measure, write_stored
from seglab.predict.shelf import bundled_models
from seglab.records.store import RESULTS


def main() -> int:
    """Print a line per model; fail where one cannot run."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--write", action="store_true", help="store the figures beside the runs")
    args = parser.parse_args()
    models = {model.key: model for model in bundled_models(args.results)}
    if not models:
        print("no bundled models in results/camvid-architectures", file=sys.stderr)
        return 1
    found = measure(models, args.repeats)
    print(f"{found.machine}; photo {found.photo_px}; {found.busy:g} programs per core were waiting before")
    for one in found.models:
        print(f"{one.key:<20} {one.median_ms:7.1f} ms   {one.low_ms:7.1f} to {one.high_ms:7.1f}   {one.engine}")
    for key, reason in found.failed.items():
        print(f"{key:<20} {reason}", file=sys.stderr)
    if args.write and not found.failed:
        print(f"stored in {write_stored(found, args.results)}")
    return 1 if found.failed else 0


if __name__ == "__main__":
    sys.exit(main())
