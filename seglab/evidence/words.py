"""How figures are said: differences in points, p values, small counts; and what a metric is called in records."""

import math

_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def in_words(count: int, noun: str) -> str:
    """Return a small count as words.

    >>> in_words(3, "seed")
    'three seeds'
    """
    word = _WORDS[count] if count < len(_WORDS) else str(count)
    return f"{word} {noun}" if count == 1 else f"{word} {noun}s"


def gap_text(difference: float) -> str:
    """Return a difference of fractions without its sign.

    >>> gap_text(-0.0231)
    '2.3 points'
    """
    shown = abs(difference) * 100
    return f"{shown:.{1 if shown >= 0.95 else 2}f} points"


def points(delta: float) -> str:
    """Return a difference of fractions as signed points with a true minus; empty for NaN.

    >>> points(-0.0123)
    '−1.23'
    """
    return "" if math.isnan(delta) else f"{delta * 100:+.2f}".replace("-", "−")


def p_value(p: float) -> str:
    """Return a p value as a table shows it; empty for NaN.

    >>> p_value(0.0123), p_value(0.00001)
    ('0.012', '< 0.001')
    """
    return "" if math.isnan(p) else "< 0.001" if p < 0.001 else f"{p:.{3 if p < 0.1 else 2}f}"


def p_text(p: float) -> str:
    """Return a p value as a sentence says it.

    >>> p_text(0.234)
    'p = 0.23'
    """
    shown = p_value(p)
    return f"p {shown}" if shown.startswith("<") else f"p = {shown}"


def stored_metric(metric: str, of_class: str) -> str:
    """Return the key under which records hold a metric: the mean is ``miou``, a class's own value is ``iou``."""
    return "iou" if metric == "miou" and of_class else metric
