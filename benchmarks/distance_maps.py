"""Signed distance maps of one 1024x2048 label map on one core: ours against SciPy's exact transform, class by class.

python benchmarks/distance_maps.py [--maps 3] [--repeats 5]

Times are CPU time, so that other work on the machine does not count.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from seglab.data.scenes import make_scene
from seglab.labels import VOID
from seglab.losses.distance import signed_distance_maps
from trainers.training.recipe import RECIPES, load_grid

NUM_CLASSES = 19
ADDED = (11, 12, 13, 14, 15, 16)  # ids 17 and 18 stay absent
PUBLISHED_EPOCH_S, PUBLISHED_IMAGES = 623, 2975  # of the published ablation, on one GPU
AIM = 20
FIRST_CALL = """
import time
import numpy as np
from seglab.losses.distance import signed_distance_maps
start = time.process_time()
signed_distance_maps(np.eye(4, dtype=np.uint8), 2)
print(time.process_time() - start)
"""


def label_map(seed: int) -> NDArray[np.uint8]:
    """Return a ``(1024, 2048)`` street scene: its eleven classes, six more in ellipses of 8 to 160 px, and some void."""
    ids = make_scene(seed, 1024, 2048).mask.copy()
    rng = np.random.default_rng(seed)
    for added in ADDED:
        for _ in range(4):
            centre = int(rng.integers(2048)), int(rng.integers(300, 900))
            axes = int(rng.integers(4, 80)), int(rng.integers(4, 80))
            cv2.ellipse(ids, centre, axes, float(rng.uniform(0, 180)), 0, 360, added, -1)
    ids[-40:] = VOID  # the bonnet of the car that films
    return ids


def by_scipy(target: NDArray[np.uint8]) -> NDArray[np.int8]:
    """Return the maps as the definition says, two transforms a class."""
    maps = np.zeros((NUM_CLASSES, *target.shape), np.int8)
    for c in np.unique(target[target != VOID]):
        mask = target == c
        signed = np.rint(distance_transform_edt(~mask) - distance_transform_edt(mask))
        maps[c] = np.clip(signed, -127, 127)
    return maps


def timed_ms(function: Callable[..., Any], *args: Any, repeats: int = 1) -> tuple[float, Any]:
    """Return the median CPU time of ``repeats`` calls in ms, and what the last one returned."""
    spent = []
    for _ in range(repeats):
        start = time.process_time()
        result = function(*args)
        spent.append((time.process_time() - start) * 1000)
    return statistics.median(spent), result


def first_calls_s() -> list[float]:
    """Return the first call of a process that has to compile, and of the next one, which finds that on disk."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST_CALL]
        return [float(subprocess.check_output(command, cwd=ROOT, env=environment)) for _ in range(2)]


def main() -> int:
    """Print a line per label map and the ratio; fail where maps differ."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=int, default=3, help="different label maps")
    parser.add_argument("--repeats", type=int, default=5, help="passes of ours; SciPy has one")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    compiled, loaded = first_calls_s()
    print(f"first call: {compiled:.1f} s where it compiles, once a machine; {loaded:.2f} s in each process after that")
    signed_distance_maps(label_map(0)[:64, :64], NUM_CLASSES)
    total = np.zeros(2)
    for seed in range(args.maps):
        target = label_map(seed)
        ours_ms, ours = timed_ms(signed_distance_maps, target, NUM_CLASSES, repeats=args.repeats)
        scipy_ms, expected = timed_ms(by_scipy, target)
        assert np.array_equal(ours, expected)
        present = len(np.unique(target[target != VOID]))
        total += scipy_ms, ours_ms
        print(
            f"scene {seed}, {present} of {NUM_CLASSES} classes   scipy {scipy_ms:7.0f} ms   ours {ours_ms:6.1f} ms   "
            f"ratio {scipy_ms / ours_ms:5.1f}   equal"
        )
    ours_ms = total[1] / args.maps
    print(f"together   ratio {total[0] / total[1]:5.1f} (aim {AIM})")
    recipe = load_grid(RECIPES / "cityscapes-boundary-ablation.yaml")[0]
    step_ms = ours_ms * recipe.batch_size
    gpu_ms = PUBLISHED_EPOCH_S * 1000 / (PUBLISHED_IMAGES / recipe.batch_size)
    print(
        f"published recipe: {step_ms:.0f} ms of one core for a step's {recipe.batch_size} images, "
        f"{step_ms / recipe.data.workers:.0f} ms over its {recipe.data.workers} loader processes; its step took {gpu_ms:.0f} ms"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
