"""Photo in, labels at the photo's own size out, with per-pixel confidence and the steps timed apart.

A photo is brought to a working size (short side at most 512 px, never enlarged), padded, scored in one pass, and its
scores are brought back to the photo's size strip by strip, so that a 50-megapixel photo never holds all its scores at
once. A very wide photo, or ``detail="high"`` (twice the working size), is scored in overlapping tiles.
"""

import hashlib
import json
import threading
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seglab.checkpoints import check_safetensors, load_model
from seglab.engines import EngineName, make_engine
from seglab.labels import SPACES, remap_table, space
from seglab.models import MEAN, STD, num_parameters
from seglab.models.mask2former import QueryModel, load_published
from seglab.runs import RunError, read_record, sha256_file
from seglab.scores import Detail, shrink_to_work, to_labels

GRAPH_VERSION = 1  # raise it when what Scorer computes changes: it names cached conversions
TILE_PX = (512, 1280)  # the largest height and width scored in one pass (or turned by 90 degrees)
OVERLAP_PX = 96

Image = NDArray[np.uint8]
Scores = NDArray[np.float32]


@dataclass(frozen=True)
class Prediction:
    """What one model says about one photo."""

    labels: Image  # (H, W) ids of label_space
    confidence: Image  # (H, W) score of the label, 0..255
    label_space: str
    latency_ms: dict[str, float]  # preprocess, forward, postprocess
    engine: str
    scores: NDArray[np.float16]  # (C, h, w) at working size, in the model's own label space

    def share_frac(self) -> dict[str, float]:
        """Return each class's share of the photo's area."""
        counts = np.bincount(self.labels.ravel(), minlength=256)
        names = space(self.label_space).names
        return {name: float(counts[i] / self.labels.size) for i, name in enumerate(names)}


def to_input(pixels: Image) -> Scores:
    """Turn ``(h, w, 3)`` uint8 RGB into ``(1, 3, H, W)`` normalised float32, edges repeated to multiples of 32."""
    h, w = pixels.shape[:2]
    padded = cv2.copyMakeBorder(pixels, 0, -h % 32, 0, -w % 32, cv2.BORDER_REPLICATE)
    mean, std = np.array(MEAN, np.float32) * 255, np.array(STD, np.float32) * 255
    return np.ascontiguousarray(((padded - mean) / std).transpose(2, 0, 1)[None], dtype=np.float32)


def tile_starts(length: int, tile: int) -> list[int]:
    """Return where tiles of ``tile`` pixels start so that they cover ``length`` and overlap by at least OVERLAP_PX."""
    if length <= tile:
        return [0]
    count = -(-(length - OVERLAP_PX) // (tile - OVERLAP_PX))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


class Segmenter:
    """One model ready to segment photos; safe to share between threads (one photo at a time).

    Args:
        source: a run of these trainers (its folder, or a safetensors file with ``run.json`` beside it), or a published
            Mask2Former checkpoint in the hub's format (a local folder, or a name that the hub knows).
        engine: ``auto`` takes OpenVINO on the CPU and torch on CUDA.

    Raises:
        RunError: where the run's record, hash or weights do not fit.
        ValueError: where a published checkpoint cannot be loaded.
    """

    def __init__(self, source: Path | str, engine: EngineName = "auto") -> None:
        self._lock = threading.Lock()
        path = Path(source)
        folder, weights = (path.parent, path) if path.is_file() else (path, path / "weights.safetensors")
        if path.is_file() or (folder / "run.json").is_file():
            check_safetensors(weights)
            self.record: dict[str, Any] = read_record(folder)
            if self.record["status"] != "finished":
                raise RunError(f"{folder.name} is {self.record['status']}, not finished; finish its training first")
            model = load_model(self.record, weights)
            self.weights_sha256 = sha256_file(weights)
            self.run_name = f"{self.record['experiment']}/{folder.name}"
        else:
            for file in sorted(folder.glob("*.safetensors")):
                check_safetensors(file)
            model = load_published(source)
            self.record = published_record(model, folder)
            self.weights_sha256 = str(self.record["weights"]["sha256"])
            self.run_name = folder.name
        self.key = str(self.record["model"]["key"])
        self.title = str(self.record["title"])
        self.label_space = str(self.record["label_space"])
        libraries = [version(name) for name in ("timm", "segmentation-models-pytorch", "transformers")]
        makes_the_graph = [GRAPH_VERSION, self.record["model"], self.label_space, *libraries]  # beside the weights
        built = json.dumps(makes_the_graph, sort_keys=True)
        key = f"{self.key}-{self.weights_sha256[:16]}-{hashlib.sha256(built.encode()).hexdigest()[:8]}"
        self.engine, self.engine_note = make_engine(model.eval(), key, engine)

    def scores(self, pixels: Image, detail: Detail = "standard") -> tuple[NDArray[np.float16], dict[str, float]]:
        """Score a photo.

        Args:
            pixels: ``(H, W, 3)`` uint8 RGB.
            detail: ``high`` works at twice the size, in tiles.

        Returns:
            ``(C, h, w)`` float16 scores at working size, and the milliseconds of preprocess and forward.
        """
        start = time.perf_counter()
        small = shrink_to_work(pixels, detail)
        h, w = small.shape[:2]
        tile_h, tile_w = TILE_PX if w >= h else TILE_PX[::-1]
        tops, lefts = tile_starts(h, tile_h), tile_starts(w, tile_w)
        spent = {"preprocess": 0.0, "forward": 0.0}
        with self._lock:
            if len(tops) == len(lefts) == 1:
                image = to_input(small)
                spent["preprocess"] = _ms(start)
                self.engine.prepare(image.shape)
                start = time.perf_counter()
                total = self.engine.scores(image)[:, :h, :w]
                spent["forward"] = _ms(start)
                return total.astype(np.float16), spent
            spent["preprocess"] = _ms(start)
            tile_h, tile_w = min(h, tile_h), min(w, tile_w)
            self.engine.prepare((1, 3, tile_h + -tile_h % 32, tile_w + -tile_w % 32))
            start = time.perf_counter()
            total = self._tiled(small, tops, lefts, tile_h, tile_w)
            spent["forward"] = _ms(start)
        return total.astype(np.float16), spent

    def _tiled(self, pixels: Image, tops: list[int], lefts: list[int], tile_h: int, tile_w: int) -> Scores:
        """Score overlapping tiles and average them, a tile's middle counting more than its border."""
        h, w = pixels.shape[:2]
        weight = np.minimum.outer(_ramp(tile_h), _ramp(tile_w)).astype(np.float32)
        total: Scores = np.zeros((space(self.label_space).num_classes, h, w), np.float32)
        weights: Scores = np.zeros((h, w), np.float32)
        for top in tops:
            for left in lefts:
                at = np.s_[top : top + tile_h, left : left + tile_w]
                part = self.engine.scores(to_input(pixels[at]))[:, :tile_h, :tile_w]
                total[:, *at] += part * weight
                weights[at] += weight
        return total / weights

    def predict(self, pixels: Image, label_space: str | None = None, detail: Detail = "standard") -> Prediction:
        """Segment a photo.

        Args:
            pixels: ``(H, W, 3)`` uint8 RGB.
            label_space: the space of the answer, the model's own by default.
            detail: ``high`` works at twice the size, in tiles.

        Raises:
            ValueError: where the model's labels do not roll up to ``label_space``.
        """
        target = label_space or self.label_space
        remap_table(self.label_space, target)
        scores, spent = self.scores(pixels, detail)
        start = time.perf_counter()
        labels, confidence = self.to_labels(scores, pixels.shape[0], pixels.shape[1], target)
        spent["postprocess"] = _ms(start)
        return Prediction(labels, confidence, target, spent, self.engine.name, scores)

    def to_labels(self, scores: NDArray[np.float16], height: int, width: int, target: str) -> tuple[Image, Image]:
        """Return labels and confidence in a label space from scores of :meth:`scores`."""
        table = remap_table(self.label_space, target)
        return to_labels(scores, height, width, table, space(target).num_classes)


def published_space(model: QueryModel) -> str:
    """Return the label space of a published checkpoint: that of its class names, else the only one with as many classes.

    Raises:
        ValueError: where none or several could be meant.
    """
    fitting = [key for key, one in SPACES.items() if one.num_classes == model.num_classes]
    if not fitting:
        *sizes, last = sorted({one.num_classes for one in SPACES.values()})
        expected = f"{', '.join(map(str, sizes))} or {last} classes"
        raise ValueError(f"expected a checkpoint of {expected}, got {model.num_classes}")
    told = model.net.config.id2label or {}
    names = tuple(str(told.get(i)).lower() for i in range(model.num_classes))
    named = next((key for key in fitting if tuple(map(str.lower, SPACES[key].names)) == names), None)
    if named is None and len(fitting) > 1:
        raise ValueError(f"expected an id2label with the class names of {' or '.join(fitting)}, got other names")
    return named or fitting[0]


def published_record(model: QueryModel, folder: Path) -> dict[str, Any]:
    """Describe a published checkpoint the way a run's record would; its hash is over configuration and weights.

    Raises:
        ValueError: where its classes are none of the label spaces.
    """
    key = published_space(model)
    config = model.net.config.to_dict()
    for name in ("_name_or_path", "transformers_version"):  # say nothing of the network
        config.pop(name, None)
    total = hashlib.sha256(json.dumps(config, sort_keys=True, default=str).encode())
    for name, value in sorted(model.state_dict().items()):
        total.update(name.encode())
        total.update(value.contiguous().numpy().tobytes())
    digest = total.hexdigest()
    return {
        "title": f"Mask2Former ({folder.name})",
        "experiment": "published",
        "variant": folder.name,
        "model": {"key": "mask2former", "size": "published", "parameters": num_parameters(model)},
        "label_space": key,
        "provenance": "published",
        "status": "finished",
        "weights": {"sha256": digest},
        "metrics": None,
    }


def _ramp(length: int) -> NDArray[np.float32]:
    """Return weights that rise from both ends over the overlap."""
    at = np.arange(length, dtype=np.float32) + 1
    ramp: NDArray[np.float32] = np.minimum(np.minimum(at, at[::-1]) / OVERLAP_PX, 1).astype(np.float32)
    return ramp


def _ms(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 1)
