"""Boundary F1 and Trimap IoU of one 1024x2048 image on one core: ours against plain SciPy loops over full-size masks.

python benchmarks/boundary_metrics.py [--images 2] [--repeats 5]

Times are CPU time, so that other work on the machine does not count.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, generate_binary_structure

from benchmarks.distance_maps import NUM_CLASSES, label_map, timed_ms
from seglab.labels import VOID
from seglab.measure import boundary

AIM = 25
SMALL, LARGE = np.ones((3, 3), bool), np.ones((7, 7), bool)
CROSS = generate_binary_structure(2, 1)
Ids = NDArray[np.uint8]


def prediction(target: Ids, seed: int) -> Ids:
    """Return what a fair model might say: borders a few pixels off, some blobs of a wrong class, no void."""
    rng = np.random.default_rng(seed)
    pred = np.roll(target, rng.integers(-4, 5, 2), (0, 1))
    pred[pred == VOID] = 0
    for _ in range(60):
        centre = int(rng.integers(2048)), int(rng.integers(1024))
        cv2.circle(pred, centre, int(rng.integers(3, 40)), int(rng.integers(NUM_CLASSES)), -1)
    return pred


def contour(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return dilation XOR erosion; outside is background."""
    edge: NDArray[np.bool_] = binary_dilation(mask, SMALL) ^ binary_erosion(mask, SMALL, border_value=0)
    return edge


def f1_by_scipy(pred: Ids, target: Ids) -> NDArray[np.float64]:
    """Return Boundary F1 of every class as defined, tolerance 3 px."""
    valid, scores = target != VOID, np.full(NUM_CLASSES, np.nan)
    for c in range(NUM_CLASSES):
        truth, guess = (target == c) & valid, (pred == c) & valid
        if truth.any():
            truth, guess = contour(truth), contour(guess)
            precision = (guess & binary_dilation(truth, LARGE)).sum() / max(1, guess.sum())
            recall = (truth & binary_dilation(guess, LARGE)).sum() / truth.sum()
            scores[c] = 2 * precision * recall / max(1e-12, precision + recall)
    return scores


def trimap_by_scipy(pred: Ids, target: Ids) -> NDArray[np.float64]:
    """Return Trimap IoU of every class as defined, band 3 px."""
    valid, edge = target != VOID, np.zeros(target.shape, bool)
    for c in range(NUM_CLASSES):
        mask = target == c
        edge |= mask & binary_dilation(valid & ~mask, CROSS)
    band = binary_dilation(edge, LARGE) & valid
    scores = np.full(NUM_CLASSES, np.nan)
    for c in range(NUM_CLASSES):
        truth, guess = (target == c) & band, (pred == c) & band
        if union := (truth | guess).sum():
            scores[c] = (truth & guess).sum() / union
    return scores


def main() -> int:
    """Print a line per metric and image, and the ratios; fail where values differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=2, help="different images")
    parser.add_argument("--repeats", type=int, default=5, help="passes of ours; SciPy has one")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    pairs = (("boundary F1", f1_by_scipy, boundary.boundary_f1), ("trimap IoU", trimap_by_scipy, boundary.trimap_iou))
    total = {name: np.zeros(2) for name, _, _ in pairs}
    for seed in range(args.images):
        target = label_map(seed)
        pred = prediction(target, seed)
        present = len(np.unique(target[target != VOID]))
        for name, plain, fast in pairs:
            ours_ms, ours = timed_ms(fast, pred, target, NUM_CLASSES, repeats=args.repeats)
            scipy_ms, expected = timed_ms(plain, pred, target)
            np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-9)
            total[name] += scipy_ms, ours_ms
            print(
                f"scene {seed}, {present} of {NUM_CLASSES} classes   {name:<11}   scipy {scipy_ms:7.0f} ms   "
                f"ours {ours_ms:6.1f} ms   ratio {scipy_ms / ours_ms:5.1f}   equal"
            )
    for name, (scipy_ms, ours_ms) in (*total.items(), ("both", np.sum(list(total.values()), 0))):
        print(f"{name:<11} ratio {scipy_ms / ours_ms:5.1f}" + (f" (aim {AIM})" if name == "both" else ""))
    return 0


if __name__ == "__main__":
    sys.exit(main())
