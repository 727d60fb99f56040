"""What a model makes of a split: labels, counts per image, and the very images that a run was validated on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from seglab.data import DataSet, Resized, Subset, open_data, tags_note
from seglab.labels import space
from seglab.measure.counts import count_image
from seglab.models.mask2former import QueryModel, query_scores
from seglab.records.files import RunError
from trainers.training.loading import eval_batches, say_once


def predict(model: nn.Module, image: torch.Tensor, size: tuple[int, int] | None = None) -> torch.Tensor:
    """Return ``(N, H, W)`` labels of a model in eval mode, at input size or with its scores enlarged to ``size``."""
    scores = model(image)
    if isinstance(model, QueryModel):
        scores = query_scores(*scores, *image.shape[-2:])
    if size is not None and size != tuple(image.shape[-2:]):
        scores = F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
    labels: torch.Tensor = scores.argmax(1)
    return labels


def measure(model: nn.Module, data: DataSet, progress: bool = False) -> dict[str, NDArray[Any]]:
    """Return what ``counts.npz`` keeps of each image, at the labels' own size; see :func:`seglab.measure.counts.count_image`."""
    num_classes = space(data.label_space).num_classes
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    out = []
    try:
        with torch.inference_mode():
            for _, image, mask in tqdm(eval_batches(data), total=len(data), disable=not progress, leave=False):
                pred = predict(model, image.to(device), mask.shape)[0].cpu().numpy().astype(np.uint8)
                out.append(count_image(pred, mask, num_classes))
    finally:
        model.train(was_training)
    return {name: np.stack([counts[name] for counts in out]) for name in out[0]}


def open_validation(record: Mapping[str, Any], root: Path, one_size: bool = False) -> DataSet:
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


def note_other_data(name: str, record: Mapping[str, Any], data: DataSet) -> None:
    """Tell where data are not, byte by byte, those that a run was validated on, and where EXIF would turn some."""
    say_once(tags_note(data))
    if data.fingerprint() != record["data"]["val"].get("fingerprint"):
        print(f"{name}: note: the data's fingerprint differs from the record's; figures may differ too")
