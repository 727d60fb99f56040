"""Ours against the Transformers pipeline: the same checkpoint, the same photo, on this machine's CPU.

The checkpoint is a SegFormer of the size of B0 with random weights, saved locally in the hub's format. Both answer labels at the
photo's own size. The pipeline squashes the photo to the processor's 512x512; ours keeps its aspect at a short side of 512, which
is more pixels.

python benchmarks/hub_pipeline.py
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
from PIL import Image

import seglab.models  # noqa: F401  (mends torchvision before Transformers asks for it)
from seglab.data.scenes import make_scene
from seglab.labels import space
from seglab.predict.segmenter import Segmenter
from seglab.predict.sources import open_model

from transformers import SegformerConfig, SegformerForSemanticSegmentation, SegformerImageProcessor, pipeline  # isort: skip

PHOTO_PX = (1080, 1920)
ROUNDS = 7


def median_ms(ask: Callable[[], object]) -> float:
    """Return the median of some rounds, after one that is not counted."""
    ask()
    spent = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        ask()
        spent.append((time.perf_counter() - start) * 1000)
    return statistics.median(spent)


def main() -> None:
    """Print both medians and their ratio."""
    names = dict(enumerate(space("cityscapes-19").names))
    scene = make_scene(20_060, 540, 960).image
    photo = Image.fromarray(scene).resize(PHOTO_PX[::-1])
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "segformer-b0"
        config = SegformerConfig(id2label=names, label2id={name: i for i, name in names.items()})
        SegformerForSemanticSegmentation(config).save_pretrained(folder)
        SegformerImageProcessor().save_pretrained(folder)
        theirs = pipeline("image-segmentation", model=str(folder), device="cpu")
        segmenter = Segmenter(open_model(folder))
        pixels = np.asarray(photo)
        ours_ms, theirs_ms = median_ms(lambda: segmenter.predict(pixels)), median_ms(lambda: theirs(photo))
    print(f"ours ({segmenter.engine.name}): {ours_ms:.0f} ms at {512 * PHOTO_PX[1] // PHOTO_PX[0]}x512")
    print(f"Transformers pipeline: {theirs_ms:.0f} ms at 512x512")
    print(f"ratio: the pipeline takes {theirs_ms / ours_ms:.2f} times as long")


if __name__ == "__main__":
    main()
