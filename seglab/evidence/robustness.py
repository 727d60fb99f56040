"""What models lose under corruption: tables with intervals over images, made of :mod:`seglab.records.robustness`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seglab.measure.bootstrap import draw_blocks
from seglab.measure.metrics import iou_per_class, miou_of_each
from seglab.measure.statistics import holm
from seglab.records.robustness import CONDITIONS, Robustness


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
