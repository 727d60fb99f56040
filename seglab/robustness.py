"""How a run's model stands corruption: ``robustness.npz`` of its record, and tables of what it loses. No torch.

Kept are confusions per image and condition, so that any figure and any interval over images can be had. No frames are kept.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seglab.corruptions import CORRUPTIONS, SEVERITIES
from seglab.metrics import iou_per_class, miou_of_each
from seglab.runs import RunError, open_npz, write_atomic
from seglab.statistics import draw_blocks, holm

FILE = "robustness.npz"
CLEAN = "clean"
CONDITIONS = (CLEAN, *(f"{key}/{severity}" for key in CORRUPTIONS for severity in SEVERITIES))
MAX_BYTES = 2**28  # unpacked; 500 images of Cityscapes make 33 MB


@dataclass(frozen=True)
class Robustness:
    """What ``trainers.robustness`` measured for one run. N images, C classes of the run's label space."""

    about: Mapping[str, Any]  # data, split, fingerprint, every, weights_sha256, parameters, git_commit, ...
    stems: tuple[str, ...]  # (N,)
    confusions: NDArray[np.uint32]  # (len(CONDITIONS), N, C, C), those of conditions that are not done yet 0

    @property
    def done(self) -> int:
        """How many of :data:`CONDITIONS` are measured."""
        done = self.about.get("done", len(CONDITIONS))
        return done if isinstance(done, int) else 0

    def of(self, condition: str) -> NDArray[np.int64]:
        """Return ``(N, C, C)`` of a condition."""
        return np.asarray(self.confusions[CONDITIONS.index(condition)], np.int64)


def save(folder: Path, found: Robustness) -> Path:
    """Write a run's measurement, atomically."""
    buffer = io.BytesIO()
    arrays = {"about": np.array(json.dumps(dict(found.about))), "stems": np.array(found.stems)}
    np.savez_compressed(buffer, allow_pickle=False, confusions=found.confusions.astype(np.uint32), **arrays)
    write_atomic(folder / FILE, buffer.getvalue())
    return folder / FILE


def load(folder: Path, num_classes: int) -> Robustness:
    """Read a run's measurement, finished or not.

    Raises:
        RunError: where it is missing, damaged, too large or of other shapes.
    """
    path = folder / FILE
    problem = f"{folder.name}/{FILE} cannot be read; run trainers.robustness again"
    with open_npz(path, problem, MAX_BYTES) as file:
        about = json.loads(str(file["about"]))
        stems = tuple(str(stem) for stem in file["stems"])
        confusions = file["confusions"]
        fits = (
            confusions.shape == (len(CONDITIONS), len(stems), num_classes, num_classes)
            and confusions.dtype == np.uint32
        )
        if not fits or not isinstance(about, dict) or not isinstance(about.get("weights_sha256"), str):
            raise RunError(problem)
    return Robustness(about, stems, confusions)


def drop_table(found: Mapping[str, Robustness], names: Sequence[str]) -> pd.DataFrame:
    """Return one row a model, corruption and severity: miou, clean, drop, relative_drop, and ``iou/<class>``. Fractions.

    ``drop`` is clean minus corrupted, ``relative_drop`` that over clean; mIoU is dataset-level, as everywhere.

    Args:
        found: by the model's title; all of one label space and of the same images.
        names: of the classes, by id.
    """
    rows = []
    for model, one in found.items():
        summed = one.confusions.astype(np.int64).sum(1)
        miou, iou = miou_of_each(summed), iou_per_class(summed)
        for at, condition in list(enumerate(CONDITIONS))[1 : one.done]:
            key, _, severity = condition.partition("/")
            drop = miou[0] - miou[at]
            row = {"model": model, "corruption": key, "severity": int(severity), "miou": miou[at], "clean": miou[0]}
            row |= {"drop": drop, "relative_drop": drop / miou[0]}
            rows.append(row | {f"iou/{name}": iou[at, c] for c, name in enumerate(names)})
    return pd.DataFrame(rows)


def ranking(table: pd.DataFrame) -> pd.DataFrame:
    """Return one row a model, the one that loses least first: clean miou, and means of miou, drop, relative drop."""
    means = table.groupby("model", sort=False)[["clean", "miou", "drop", "relative_drop"]].mean()
    return means.sort_values("relative_drop").reset_index()


@dataclass(frozen=True)
class Loss:
    """What models lose on average over all measured conditions, with 95 % bootstrap intervals over images. Fractions."""

    relative_drop: Mapping[str, tuple[float, float, float]]  # by model, the one that loses least first: mean, low, high
    leads: Mapping[
        str, tuple[float, float, float, float]
    ]  # by every other model: what it loses more, low, high, p (Holm)


def mean_loss(found: Mapping[str, Robustness], block: int, resamples: int = 1000, seed: int = 0) -> Loss:
    """Return each model's mean relative drop of mIoU; all models and conditions are resampled by the same images.

    Args:
        found: by the model's title; of the same images, all conditions measured.
        block: neighbouring images that are drawn together.
        resamples: R.
        seed: of the resamples.

    Raises:
        ValueError: where there are fewer than two images, or none measured.
    """
    images = len(next(iter(found.values())).stems)
    if images < 2 or not 1 <= block < images:
        raise ValueError(f"expected two images or more and a block below their number, got {images} and {block}")
    drawn = np.concatenate([np.ones((1, images)), draw_blocks(np.random.default_rng(seed), resamples, images, block)])
    drops: dict[str, NDArray[np.float64]] = {}
    for model, one in found.items():
        conditions, _, classes, _ = one.confusions.shape
        summed = np.tensordot(drawn, one.confusions.astype(np.float64), (1, 1))  # (1 + R, conditions, C, C)
        miou = miou_of_each(summed.reshape(-1, classes, classes).astype(np.int64)).reshape(len(drawn), conditions)
        drops[model] = 1 - (miou[:, 1:] / miou[:, :1]).mean(1)
    order = sorted(drops, key=lambda model: drops[model][0])
    spans = {model: _with_interval(drops[model]) for model in order}
    leads, p = {}, []
    for model in order[1:]:
        more = drops[model] - drops[order[0]]
        leads[model] = _with_interval(more)
        fewer = min(int((more[1:] <= 0).sum()), int((more[1:] >= 0).sum()))
        p.append(min(1.0, 2 * (fewer + 1) / (resamples + 1)))
    corrected: list[float] = holm(p).tolist() if p else []
    return Loss(spans, {model: (*leads[model], value) for model, value in zip(leads, corrected, strict=True)})


def _with_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    """Return the first value, and the 95 % percentile interval of the others."""
    low, high = np.quantile(values[1:], (0.025, 0.975))
    return float(values[0]), float(low), float(high)
