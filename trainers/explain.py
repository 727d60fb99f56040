"""Where a model looks on average: mean Grad-CAM per class over its validation split, and how well the maps point.

python -m trainers.explain results/camvid-architectures/fpn_convnextv2-seed42 --data DIR
python -m trainers.explain results/camvid-architectures/*-seed42 --data DIR --layer "encoder, stride 16" --method hirescam

Killed at any moment, the same command goes on. Writes ``cam/<layer>-<method>.npz`` of the run's record; no frames.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, cast

import cv2
import numpy as np
import torch
from tqdm import tqdm
from typer import Option

from seglab.cli import among, single
from seglab.data import DataSet
from seglab.explain.gradcam import METHODS, Explainer, Look, Method, class_mean
from seglab.explain.pointing import coactivation, density, energy_inside, peak_inside
from seglab.labels import space
from seglab.models import spec
from seglab.predict.networks import load_run
from seglab.records import cams as cam_records
from seglab.records.cams import GRID, PARTIAL, MeanCams
from seglab.records.files import RunError
from seglab.records.runs import read_record
from trainers.training.evaluation import note_other_data, open_validation
from trainers.training.loading import eval_batches
from trainers.training.options import DataRoot, Runs, Threads
from trainers.training.setup import for_each_run, git_commit, now

LEAST_SHARE = 0.001  # of the image, for a class to be explained
SAVE_EVERY = 10  # images


def explain_run(
    folder: Path, root: Path, layer: str | None = None, method: Method = "gradcam", progress: bool = True
) -> Path:
    """Explain every image of a run's validation split, or go on with it, and return the file.

    For each image and each class that the model predicts there: the map of the class's mean score over those pixels, and
    how much of its evidence lies on the *labelled* pixels of the class.

    Args:
        folder: of a finished run with weights.
        root: of the data set.
        layer: a name of the family's ``cam_layers``; none for its default.
        method: of :data:`seglab.explain.gradcam.METHODS`.
        progress: show a bar.

    Raises:
        RunError: where the run cannot be used.
        ValueError: for an unknown layer, or data that are not there.
    """
    record = read_record(folder)
    layers = spec(str(record["model"]["key"])).cam_layers
    layer = layer or next(iter(layers))
    if layer not in layers:
        raise ValueError(f"expected a layer of {record['model']['key']} out of {', '.join(layers)}, got {layer!r}")
    data, num_classes = open_validation(record, root, one_size=True), space(record["label_space"]).num_classes
    note_other_data(folder.name, record, data)
    about = {
        "layer": layer,
        "module": layers[layer],
        "method": method,
        "data": data.name,
        "split": data.split,
        "fingerprint": data.fingerprint(),
        "weights_sha256": str((record.get("weights") or {}).get("sha256", "")),
        "least_share": LEAST_SHARE,
    }
    name = cam_records.file_name(layer, method)
    found, done = _so_far(folder, name, about, data, num_classes)
    if done == len(data):
        return folder / "cam" / f"{name}.npz"
    explainer = Explainer(load_run(folder), layers[layer])
    bar = tqdm(total=len(data), initial=done, disable=not progress, desc=folder.name, leave=False)
    for index, (_, image, mask) in enumerate(eval_batches(data)):
        if index < done:
            continue
        _add(found, index, explainer.look(image), mask, method)
        bar.update()
        if (index + 1) % SAVE_EVERY == 0 and index + 1 < len(data):
            cam_records.save(folder, _stamped(found, index + 1))
    bar.close()
    path = cam_records.save(folder, _stamped(found, None))
    (folder / "cam" / f"{PARTIAL}{name}.npz").unlink(missing_ok=True)
    return path


def _so_far(folder: Path, name: str, about: dict[str, Any], data: DataSet, num_classes: int) -> tuple[MeanCams, int]:
    """Return what is stored of the same question, and of how many images; else an empty record."""
    for stored in (name, PARTIAL + name):
        try:
            cams = cam_records.load(folder, stored, num_classes)
        except RunError:
            continue
        same = all(cams.about.get(key) == value for key, value in about.items()) and cams.stems == tuple(data.stems)
        if same:
            done = cams.about.get("done")
            return cams, done if isinstance(done, int) else len(data)
    n, c = len(data), num_classes
    empty = [np.full(shape, np.nan) for shape in ((n, c), (n, c), (n, c), (n, c, c))]
    maps = np.full((c, *GRID), np.nan, np.float32)
    return MeanCams(about, tuple(data.stems), maps, np.zeros(c, np.int64), *empty), 0


def _stamped(cams: MeanCams, done: int | None) -> MeanCams:
    """Return the record to be stored: with the commit and time, or as the part that is done."""
    more = {"git_commit": git_commit(), "time": now()} if done is None else {"done": done}
    kept = {key: value for key, value in cams.about.items() if key != "done"}
    return replace(cams, about=kept | more)


def _add(cams: MeanCams, index: int, look: Look, mask: Any, method: Method) -> None:
    """Add one image to a record, in place."""
    labels, num_classes = look.labels, len(cams.images)
    cams.area[index] = [(mask == c).mean() or np.nan for c in range(num_classes)]
    for c in range(num_classes):
        predicted = labels == c
        if predicted.mean() < LEAST_SHARE:
            continue
        evidence = look.enlarge(look.cam(class_mean(c, predicted), method))
        shown = density(evidence)
        if shown is None:
            continue
        small = cv2.resize(shown, GRID[::-1], interpolation=cv2.INTER_AREA)
        seen = int(cams.images[c])
        cams.maps[c] = small if seen == 0 else cams.maps[c] + (small - cams.maps[c]) / (seen + 1)
        cams.images[c] += 1
        cams.coactivation[index, c] = coactivation(evidence, mask, num_classes)
        if (mask == c).any():
            cams.energy[index, c] = energy_inside(evidence, mask == c)
            cams.peak[index, c] = peak_inside(evidence, mask == c)


def explain_command(
    runs: Runs,
    data: DataRoot,
    layer: Annotated[
        str | None,
        Option(metavar="NAME", help="A layer by its name in the model's family; the family's default without it."),
    ] = None,
    method: Annotated[str, Option(help="How gradients weigh the layer's channels.", **among(METHODS))] = "gradcam",
    threads: Threads = 0,
) -> int:
    """Do what the command line asks; returns the exit code."""
    if threads:
        torch.set_num_threads(threads)
    return for_each_run(runs, lambda folder: _print(folder, explain_run(folder, data, layer, cast(Method, method))))


def main(argv: list[str] | None = None) -> int:
    """Command line; returns the exit code."""
    return single(explain_command, argv, "python -m trainers.explain", __doc__)


def _print(folder: Path, path: Path) -> None:
    names = space(read_record(folder)["label_space"]).names
    cams = cam_records.load(folder, path.stem, len(names))
    method, images = METHODS[cams.about["method"]], len(cams.stems)
    print(f"{folder.name}: {cams.about['layer']}, {method}, {images} images of {cams.about['split']}")
    for c, name in enumerate(names):
        known = ~np.isnan(cams.energy[:, c])
        if known.any():
            inside, area = cams.energy[known, c].mean(), cams.area[known, c].mean()
            hits = np.nanmean(cams.peak[:, c])
            print(
                f"  {name:<14} {known.sum():4} images   evidence inside {inside:6.1%} of {area:6.1%} area   peak {hits:5.1%}"
            )


if __name__ == "__main__":
    sys.exit(main())
