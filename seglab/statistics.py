"""Is a difference real? Intervals and tests over seeds, and a bootstrap over images.

The two are never mixed. Over *seeds*: :func:`t_interval`, :func:`paired_t_test` with :func:`holm`,
:func:`probability_of_improvement`, :func:`crossings`. Over *images*: :func:`paired_bootstrap`. What takes ``(a, b)``
returns a - b.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # scipy.stats takes four times as long to import, and its t distribution is this one

Floats = NDArray[np.float64]
Statistic = Callable[[NDArray[np.int64]], Floats]
_CHUNK = 2**20  # numbers in the largest array of a chunk of resamples: 8 MiB, and some six of them live at once


def _vector(name: str, values: ArrayLike) -> Floats:
    vector = np.asarray(values, np.float64)
    if vector.ndim != 1:
        raise ValueError(f"expected {name} of one dimension, got shape {vector.shape}; pass one value per seed")
    return vector


def t_interval(values: ArrayLike, confidence: float = 0.95) -> tuple[float, float]:
    """Return the mean and the half width of its Student-t interval.

    Args:
        values: ``(S,)`` one value per seed; NaNs are left out.
        confidence: between 0 and 1.

    Returns:
        ``(mean, half_width)``. With one value the half width is NaN, with none the mean too.

    Raises:
        ValueError: where ``values`` is not one-dimensional or ``confidence`` is out of range.

    >>> mean, half = t_interval([0.70, 0.72, 0.74])
    >>> f"{mean:.3f} ± {half:.3f}"
    '0.720 ± 0.050'
    """
    if not 0 < confidence < 1:
        raise ValueError(f"expected confidence between 0 and 1, got {confidence}; 95 % is written 0.95")
    x = _vector("values", values)
    x = x[~np.isnan(x)]
    if x.size < 2:
        return (float(x[0]) if x.size else float("nan")), float("nan")
    quantile = special.stdtrit(x.size - 1, (1 + confidence) / 2)
    return float(x.mean()), float(quantile * x.std(ddof=1) / np.sqrt(x.size))


def paired_t_test(a: ArrayLike, b: ArrayLike) -> tuple[float, float, float]:
    """Return the mean of a - b and the two-sided t-test that it is zero, paired by position (the seed).

    Args:
        a: ``(S,)`` one value per seed.
        b: ``(S,)`` the same seeds in the same order. A pair with a NaN is left out.

    Returns:
        ``(delta, t, p)``. With one pair t and p are NaN, with none delta too. Where all differences are equal there is
        no variance to test against: if they are all 0, t is NaN and p is 1; otherwise t is ±inf and p is 0. Such a p
        says that the runs copy each other or are rounded, not that the evidence is overwhelming.

    Raises:
        ValueError: where ``a`` and ``b`` are not two vectors of one length.

    >>> delta, t, p = paired_t_test([0.70, 0.73, 0.71], [0.68, 0.70, 0.70])
    >>> f"{delta:.3f} {t:.2f} {p:.3f}"
    '0.020 3.46 0.074'
    """
    x, y = _vector("a", a), _vector("b", b)
    if x.shape != y.shape:
        raise ValueError(f"expected as many a as b, got {x.size} and {y.size}; put NaN where a seed is missing")
    difference = x - y
    difference = difference[~np.isnan(difference)]
    n = difference.size
    if n < 2:
        return (float(difference[0]) if n else float("nan")), float("nan"), float("nan")
    scale = max(float(np.abs(x[~np.isnan(x)]).max()), float(np.abs(y[~np.isnan(y)]).max()))
    if np.ptp(difference) <= 8 * np.finfo(np.float64).eps * scale:  # equal but for the last digits of a and b
        delta = 0.0 if not difference.any() else float(difference[0])
        return (delta, float(np.copysign(np.inf, delta)), 0.0) if delta else (0.0, float("nan"), 1.0)
    delta = float(difference.mean())
    t = delta / (float(difference.std(ddof=1)) / n**0.5)
    return delta, t, float(2 * special.stdtr(n - 1, -abs(t)))


def holm(p_values: ArrayLike) -> Floats:
    """Return the p values of one family, adjusted by Holm's step-down method.

    Claims with an adjusted p of at most α hold together with a family-wise error rate of at most α, whatever the
    dependence between the tests.

    Args:
        p_values: ``(M,)`` in any order. A NaN (a pair that could not be tested) stays NaN and does not count in the
            size of the family.

    Returns:
        ``(M,)`` adjusted p values in the order given, at most 1; a larger p never gets a smaller adjusted p.

    Raises:
        ValueError: where a p value is outside 0 to 1.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scand. J. Statistics 6 (1979) 65-70.

    >>> holm([0.04, 0.01, 0.03]).round(4).tolist()
    [0.06, 0.03, 0.06]
    """
    p = _vector("p_values", p_values)
    tested = np.flatnonzero(~np.isnan(p))
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise ValueError(f"expected p values from 0 to 1, got {p[tested].tolist()}; pass p, not t or percent")
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(order.size, 0, -1)), 1)
    return adjusted


def _checked_confusions(confusions: NDArray[np.integer], name: str) -> Floats:
    """Return ``(N, C, C)`` counts as float64, in which every sum over N draws of images is exact."""
    counts = np.asarray(confusions)
    if counts.ndim != 3 or counts.shape[1] != counts.shape[2] or not counts.size:
        raise ValueError(f"expected {name} of shape (N, C, C), got {counts.shape}; pass one confusion per image")
    if counts.dtype.kind not in "iu":
        raise ValueError(f"expected {name} of integer counts, got {counts.dtype}; pass pixels, not shares")
    if counts.min() < 0:
        raise ValueError(f"expected {name} of counts, got {counts.min()}; sum the seeds in a wider integer type")
    if int(counts.max()) * len(counts) >= 2**53:
        raise ValueError(f"expected {name} to add up below 2**53, got up to {counts.max()} a cell; use smaller counts")
    return counts.astype(np.float64)


def _check_resampling(a: tuple[int, ...], b: tuple[int, ...], resamples: int, block: int) -> None:
    if a != b:
        raise ValueError(f"expected confusions of one shape, got {a} and {b}; keep the images that both have")
    if a[0] < 2:
        raise ValueError(f"expected at least two images, got {a[0]}; one image says nothing of another")
    if resamples < 1:
        raise ValueError(f"expected at least one resample, got {resamples}; 10,000 are usual")
    if not 1 <= block < a[0]:
        raise ValueError(f"expected a block of 1 to N - 1 = {a[0] - 1} images, got {block}; change the block")


def draw_blocks(rng: np.random.Generator, rows: int, n: int, block: int) -> Floats:
    """Return ``(rows, N)``: how often each image is drawn in each moving-block resample of :func:`paired_bootstrap`."""
    starts = rng.integers(0, n - block + 1, (rows, -(-n // block)))
    images = (starts[:, :, None] + np.arange(block)).reshape(rows, -1)[:, :n]  # (rows, N): the last block is cut
    cells = images + n * np.arange(rows)[:, None]
    return np.bincount(cells.ravel(), minlength=rows * n).reshape(rows, n).astype(np.float64)


def _applied(statistic: Statistic, confusions: NDArray[np.int64]) -> Floats:
    values = np.asarray(statistic(confusions), np.float64)
    if values.ndim not in (1, 2) or len(values) != len(confusions):
        raise ValueError(
            f"expected statistic to map {confusions.shape} to one row per confusion, got shape {values.shape}; "
            "reduce over the last axes only"
        )
    return values


def _percentile_interval(deltas: Floats) -> tuple[float, float, float]:
    """Return low, high and p of the deltas of the resamples; NaNs are left out, and with nothing left all are NaN."""
    counted = deltas[~np.isnan(deltas)]
    if not counted.size:
        return float("nan"), float("nan"), float("nan")
    low, high = np.quantile(counted, (0.025, 0.975))
    fewer = min(int((counted <= 0).sum()), int((counted >= 0).sum()))
    return float(low), float(high), min(1.0, 2 * (fewer + 1) / (counted.size + 1))


def bootstrap_mean(
    values: NDArray[np.floating], resamples: int = 10_000, block: int = 1, seed: int = 0
) -> tuple[float, float, float]:
    """Return the mean over images with its 95 % percentile interval, by the moving blocks of :func:`paired_bootstrap`.

    Args:
        values: ``(N,)``, one an image in the order of the video; a NaN does not count.
        resamples: R.
        block: neighbouring images that are drawn together; below N.
        seed: of the resamples.

    Returns:
        ``(mean, low, high)``; all NaN where nothing counts.

    Raises:
        ValueError: where there are fewer than two images, or ``block`` or ``resamples`` do not fit.
    """
    v = _vector("values", values)
    _check_resampling(v.shape, v.shape, resamples, block)
    known = ~np.isnan(v)
    if not known.any():
        return float("nan"), float("nan"), float("nan")
    drawn = draw_blocks(np.random.default_rng(seed), resamples, v.size, block)
    counted = drawn[:, known].sum(1)
    means = np.divide(drawn[:, known] @ v[known], counted, out=np.full(resamples, np.nan), where=counted > 0)
    low, high, _ = _percentile_interval(means)
    return float(v[known].mean()), low, high


def paired_bootstrap(
    confusions_a: NDArray[np.integer],
    confusions_b: NDArray[np.integer],
    statistic: Statistic,
    resamples: int = 10_000,
    block: int = 1,
    seed: int = 0,
) -> tuple[float | Floats, float | Floats, float | Floats, float | Floats]:
    """Return a dataset-level delta a - b with its 95 % percentile interval over images and its two-sided p.

    A resample is drawn once and taken for both models (so the test is paired by image): ceil(N / block) runs of
    ``block`` neighbouring images, each starting anywhere from 0 to N - block with equal chance, joined and cut to N
    images (the moving-block bootstrap; no run wraps around the end). Its confusions are summed, exactly, before
    ``statistic`` sees them.

    Frames of one clip are alike, and ``block=1`` takes them for independent: its interval is far too narrow. Blocks
    mend much of that, never all, for few blocks show little of their own spread: in simulation at N = 101 the 95 %
    interval of ``block=20`` holds the truth in 84 % of cases where images are independent, and in 69 % where
    neighbours correlate by 0.9 (``block=1``: 93 % and 31 %). Read such an interval as a lower bound of the doubt.

    Args:
        confusions_a: ``(N, C, C)`` integer counts per image, summed over seeds.
        confusions_b: ``(N, C, C)``, the same images in the same order (that of the video, where ``block`` > 1).
        statistic: maps ``(R, C, C)`` int64 to ``(R,)``, or to ``(R, K)`` for K statistics at once, such as
            :func:`seglab.metrics.iou_per_class`.
        resamples: R; the smallest possible p is 2 / (R + 1).
        block: neighbouring images that are drawn together; below N.
        seed: of the resamples.

    Returns:
        ``(delta, low, high, p)``: four floats, or four ``(K,)`` arrays where ``statistic`` returns ``(R, K)``. Delta
        is that of all images, not the mean of the resamples. p is twice the smaller share of resamples at or beyond 0,
        counting the data as one resample more, at most 1 and never 0. Resamples whose delta is NaN (a class that none
        of their images has) are left out of the interval, the p and its count; where all are, the three are NaN.

    Raises:
        ValueError: where the confusions, ``statistic``'s shape, ``resamples`` or ``block`` are not as above.

    Source: H. R. Künsch, Annals of Statistics 17 (1989) 1217-1241 (moving blocks); A. C. Davison and D. V. Hinkley,
    Bootstrap Methods and their Application (1997), section 4.2 (the + 1).

    >>> a, b = np.array([[[9, 1], [0, 0]], [[8, 2], [0, 0]], [[7, 3], [0, 0]]]), np.array([[[7, 3], [0, 0]]] * 3)
    >>> [round(float(x), 2) for x in paired_bootstrap(a, b, lambda c: c[:, 0, 0] / c.sum((1, 2)))]
    [0.1, 0.0, 0.2, 0.07]
    """
    models = _checked_confusions(confusions_a, "confusions_a"), _checked_confusions(confusions_b, "confusions_b")
    _check_resampling(models[0].shape, models[1].shape, resamples, block)
    n, c, _ = models[0].shape

    def delta(counts: Floats) -> Floats:
        summed = ((counts @ model.reshape(n, -1)).astype(np.int64).reshape(-1, c, c) for model in models)
        a, b = (_applied(statistic, confusions) for confusions in summed)
        return a - b

    full = delta(np.ones((1, n)))[0]
    rng, rows = np.random.default_rng(seed), max(1, _CHUNK // max(n, c * c))
    sizes = [min(rows, resamples - start) for start in range(0, resamples, rows)]
    deltas = np.concatenate([delta(draw_blocks(rng, size, n, block)) for size in sizes])
    if deltas.ndim == 1:
        return float(full), *_percentile_interval(deltas)
    low, high, p = np.array([_percentile_interval(column) for column in deltas.T]).reshape(-1, 3).T
    return full, low, high, p


def probability_of_improvement(a: ArrayLike, b: ArrayLike) -> float:
    """Return the share of all pairs of a run of a and a run of b in which a is larger; a tie counts half.

    Args:
        a: ``(S_a,)`` one value per seed; NaNs are left out.
        b: ``(S_b,)`` likewise; nothing is paired.

    Returns:
        From 0 to 1; NaN where either has no value.

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice (rliable), NeurIPS
    2021, https://arxiv.org/abs/2108.13264.

    >>> probability_of_improvement([0.7, 0.8], [0.6, 0.7])
    0.875
    """
    x, y = _vector("a", a), _vector("b", b)
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    if not x.size or not y.size:
        return float("nan")
    return float((np.sign(x[:, None] - y).mean() + 1) / 2)


@dataclass(frozen=True, eq=False)  # arrays do not compare to one truth value
class Crossing:
    """Since when one recipe has led another; see :func:`crossings`."""

    epoch: int | None  # the last one whose sign is not the final one; None where the final sign holds from the start
    sign: int  # of the final mean of a - b: -1, 0 or 1
    agreeing: NDArray[np.int64]  # (E,) seeds whose a - b has the final sign


def crossings(epochs: ArrayLike, a: ArrayLike, b: ArrayLike) -> Crossing:
    """Return the last epoch after which the mean of a - b keeps its sign to the end, and how many seeds share it.

    Args:
        epochs: ``(E,)`` whole numbers, increasing.
        a: ``(S, E)`` one curve per seed; NaN where a seed has no value.
        b: ``(S, E)`` the same seeds in the same order.

    Returns:
        A :class:`Crossing`. The mean of an epoch is over the seeds that have both a and b there, as in
        :func:`paired_t_test`; an epoch without any is passed over, so "final" is the last epoch that has one. A mean
        of exactly 0 is a sign of its own: in between it breaks a lead, and at the end ``agreeing`` counts the seeds
        that tie. A seed with a NaN at an epoch does not agree there. Without any epoch to judge by, ``sign`` is 0,
        ``epoch`` is None and no seed agrees.

    Raises:
        ValueError: where shapes do not fit or ``epochs`` does not increase.

    >>> crossings([1, 2, 3, 4], [[0.1, 0.5, 0.6, 0.7]], [[0.2, 0.3, 0.7, 0.6]])
    Crossing(epoch=3, sign=1, agreeing=array([0, 1, 0, 1]))
    """
    at = _vector("epochs", epochs)
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.ndim != 2 or x.shape != y.shape or x.shape[1] != at.size:
        raise ValueError(f"expected a and b of shape (S, {at.size}), got {x.shape} and {y.shape}; pad with NaN")
    if (np.diff(at) <= 0).any():
        raise ValueError(f"expected epochs that increase, got {at.tolist()}; sort the curves by epoch")
    difference = x - y
    counted = ~np.isnan(difference)
    known = counted.any(0)
    signs = np.sign(np.where(counted, difference, 0).sum(0))[known].astype(int)  # a sum has the sign of its mean
    final = int(signs[-1]) if signs.size else 0
    others = at[known][signs != final]
    agreeing = (counted & (np.sign(difference) == final)).sum(0)
    return Crossing(int(others[-1]) if others.size else None, final, agreeing)
