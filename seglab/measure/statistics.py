"""Is a difference real? Intervals and tests over *seeds*; over *images* see :mod:`seglab.measure.bootstrap`.

The two are never mixed. What takes ``(a, b)`` returns a - b.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special  # scipy.stats takes four times as long to import, and its t distribution is this one

Floats = NDArray[np.float64]


def vector(name: str, values: ArrayLike) -> Floats:
    """Return values as one row of floats; raises ValueError where they are none."""
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
    x = vector("values", values)
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
    x, y = vector("a", a), vector("b", b)
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


def unpaired_t_test(a: ArrayLike, b: ArrayLike, confidence: float = 0.95) -> tuple[float, float, float, float]:
    """Return the difference of two means, the half width of its interval and Welch's two-sided t-test that it is zero.

    For runs that share no seed, so that nothing can be paired; the variances may differ.

    Args:
        a: ``(S_a,)`` one value per seed; NaNs are left out.
        b: ``(S_b,)`` likewise.
        confidence: between 0 and 1.

    Returns:
        ``(delta, half_width, t, p)``. Where either has fewer than two values, or none of the two varies, there is no noise
        to test against: all but delta are NaN. Without any value delta is NaN too.

    Raises:
        ValueError: where ``a`` or ``b`` is not one-dimensional or ``confidence`` is out of range.

    Source: B. L. Welch, The generalization of "Student's" problem when several different population variances are
    involved, Biometrika 34 (1947) 28-35; degrees of freedom by Satterthwaite.

    >>> delta, half, t, p = unpaired_t_test([0.70, 0.73, 0.71], [0.68, 0.70, 0.70])
    >>> f"{delta:.3f} ± {half:.3f} {t:.2f} {p:.3f}"
    '0.020 ± 0.032 1.81 0.153'
    """
    if not 0 < confidence < 1:
        raise ValueError(f"expected confidence between 0 and 1, got {confidence}; 95 % is written 0.95")
    x, y = vector("a", a), vector("b", b)
    x, y = x[~np.isnan(x)], y[~np.isnan(y)]
    nan = float("nan")
    if not x.size or not y.size:
        return nan, nan, nan, nan
    delta = float(x.mean() - y.mean())
    noise = 8 * np.finfo(np.float64).eps * max(float(np.abs(x).max()), float(np.abs(y).max()))
    if min(x.size, y.size) < 2 or max(np.ptp(x), np.ptp(y)) <= noise:
        return delta, nan, nan, nan
    of_x, of_y = float(x.var(ddof=1)) / x.size, float(y.var(ddof=1)) / y.size
    freedom = (of_x + of_y) ** 2 / (of_x**2 / (x.size - 1) + of_y**2 / (y.size - 1))
    error = (of_x + of_y) ** 0.5
    half = float(special.stdtrit(freedom, (1 + confidence) / 2)) * error
    return delta, half, delta / error, float(2 * special.stdtr(freedom, -abs(delta / error)))


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
    p = vector("p_values", p_values)
    tested = np.flatnonzero(~np.isnan(p))
    if ((p[tested] < 0) | (p[tested] > 1)).any():
        raise ValueError(f"expected p values from 0 to 1, got {p[tested].tolist()}; pass p, not t or percent")
    order = tested[np.argsort(p[tested], kind="stable")]
    adjusted = np.full(p.shape, np.nan)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(order.size, 0, -1)), 1)
    return adjusted


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
    x, y = vector("a", a), vector("b", b)
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
    at = vector("epochs", epochs)
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
