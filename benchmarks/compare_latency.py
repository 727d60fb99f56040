"""Eager fp32 torch against our engine: the bundled models on one 2048x1024 photo, warm, same working size, same run.

python benchmarks/compare_latency.py [--results DIR] [--repeats 5]
"""

import argparse
import statistics
import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from seglab.data.scenes import make_scene
from seglab.predict.segmenter import Segmenter
from seglab.predict.shelf import bundled_runs
from seglab.predict.sources import open_model
from seglab.records.store import RESULTS


def median_ms(model: Segmenter, pixels: np.ndarray, repeats: int) -> tuple[float, np.ndarray]:
    """Return the median of preprocess + forward + postprocess over ``repeats`` warm passes, and the labels."""
    model.predict(pixels)
    passes = [model.predict(pixels) for _ in range(repeats)]
    return statistics.median(sum(p.latency_ms.values()) for p in passes), passes[-1].labels


def main() -> int:
    """Print a line per model and the total; fail where labels agree on less than 99.5 % of the pixels."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    runs = bundled_runs(args.results)
    pixels = make_scene(20_000, 1024, 2048).image
    amx = torch.cpu._is_amx_tile_supported()
    print(
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, AMX {'yes' if amx else 'no'}, 2048x1024 photo"
    )
    totals, worst = [0.0, 0.0], 1.0
    for key, run in runs.items():
        eager_ms, reference = median_ms(Segmenter(open_model(run.folder), engine="torch"), pixels, args.repeats)
        fast = Segmenter(open_model(run.folder))
        ours_ms, labels = median_ms(fast, pixels, args.repeats)
        agree = float((labels == reference).mean())
        worst = min(worst, agree)
        totals = [totals[0] + eager_ms, totals[1] + ours_ms]
        print(
            f"{key:<20} torch {eager_ms:7.0f} ms   {fast.engine.name} {ours_ms:7.0f} ms   "
            f"ratio {eager_ms / ours_ms:4.2f}   labels equal {agree:.4%}"
        )
    if not runs:
        print("no bundled models in results/camvid-architectures", file=sys.stderr)
        return 1
    print(f"{'total':<20} torch {totals[0]:7.0f} ms   ours {totals[1]:7.0f} ms   ratio {totals[0] / totals[1]:4.2f}")
    return 0 if worst >= 0.995 else 1


if __name__ == "__main__":
    sys.exit(main())
