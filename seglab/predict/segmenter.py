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
from typing import Protocol, runtime_checkable

import cv2
import numpy as np
from numpy.typing import NDArray

from seglab.labels import VOID, remap_table, space
from seglab.models import MEAN, STD
from seglab.predict.engines import Engine, EngineName, make_engine
from seglab.predict.model import Model
from seglab.predict.scores import Detail, shrink_to_work, to_labels

GRAPH_VERSION = 2  # raise it when what Scorer computes changes: it names cached conversions
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
    scores: NDArray[
        np.float16
    ]  # (C, h, w) at working size, in the model's own label space; empty where labels were stored

    def share_frac(self) -> dict[str, float]:
        """Return each class's share of the photo's area."""
        counts = np.bincount(self.labels.ravel(), minlength=256)
        names = space(self.label_space).names
        return {name: float(counts[i] / self.labels.size) for i, name in enumerate(names)}


def to_input(pixels: Image, stride: int = 32) -> Scores:
    """Turn ``(h, w, 3)`` uint8 RGB into ``(1, 3, H, W)`` normalised float32, edges repeated to multiples of the stride."""
    h, w = pixels.shape[:2]
    padded = cv2.copyMakeBorder(pixels, 0, -h % stride, 0, -w % stride, cv2.BORDER_REPLICATE)
    mean, std = np.array(MEAN, np.float32) * 255, np.array(STD, np.float32) * 255
    return np.ascontiguousarray(((padded - mean) / std).transpose(2, 0, 1)[None], dtype=np.float32)


def tile_starts(length: int, tile: int) -> list[int]:
    """Return where tiles of ``tile`` pixels start so that they cover ``length`` and overlap by at least OVERLAP_PX."""
    if length <= tile:
        return [0]
    count = -(-(length - OVERLAP_PX) // (tile - OVERLAP_PX))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


@runtime_checkable
class OwnEngine(Protocol):
    """A source that answers images itself and has no torch network."""

    def engine(self) -> Engine:
        """Return what answers images."""
        ...


@runtime_checkable
class Stored(Protocol):
    """A source that has answers to some photos, by name, and asks no model."""

    def labels(self, name: str, height: int, width: int) -> Image:
        """Return ``(height, width)`` ids in the model's label space, 255 for none."""
        ...

    def scores(self, name: str, height: int, width: int) -> NDArray[np.uint8]:
        """Return ``(C + 1, h, w)`` of ones and zeros."""
        ...


class NoEngine:
    """In place of an engine where there are stored answers only."""

    name = "stored masks"

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Do nothing."""

    def scores(self, image: Scores) -> Scores:
        """Refuse.

        Raises:
            ValueError: always.
        """
        raise ValueError("stored masks answer the photos that they are of, by name, and nothing else")


class Segmenter:
    """A loaded model, ready to segment photos; safe to share between threads (one photo at a time).

    Args:
        model: what to load.
        engine: ``auto`` takes OpenVINO on the CPU and torch on CUDA.

    Raises:
        ValueError: where its network cannot be loaded.
    """

    def __init__(self, model: Model, engine: EngineName = "auto") -> None:
        self._lock = threading.Lock()
        self.model, self.label_space, self.weights_sha256 = model, model.label_space, model.sha256
        self.engine: Engine
        self.engine_note: str | None = None
        if isinstance(model.source, Stored):
            self.engine = NoEngine()
            return
        if isinstance(model.source, OwnEngine):
            self.engine = model.source.engine()
            self.engine_note = getattr(self.engine, "note", None)
            return
        libraries = [version(name) for name in ("timm", "segmentation-models-pytorch", "transformers")]
        makes_the_graph = [GRAPH_VERSION, model.network, model.label_space, *libraries]  # beside the weights
        built = hashlib.sha256(json.dumps(makes_the_graph, sort_keys=True).encode()).hexdigest()
        cached_as = f"{model.network['key']}-{model.sha256[:16]}-{built[:8]}"
        self.engine, self.engine_note = make_engine(
            model.source.network().eval(), cached_as, engine, check=model.foreign
        )

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
                image = to_input(small, self.model.stride)
                spent["preprocess"] = _ms(start)
                self.engine.prepare(image.shape)
                start = time.perf_counter()
                total = self.engine.scores(image)[:, :h, :w]
                spent["forward"] = _ms(start)
                return total.astype(np.float16), spent
            spent["preprocess"] = _ms(start)
            tile_h, tile_w = min(h, tile_h), min(w, tile_w)
            stride = self.model.stride
            self.engine.prepare((1, 3, tile_h + -tile_h % stride, tile_w + -tile_w % stride))
            start = time.perf_counter()
            total = self._tiled(small, tops, lefts, tile_h, tile_w)
            spent["forward"] = _ms(start)
        return total.astype(np.float16), spent

    def _tiled(self, pixels: Image, tops: list[int], lefts: list[int], tile_h: int, tile_w: int) -> Scores:
        """Score overlapping tiles and average them, a tile's middle counting more than its border."""
        h, w = pixels.shape[:2]
        weight = np.minimum.outer(_ramp(tile_h), _ramp(tile_w)).astype(np.float32)
        total: Scores | None = None
        weights: Scores = np.zeros((h, w), np.float32)
        for top in tops:
            for left in lefts:
                at = np.s_[top : top + tile_h, left : left + tile_w]
                part = self.engine.scores(to_input(pixels[at], self.model.stride))[:, :tile_h, :tile_w]
                if total is None:
                    total = np.zeros((len(part), h, w), np.float32)
                total[:, *at] += part * weight
                weights[at] += weight
        assert total is not None  # there is a tile
        return total / weights

    def predict(
        self, pixels: Image, label_space: str | None = None, detail: Detail = "standard", name: str = ""
    ) -> Prediction:
        """Segment a photo.

        Args:
            pixels: ``(H, W, 3)`` uint8 RGB.
            label_space: the space of the answer, the model's own by default.
            detail: ``high`` works at twice the size, in tiles.
            name: of the photo's file; stored masks are found by it.

        Raises:
            ValueError: where the model's labels do not roll up to ``label_space``, or stored masks have none of the photo.
        """
        target = label_space or self.label_space
        table = remap_table(self.label_space, target)
        if isinstance(self.model.source, Stored):
            return self._stored(self.model.source, table, target, pixels.shape[:2], name)
        scores, spent = self.scores(pixels, detail)
        start = time.perf_counter()
        labels, confidence = self.to_labels(scores, pixels.shape[0], pixels.shape[1], target)
        spent["postprocess"] = _ms(start)
        return Prediction(labels, confidence, target, spent, self.engine.name, scores)

    def _stored(self, source: Stored, table: Image, target: str, size: tuple[int, ...], name: str) -> Prediction:
        start = time.perf_counter()
        labels = table[source.labels(name, *size[:2])]
        confidence = np.where(labels == VOID, 0, 255).astype(np.uint8)
        spent = {"preprocess": 0.0, "forward": 0.0, "postprocess": _ms(start)}
        return Prediction(labels, confidence, target, spent, self.engine.name, np.empty((0, 0, 0), np.float16))

    def to_labels(self, scores: NDArray[np.float16], height: int, width: int, target: str) -> tuple[Image, Image]:
        """Return labels and confidence in a label space from scores of :meth:`scores`."""
        table = remap_table(self.label_space, target)
        return to_labels(scores, height, width, table, space(target).num_classes)


def _ramp(length: int) -> NDArray[np.float32]:
    """Return weights that rise from both ends over the overlap."""
    at = np.arange(length, dtype=np.float32) + 1
    ramp: NDArray[np.float32] = np.minimum(np.minimum(at, at[::-1]) / OVERLAP_PX, 1).astype(np.float32)
    return ramp


def _ms(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 1)
