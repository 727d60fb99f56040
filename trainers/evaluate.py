"""Evaluate a run on its validation split, from the stored float16 weights through fp32 torch.

python -m trainers.evaluate results/camvid-architectures/deeplabv3plus-seed42 --data DIR
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from seglab import metrics
from seglab.checkpoints import load_run
from seglab.data import SegmentationData, open_data
from seglab.labels import space
from seglab.models.mask2former import QueryModel, query_scores
from seglab.runs import RunError, read_record
from trainers.loading import eval_batches


def predict(model: nn.Module, image: torch.Tensor) -> torch.Tensor:
    """Return ``(N, H, W)`` labels of a model in eval mode, at input size."""
    if isinstance(model, QueryModel):
        return query_scores(*model(image), *image.shape[-2:]).argmax(1)
    return model(image).argmax(1)  # type: ignore[no-any-return]


def confusions(model: nn.Module, data: SegmentationData, progress: bool = False) -> NDArray[np.uint32]:
    """Return the ``(N, C, C)`` confusion of each image, at the labels' own size."""
    num_classes = space(data.label_space).num_classes
    device = next(model.parameters()).device
    was_training = model.training
    model.eval()
    out = []
    try:
        with torch.inference_mode():
            for _, image, mask in tqdm(eval_batches(data), total=len(data), disable=not progress, leave=False):
                pred = predict(model, image.to(device))[0].cpu().numpy().astype(np.uint8)
                out.append(metrics.confusion_matrix(pred, mask, num_classes))
    finally:
        model.train(was_training)
    return np.stack(out).astype(np.uint32)


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
            try:
                recorded: dict[str, Any] = record["data"]["val"]
                name, split, recordings = record["data"]["name"], recorded["split"], recorded["recordings"]
            except (KeyError, TypeError):
                raise RunError("its run.json does not say which data it was validated on") from None
            data = open_data(name, args.data, split, record["label_space"], recordings)
            if data.fingerprint() != recorded.get("fingerprint"):
                print(f"{folder.name}: note: the data's fingerprint differs from the record's; figures may differ too")
            result = metrics.summarise(confusions(model, data, progress=True).sum(0), space(data.label_space).names)
        except (RunError, ValueError) as error:
            print(f"{folder.name}: {error}", file=sys.stderr)
            code = 1
            continue
        print(f"{folder.name} on {data.name} {data.split}, {len(data)} images")
        for name, value in result.items():
            headline = (record.get("metrics") or {}).get(name)
            print(f"  {name:<20} {value:.6f}" + ("" if headline is None else f"   recorded {headline:.6f}"))
    return code


if __name__ == "__main__":
    sys.exit(main())
