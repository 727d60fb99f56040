"""Grad-CAM of every class of one photo: from one forward, against a forward and a backward (to the layer) per class.

python benchmarks/cam_classes.py [--results DIR] [--layer NAME] [--repeats 3] [--method gradcam]

Times are CPU time of one thread, so that other work on the machine does not count. Both ways must give the same maps.
"""

import argparse
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import torch

from benchmarks.distance_maps import timed_ms
from seglab.explain.gradcam import Explainer, Map, as_image, class_mean
from seglab.explain.pointing import METHODS
from seglab.models import spec
from seglab.predict.networks import load_run
from seglab.predict.samples import load_sample
from seglab.predict.scores import shrink_to_work
from seglab.predict.shelf import bundled_runs
from seglab.records.store import RESULTS

AIM, TOLERANCE, LEAST_CLASSES = 2, 1e-5, 8


def main() -> int:
    """Print a line per model; fail where maps differ or too few classes are seen."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--layer", help="a layer's name as the screen has it; each model's default without it")
    parser.add_argument("--method", choices=list(METHODS), default="gradcam")
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    torch.set_num_threads(1)
    photo = load_sample("clear")[0]
    pixels = shrink_to_work(photo.pixels)
    image = as_image(pixels)
    failed = False
    for key, run in bundled_runs(args.results).items():
        layers = spec(key).cam_layers
        name = args.layer or next(iter(layers))
        if name not in layers:
            print(f"{key:<20} has no layer {name!r}")
            continue
        explainer = Explainer(load_run(run.folder), layers[name])
        labels = explainer.look(image).labels
        classes = [c for c in range(256) if (labels == c).any()]
        targets = [class_mean(c, labels == c) for c in classes]

        def together(explainer: Explainer = explainer, targets: list = targets) -> Map:  # type: ignore[type-arg]
            return explainer.look(image).cams(targets, args.method)

        def one_by_one(explainer: Explainer = explainer, targets: list = targets) -> Map:  # type: ignore[type-arg]
            return np.stack([explainer.look(image).cam(target, args.method) for target in targets])

        ours_ms, ours = timed_ms(together, repeats=args.repeats)
        plain_ms, plain = timed_ms(one_by_one)
        apart = float((np.abs(ours - plain).max((1, 2)) / np.abs(plain).max((1, 2))).max())
        failed |= apart > TOLERANCE or len(classes) < LEAST_CLASSES
        print(
            f"{key:<20} {len(classes):2} classes   {pixels.shape[1]}x{pixels.shape[0]} px   {name}: "
            f"one by one {plain_ms:6.0f} ms   one forward {ours_ms:6.0f} ms   ratio {plain_ms / ours_ms:4.1f} (aim {AIM})   "
            f"differ by {apart:.0e}"
        )
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
