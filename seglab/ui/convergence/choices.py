"""What the reader of the Convergence page chose, and the curves for it; its sections are in `convergence_sections.py`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
import streamlit as st

from seglab.evidence.curves import METRICS, ROAD_ONLY, Curves, curves_of, half_widths
from seglab.evidence.words import stored_metric
from seglab.labels import SPACES
from seglab.records import store
from seglab.records.files import RunError
from seglab.records.runs import read_record
from seglab.ui import results

ALL_CLASSES = "all classes"
OPENS_ON = "published-boundary-ablation"  # twelve runs on Cityscapes whose ranking does turn round
PER_CLASS = tuple(key for key in METRICS if key != "pixel_accuracy")
SMOOTHING = {"off": 1, "5 epochs": 5, "11 epochs": 11, "21 epochs": 21}


@dataclass(frozen=True)
class View:
    """What the reader chose, and the curves for it."""

    runs: pd.DataFrame
    curves: Curves
    names: Mapping[str, str]
    short: Mapping[str, str]  # the letters of "A: CE", where that tells the variants apart
    published: Mapping[str, Mapping[int, float]] | None  # half-widths of figures printed without seeds; none for runs
    spread_method: str
    show: str
    as_published: bool
    window: int

    @property
    def plain_short(self) -> dict[str, str]:
        """The short names for sentences, in which nothing is read as markup."""
        return {variant: results.plain(name, 60) for variant, name in self.short.items()}

    @property
    def band(self) -> str:
        """What the band or the whiskers are, as captions say it."""
        if self.published is not None:
            return f"whiskers: {self.spread_method}" if self.spread_method else "no interval was printed"
        each = np.concatenate([half_widths(v)[2] for v in self.curves.values.values()])
        n = sorted({int(count) for count in each if count})
        seeds = str(n[0]) if len(n) == 1 else f"{n[0]} to {n[-1]}"
        if n[-1] < 2:
            return "one seed each: no band"
        if self.as_published:
            return f"band: 1.96·SE over n = {seeds} seeds (holds the mean in 81 % of cases at n = 3, not 95 %)"
        return f"band: Student-t, 95 %, of the mean over n = {seeds} seeds"


def comparable(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the sound runs of experiments in which two variants or more have curves."""
    runs = results.sound(runs)
    with_curves = runs[runs["has_curve"].fillna(False)]
    variants = with_curves.groupby("experiment")["variant"].nunique()
    chosen: pd.DataFrame = with_curves[with_curves["experiment"].isin(variants[variants > 1].index)]
    return chosen


def controls(runs: pd.DataFrame) -> View:
    """Let the reader choose experiment, metric, class and what is drawn; all of it is in the link."""
    top = st.columns([5, 3, 3], gap="medium")
    with top[0]:
        chosen = results.measured_alike(results.pick_experiments(runs, "experiment", many=True, first=OPENS_ON))
    with top[1]:
        metric = st.selectbox(
            "Metric", list(known := _metrics(chosen)), format_func=known.__getitem__, key="metric", bind="query-params"
        )
    classes = SPACES[chosen["label_space"].iloc[0]].names if chosen["label_space"].iloc[0] in SPACES else ()
    with top[2]:
        of_class = st.selectbox(
            "Class",
            [ALL_CLASSES, *classes],
            key="class",
            bind="query-params",
            disabled=metric not in PER_CLASS,
            help="mIoU of one class is its IoU. Accuracy is over all pixels, the contour of road is one class's.",
        )
    of_class = "" if of_class == ALL_CLASSES or metric not in PER_CLASS else of_class
    curves = _curves(chosen, metric, of_class)
    published, method = _spread(chosen, metric, of_class)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        show, kind, window = _how_to_draw() if published is None else ("Band", "Student-t", "off")
        results.image_format()
    names = _names(chosen)
    return View(
        chosen,
        curves,
        names,
        results.short_names(names),
        published,
        method,
        show,
        kind != "Student-t",
        SMOOTHING.get(window, 1),
    )


def _metrics(runs: pd.DataFrame) -> dict[str, str]:
    """Return the metrics to choose from; those of the contour of road only where they were published."""
    if "published" not in set(runs["provenance"]):
        return METRICS
    experiments = runs["experiment"].unique().tolist()
    known = {key: name for key, name in ROAD_ONLY.items() if any(len(results.curves(e, key)) for e in experiments)}
    return METRICS | known


def _how_to_draw() -> tuple[str, str, str]:
    """Let the reader choose band or seeds, the kind of interval, smoothing."""
    show = st.segmented_control(
        "Show", ["Band", "Seeds", "Both"], default="Band", required=True, key="show", bind="query-params"
    )
    kind = st.segmented_control(
        "Interval",
        ["Student-t", "as published: 1.96·SE"],
        default="Student-t",
        required=True,
        key="interval",
        bind="query-params",
        help="With three seeds the right factor is 4.30, not 1.96: the published band holds the true mean in 81 % of "
        "cases, not in 95 %.",
    )
    window = st.selectbox(
        "Smoothing",
        list(SMOOTHING),
        key="smoothing",
        bind="query-params",
        width=130,
        help="Moving mean of the lines. Bands, rankings and tests are never smoothed.",
    )
    return str(show), str(kind), str(window)


def _curves(runs: pd.DataFrame, metric: str, of_class: str) -> Curves:
    """Return the chosen experiments' curves; of several, each variant with its experiment's name."""
    stored = stored_metric(metric, of_class)
    experiments = runs["experiment"].unique().tolist()
    tables = []
    for experiment in experiments:
        table = results.curves(experiment, stored)
        table = table[table["run"].isin(runs["run"])].astype({"variant": str, "metric": str, "class": str})
        if len(experiments) > 1:
            table["variant"] = experiment + " · " + table["variant"]
        tables.append(table)
    return curves_of(pd.concat(tables, ignore_index=True), metric, of_class)


def _names(runs: pd.DataFrame) -> dict[str, str]:
    if runs["experiment"].nunique() == 1:
        return results.titles(runs)
    names: dict[str, str] = {}
    for experiment in runs["experiment"].unique().tolist():
        mine = results.titles(runs[runs["experiment"] == experiment])
        names |= {f"{experiment} · {variant}": f"{experiment} · {title}" for variant, title in mine.items()}
    return names


def _spread(runs: pd.DataFrame, metric: str, of_class: str) -> tuple[Mapping[str, Mapping[int, float]] | None, str]:
    """Return printed half-widths of figures without seeds by variant and epoch, and how they were made; none for runs."""
    if set(runs["provenance"]) != {"published"} or runs["seed"].notna().any():
        return None, ""
    key = f"{'iou' if metric == 'miou' else metric}/{of_class}" if of_class else metric
    found: dict[str, dict[int, float]] = {}
    method = ""
    for run, variant in zip(runs["run"].tolist(), runs["variant"].tolist(), strict=True):
        try:
            spread = read_record(store.RESULTS / run).get("spread") or {}
            values = {int(epoch): float(row[key]) for epoch, row in spread["values"].items() if key in row}
        except (RunError, KeyError, TypeError, ValueError, AttributeError):
            continue
        found[variant] = values
        method = results.plain(spread.get("method", ""), 80) if values else method
    return found, method
