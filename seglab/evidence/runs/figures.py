"""The figures in runs' records as text: of one run, and of all recipes of a published source beside each other.

Published figures keep the digits of their source, its ranges and what it prints as spread.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from seglab.evidence.curves import METRICS, ROAD_ONLY
from seglab.records.fields import at, clean, number_at

_PARTS = ("metrics", "ranges", "figures")
_NAMES = METRICS | ROAD_ONLY
_PER_CLASS = ("iou", "percent_correct", *METRICS)


def run_figures(record: Mapping[str, Any]) -> pd.DataFrame:
    """Return every figure of a run as text: ``figure``, ``class`` (where there are any), ``value``; fractions in percent."""
    rows = []
    for key, value in _figures(record).items():
        metric, _, of_class = key.partition("/") if _of_class(key) else (key, "", "")
        rows.append((_words(metric), of_class, value))
    table = pd.DataFrame(rows, columns=["figure", "class", "value"])
    return table if table["class"].any() else table.drop(columns="class")


def published_figures(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return what the records of one published source print: one row a recipe, one column a figure, as text.

    Fractions are shown in percent, ranges as ranges, a printed spread as ``±``; what a source does not print is empty.
    Figures per class are in :func:`published_classes`; losses, which may be of different kinds, only in the records.
    """
    rows = []
    for record in records:
        row = {"recipe": _title(record)}
        row |= {
            _words(key): text for key, text in _figures(record).items() if not _of_class(key) and key[:5] != "loss_"
        }
        if (epochs := number_at(record, "epochs")) is not None:
            row["epochs"] = f"{epochs:.0f}"
        if (seconds := number_at(record, "seconds_per_epoch")) is not None:
            row["s/epoch"] = f"{seconds:g}"
        rows.append(row)
    return pd.DataFrame(rows).fillna("")


def _title(record: Mapping[str, Any]) -> str:
    seed = number_at(record, "seed")
    return clean(record.get("title"), 80) + (f", seed {seed:.0f}" if seed is not None else "")


def same_for_all(table: pd.DataFrame) -> dict[str, str]:
    """Return the columns of :func:`published_figures`, other than metrics, that say the same of several recipes."""
    others = [name for name in table.columns[1:] if not name.endswith("(%)")]
    return {name: str(table[name].iloc[0]) for name in others if len(table) > 1 and table[name].nunique() == 1}


def published_classes(records: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Return the figures per class of one published source: one row a figure and class, one column a recipe."""
    columns: dict[str, dict[tuple[str, str], str]] = {}
    for record in records:
        found = {key.partition("/")[::2]: text for key, text in _figures(record).items() if _of_class(key)}
        title = _title(record)
        if found:
            columns[title if title not in columns else f"{title} ({len(columns) + 1})"] = found
    keys = list(dict.fromkeys(key for found in columns.values() for key in found))
    table = pd.DataFrame({"figure": [_words(key[0]) for key in keys], "class": [key[1] for key in keys]})
    return table.assign(**{title: [found.get(key, "") for key in keys] for title, found in columns.items()})


def replication(table: pd.DataFrame, x: Mapping[str, float], y: Mapping[str, float]) -> pd.DataFrame:
    """Put measured differences beside published ones, in percent and points, in the order of the published classes.

    Args:
        table: class, x, y, delta, low, high in fractions.
        x: published percent by class.
        y: published percent by class.
    """
    rows = table.set_index("class")
    found = [
        {
            "class": name,
            "y": rows["y"][name] * 100,
            "x": rows["x"][name] * 100,
            "difference": rows["delta"][name] * 100,
            "low": rows["low"][name] * 100,
            "high": rows["high"][name] * 100,
            "published ResNet-50 (%)": y[name],
            "published ConvNeXt V2-Large (%)": x[name],
            "published difference": x[name] - y[name],
        }
        for name in x
        if name in rows.index
    ]
    return pd.DataFrame(found)


def replicates(table: pd.DataFrame, x: Mapping[str, float], y: Mapping[str, float]) -> str:
    """Say for which classes the measured difference has the published sign, and where its interval excludes 0."""
    rows = table.set_index("class")
    names = [name for name in x if name in rows.index]
    same = [name for name in names if (rows["delta"][name] > 0) == (x[name] > y[name])]
    clear = [name for name in names if rows["low"][name] > 0 or rows["high"][name] < 0]
    groups = {
        "The published sign, and an interval without 0": [name for name in same if name in clear],
        "the published sign, not told from 0": [name for name in same if name not in clear],
        "the other sign, and an interval without 0": [name for name in names if name not in same and name in clear],
        "the other sign, not told from 0": [name for name in names if name not in same and name not in clear],
    }
    return "; ".join(f"{words}: {', '.join(of) or 'none'}" for words, of in groups.items()) + "."


def _of_class(key: str) -> bool:
    return "/" in key and key.split("/")[0] in _PER_CLASS


def _figures(record: Mapping[str, Any]) -> dict[str, str]:
    """Return every printed figure as text by its key: metrics with their spread, ranges, others."""
    found: dict[str, str] = {}
    printed = record.get("provenance") == "published" and record.get("seed") is None  # with the digits of the source
    for part in _PARTS:
        values = at(record, part)
        for key in [key for key in values if isinstance(key, str)][:200] if isinstance(values, Mapping) else []:
            fraction = part == "metrics" or key.split("/")[0] in _NAMES
            digits = None if printed or (part != "metrics" and record.get("provenance") == "published") else 2
            found[clean(key, 60)] = _figure(values[key], _spread(record, key), 100 if fraction else 1, digits)
    return found


def _figure(value: object, spread: float | None, scale: float, digits: int | None) -> str:
    """Return a figure with the digits that it has, or as many as asked; with its spread, both have as many."""
    if isinstance(value, list) and len(value) == 2:
        return "–".join(_figure(one, None, scale, digits) for one in value)
    number = number_at({"value": value}, "value")
    if number is None:
        return "" if value is None else clean(value, 40)
    texts = [f"{one * scale:.10g}" for one in (number, spread) if one is not None]
    if spread is None:
        return texts[0] if digits is None else f"{number * scale:.{digits}f}"
    digits = max(len(text.partition(".")[2]) for text in texts)
    return f"{number * scale:.{digits}f} ± {spread * scale:.{digits}f}"


def _spread(record: Mapping[str, Any], key: str) -> float | None:
    """Return the half-width that a source prints beside a figure of its last epoch."""
    values = at(record, "spread.values")
    if not isinstance(values, Mapping) or not values:
        return None
    last = values[max(values, key=lambda epoch: (len(str(epoch)), str(epoch)))]
    return number_at({"value": last.get(key)}, "value") if isinstance(last, Mapping) else None


def _words(key: str) -> str:
    """Return a figure's key as a column's title.

    >>> _words("miou"), _words("hours_per_run_about"), _words("gain_percent/loss")
    ('mIoU (%)', 'hours per run (about)', 'gain percent, loss')
    """
    if key in _NAMES or key == "iou":
        return f"{_NAMES.get(key, 'IoU')} (%)"
    words = key.replace("_", " ").replace("/", ", ")
    return words.removesuffix(" about") + " (about)" * words.endswith(" about")
