"""Where models come from: one file a source, each with ``find(text)``, which returns a model or none where it is not
its kind.

To add a source, write its file and name it in :data:`SOURCES`, in the order in which they are asked. No torch is
imported until a network is loaded, save by a source that has to look into weights to know what it has.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from seglab.predict.model import Model
from seglab.predict.sources import exported, hub, masks, onnx, pickles, run

SOURCES: Mapping[str, Callable[[str], Model | None]] = {
    "masks": masks.find,
    "pickle": pickles.find,
    "onnx": onnx.find,
    "exported": exported.find,
    "run": run.find,
    "hub": hub.find,
}


def open_model(text: str | Path, key: str = "") -> Model:
    """Return the model that a folder, a file or a name stands for.

    Args:
        text: what ``--model`` takes: a folder (a run, or what Transformers or segmentation-models-pytorch saved), an ONNX
            or .pt2 file, ``masks:DIR``, or a name of the hub.
        key: how it is called in files and links; its own by default.

    Raises:
        ValueError: where no source knows it, or the one that does cannot use it; one sentence.
    """
    for find in SOURCES.values():
        if (model := find(str(text))) is not None:
            return replace(model, key=key) if key else model
    raise ValueError(
        f"expected a model, got {str(text)[:200]!r}: no folder of a run or a checkpoint, no .onnx or .pt2 file, no "
        "masks:DIR, no OWNER/NAME of the hub"
    )
