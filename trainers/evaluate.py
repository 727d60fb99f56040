"""Evaluate a run on its validation split, from the stored float16 weights through fp32 torch.

python -m trainers.evaluate results/camvid-architectures/deeplabv3plus-seed42 --data DIR
"""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from seglab import metrics
from seglab.checkpoints import load_run
from seglab.data import Resized, SegmentationData, Subset, open_data, tags_note
from seglab.labels import space
from seglab.models.mask2former import QueryModel, query_scores
from seglab.runs import RunError, read_record
from trainers.loading import eval_batches, say_once


def predict(model: nn.Module, image: torch.Tensor, size: tuple[int, int] | None = None) -> torch.Tensor:
    """Return ``(N, H, W)`` labels of a model in eval mode, at input size or with its scores enlarged to ``size``."""
    scores = model(image)
    if isinstance(model, QueryModel):
        scores = query_scores(*scores, *image.shape[-2:])
    if size is not None and size != tuple(image.shape[-2:]):
        scores = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
    labels: torch.Tensor = scores.argmax(1)
    return labels


def measure(model: nn.Module, data: SegmentationData, progress: bool = False) -> dict[str, NDArray[Any]]:
    """Return what ``counts.npz`` keeps of each image, at the labels' own size; see :func:`metrics.count_image`."""
    num_classes = space(data.label_space).num_classes
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    out = []
    try:
        with torch.inference_mode():
            for _, image, mask in tqdm(eval_batches(data), total=len(data), disable=not progress, leave=False):
                pred = predict(model, image.to(device), mask.shape)[0].cpu().numpy().astype(np.uint8)
                out.append(metrics.count_image(pred, mask, num_classes))
    finally:
        model.train(was_training)
    return {name: np.stack([counts[name] for counts in out]) for name in out[0]}


def open_validation(record: Mapping[str, Any], root: Path, one_size: bool = False) -> SegmentationData:
    """Open the images that a run was validated on, at the size that it was validated at.

    Args:
        one_size: refuse a run whose masks are larger than its images (``data.full_masks``).

    Raises:
        RunError: where the record does not say which, or they are of two sizes.
        ValueError: where they are not there.
    """
    try:
        recorded: dict[str, Any] = record["data"]["val"]
        name, split, recordings = record["data"]["name"], recorded["split"], recorded["recordings"]
        options = record["recipe"]["data"]
        height, width = options.get("size_px") or (0, 0)
        images = int(options.get("val_images") or 0)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RunError("its run.json does not say which data it was validated on") from None
    if one_size and options.get("full_masks"):
        raise RunError("its masks are larger than its images (data.full_masks); this works on runs of one size only")
    data = open_data(name, root, split, record["label_space"], recordings, bool(options.get("turned")))
    if images:
        data = Subset(data, images)
    return Resized(data, (height, width), bool(options.get("full_masks"))) if height else data


def note_other_data(name: str, record: Mapping[str, Any], data: SegmentationData) -> None:
    """Tell where data are not, byte by byte, those that a run was validated on, and where EXIF would turn some."""
    say_once(tags_note(data))
    if data.fingerprint() != record["data"]["val"].get("fingerprint"):
        print(f"{name}: note: the data's fingerprint differs from the record's; figures may differ too")


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
            result = metrics.summarise_images(measure(model, data, progress=True), names)
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
