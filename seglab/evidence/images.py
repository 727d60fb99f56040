"""What images say about classes: deltas with intervals over images, support, and who is taken for whom.

Everything comes from per-image confusions as :func:`seglab.records.runs.read_counts` returns them. The uncertainty here is over
images, by a paired bootstrap of contiguous blocks; :mod:`seglab.evidence.classes` has that over seeds. Fractions throughout;
a delta ``x - y`` is x minus y. No torch, no Streamlit.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seglab.evidence.classes import DELTA_COLUMNS, delta_table
from seglab.evidence.curves import seed_test
from seglab.measure.bootstrap import paired_bootstrap
from seglab.measure.metrics import divide_counts, iou_per_class
from seglab.measure.statistics import holm

RESAMPLES = 10_000
CLIP_BLOCK = 20  # frames of one clip that are drawn together


@dataclass(frozen=True)
class ImageCounts:
    """Confusions of one variant at one epoch, by seed and image: ``(S, N, C, C)``, rows target, columns prediction."""

    epoch: int
    seeds: tuple[str, ...]
    stems: tuple[str, ...]
    confusions: NDArray[np.integer]

    @property
    def by_image(self) -> NDArray[np.int64]:
        """``(N, C, C)``, summed over the seeds."""
        return np.asarray(self.confusions.sum(0), np.int64)

    @property
    def by_seed(self) -> NDArray[np.int64]:
        """``(S, C, C)``, summed over the images: what the IoU of a run is made of."""
        return np.asarray(self.confusions.sum(1), np.int64)

    @property
    def total(self) -> NDArray[np.int64]:
        """``(C, C)``."""
        return np.asarray(self.confusions.sum((0, 1)), np.int64)


def image_counts(
    epoch: int, runs: Mapping[str, tuple[Sequence[str], NDArray[np.integer]]], num_classes: int
) -> ImageCounts:
    """Join the counts of one variant's runs.

    Args:
        epoch: at which they were counted.
        runs: seed -> stems ``(N,)`` and confusions ``(N, C, C)``.
        num_classes: C.

    Raises:
        ValueError: where shapes or images do not fit, naming the seed.
    """
    if not runs:
        raise ValueError("expected the counts of one run at least, got none")
    first = tuple(next(iter(runs.values()))[0])
    for seed, (stems, confusions) in runs.items():
        if confusions.shape != (len(stems), num_classes, num_classes) or confusions.dtype.kind not in "iu":
            expected = (len(stems), num_classes, num_classes)
            raise ValueError(
                f"expected whole counts {expected} of seed {seed}, got {confusions.shape}; evaluate it again"
            )
        if tuple(stems) != first:
            raise ValueError(f"seed {seed} was counted on other images than the others; evaluate it again")
    return ImageCounts(epoch, tuple(runs), first, np.stack([confusions for _, confusions in runs.values()]))


def paired(x: ImageCounts, y: ImageCounts) -> tuple[ImageCounts, ImageCounts]:
    """Return both with the seeds that both have (all of each where they share none).

    Raises:
        ValueError: where they were counted on other images.
    """
    if x.stems != y.stems or x.confusions.shape[2:] != y.confusions.shape[2:]:
        raise ValueError("the two were counted on other images or classes; only equal ones can be paired")
    common = [seed for seed in x.seeds if seed in y.seeds]
    return (_only(x, common), _only(y, common)) if common else (x, y)


def _only(counts: ImageCounts, seeds: Sequence[str]) -> ImageCounts:
    rows = [counts.seeds.index(seed) for seed in seeds]
    return replace(counts, seeds=tuple(seeds), confusions=counts.confusions[rows])


def merge_classes(counts: ImageCounts, groups: Sequence[Sequence[int]]) -> ImageCounts:
    """Return counts in which each group of class ids is one class; pixels of other ids are left out."""
    member = np.zeros((counts.confusions.shape[-1], len(groups)), np.int64)
    for at, ids in enumerate(groups):
        member[list(ids), at] = 1
    return replace(counts, confusions=member.T @ np.asarray(counts.confusions, np.int64) @ member)


def counted_epochs(x: Sequence[int], y: Sequence[int], asked: int | None) -> tuple[int, int] | None:
    """Return the epochs with counts to compare two variants at; none where one has no counts at all.

    Args:
        x: epochs at which one has counts.
        y: and the other.
        asked: the epoch of interest; none for the last of each.

    Returns:
        Twice the common epoch nearest to ``asked`` (the later of two equally near); the last of each where ``asked`` is none
        or they have no epoch in common.
    """
    if not x or not y:
        return None
    common = set(x) & set(y)
    if asked is None or not common:
        return max(x), max(y)
    near = min(common, key=lambda epoch: (abs(epoch - asked), -epoch))
    return near, near


def block_of(images: int, one_clip: bool) -> int:
    """Return how many neighbouring images are drawn together: frames of one clip are alike, other images independent."""
    return max(1, min(CLIP_BLOCK, images // 2)) if one_clip else 1


def class_deltas_over_images(
    x: ImageCounts,
    y: ImageCounts,
    names: Sequence[str],
    block: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
    statistic: Callable[[NDArray[np.int64]], NDArray[np.float64]] = iou_per_class,
) -> pd.DataFrame:
    """Return one row a class, the largest gain of x over y first.

    Columns as of :func:`seglab.evidence.classes.class_deltas`: the statistic, IoU by default, of the confusions summed over
    seeds and images; 95 % percentile interval and p of the paired moving-block bootstrap
    (:func:`seglab.measure.bootstrap.paired_bootstrap`), p also corrected over the classes; n is the number of images.

    Args:
        x: counts.
        y: counts on the same images.
        names: of the classes, by id.
        block: images drawn together.
        resamples: of the bootstrap.
        seed: of the resamples.
        statistic: maps ``(..., C, C)`` to ``(..., C)``.
    """
    x, y = paired(x, y)
    of_x, of_y = statistic(x.total), statistic(y.total)
    low, high, p = (np.full(len(names), np.nan) for _ in range(3))
    if len(x.stems) > 1:
        _, *found = paired_bootstrap(x.by_image, y.by_image, statistic, resamples, block, seed)
        low, high, p = (np.asarray(values, np.float64) for values in found)
    n = [len(x.stems)] * len(names)
    columns = (list(names), of_x, of_y, of_x - of_y, low, high, n, p)
    rows = pd.DataFrame(dict(zip(DELTA_COLUMNS, columns, strict=False)))
    return delta_table(rows[rows["delta"].notna()])


def group_pairs_over_images(
    variants: Mapping[str, ImageCounts],
    groups: Mapping[str, Sequence[int]],
    block: int,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, pd.DataFrame]:
    """Return for each group of classes one row a pair of variants: a, b, delta, low, high, n, p, p_holm (over the pairs).

    Args:
        variants: counts on the same images.
        groups: name -> class ids; its statistic is the mean IoU of those that occur.
        block: images drawn together.
        resamples: of the bootstrap.
        seed: of the resamples.
    """
    occurs = ~np.isnan(np.sum([iou_per_class(counts.total) for counts in variants.values()], axis=0))
    ids = [[c for c in group if occurs[c]] for group in groups.values()]

    def statistic(confusions: NDArray[np.int64]) -> NDArray[np.float64]:
        iou = iou_per_class(confusions)
        return np.stack([iou[:, of].mean(1) if of else np.full(len(iou), np.nan) for of in ids], 1)

    found = []
    for a, b in combinations(variants, 2):
        x, y = paired(variants[a], variants[b])
        values = paired_bootstrap(x.by_image, y.by_image, statistic, resamples, block, seed)
        found.append((a, b, len(x.stems), np.stack([np.asarray(value) for value in values])))
    return {name: _pairs(found, at) for at, name in enumerate(groups)}


def _pairs(found: Sequence[tuple[str, str, int, NDArray[np.float64]]], at: int) -> pd.DataFrame:
    rows = [(a, b, *values[:3, at], n, values[3, at]) for a, b, n, values in found]
    table = pd.DataFrame(rows, columns=["a", "b", "delta", "low", "high", "n", "p"])
    return table.assign(p_holm=holm(table["p"].to_numpy(np.float64)) if len(table) else [])


def group_iou(counts: ImageCounts, ids: Sequence[int]) -> float:
    """Return the mean IoU of some classes, of those that occur; NaN where none does."""
    iou = iou_per_class(counts.total)[list(ids)]
    return float(iou[~np.isnan(iou)].mean()) if (~np.isnan(iou)).any() else float("nan")


def support(counts: ImageCounts, names: Sequence[str]) -> pd.DataFrame:
    """Return class, pixels_frac (of the valid pixels) and images (that have the class), from the targets of one seed."""
    pixels = counts.confusions[0].sum(2, dtype=np.int64)  # (N, C)
    of_class = pixels.sum(0)
    share = divide_counts(of_class, np.full_like(of_class, of_class.sum()))
    return pd.DataFrame({"class": list(names), "pixels_frac": share, "images": (pixels > 0).sum(0)})


def row_shares(confusion: NDArray[np.integer]) -> NDArray[np.float64]:
    """Return ``(..., C, C)``: of each target class's pixels, the share predicted as each class; NaN where it has none."""
    rows = confusion.sum(-1, keepdims=True)
    return divide_counts(confusion, np.broadcast_to(rows, confusion.shape))


def confused_most(shares: NDArray[np.float64], target: int) -> list[int]:
    """Return the other classes, the one that takes most of the target's pixels first."""
    row = np.nan_to_num(shares[target], nan=0.0)
    order = np.argsort(-row, kind="stable")
    return [int(c) for c in order if c != target]


def pair_delta(
    x: ImageCounts, y: ImageCounts, target: int, predicted: int, block: int | None, resamples: int = RESAMPLES
) -> tuple[float, float, float, float, int]:
    """Return delta x - y of the share of a class's pixels that is predicted as another: delta, low, high, p, n.

    Args:
        x: counts.
        y: counts on the same images.
        target: class id.
        predicted: class id.
        block: for the bootstrap over images; none for Student's t over seeds.
        resamples: of the bootstrap.
    """
    x, y = paired(x, y)
    if block is None:
        of_x, of_y = (row_shares(counts.by_seed)[:, target, predicted] for counts in (x, y))
        if x.seeds != y.seeds:  # no seed in common: nothing stands in one place of both
            gap = np.full(len(of_x), np.nan)
            of_x, of_y = np.append(of_x, np.full(len(of_y), np.nan)), np.append(gap, of_y)
        one = seed_test(of_x, of_y)
        return one.delta, one.delta - one.half_width, one.delta + one.half_width, one.p, one.n

    def share(confusions: NDArray[np.int64]) -> NDArray[np.float64]:
        return divide_counts(confusions[:, target, predicted], confusions[:, target].sum(-1))

    if len(x.stems) < 2:
        delta = float((share(x.total[None]) - share(y.total[None]))[0])
        return delta, np.nan, np.nan, np.nan, len(x.stems)
    values = paired_bootstrap(x.by_image, y.by_image, share, resamples, block)
    delta, low, high, p = (float(value) for value in values)
    return delta, low, high, p, len(x.stems)


def worst_images(x: ImageCounts, y: ImageCounts, target: int, predicted: int, count: int = 8) -> pd.DataFrame:
    """Return the images in which x takes most pixels of one class for another: image, pixels, x, y (shares), most first.

    ``pixels`` is the mean over seeds; ``x`` and ``y`` are shares of the class's pixels in that image.
    """
    x, y = paired(x, y)
    of_x, of_y = (row_shares(counts.by_image)[:, target, predicted] for counts in (x, y))
    pixels = x.by_image[:, target, predicted] / len(x.seeds)
    table = pd.DataFrame({"image": list(x.stems), "pixels": pixels, "x": of_x, "y": of_y})
    table = table[table["pixels"] > 0].sort_values("pixels", ascending=False, kind="stable", ignore_index=True)
    return table.head(count)
