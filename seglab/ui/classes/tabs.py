"""The Classes page's answer in a sentence, and its lazy tabs: class by class, all variants, over the epochs."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from seglab.evidence.classes import class_deltas, class_verdict
from seglab.evidence.curves import ALPHA, differences, half_widths
from seglab.evidence.images import RESAMPLES, block_of, support
from seglab.evidence.words import in_words, points
from seglab.figures.classes import delta_curve_figure, delta_figure, variants_figure
from seglab.figures.curves import curve_figure
from seglab.records.files import RunError
from seglab.ui import image_counts, page, results
from seglab.ui.classes import confusion as class_confusion
from seglab.ui.classes import consumers as class_consumers
from seglab.ui.classes import data as class_data
from seglab.ui.classes.choices import TOO_NARROW, View, pick_class


def answer(view: View) -> None:
    """Say which classes gain and which pay, and show the tabs."""
    try:
        table = deltas(view)
    except ValueError as error:
        st.error(f"{results.plain(error)}. Shown is the uncertainty over seeds.", icon=":material/error:")
        view = replace(view, asked_over="seeds")
        table = deltas(view)
    x, y = view.short[view.x], view.short[view.y]
    said = class_verdict(
        table, results.plain(x), results.plain(y), view.over, tests=not view.published, one_clip=view.one_clip
    )
    st.markdown(f"#### {said}")
    if view.asked_over == "images" and view.over == "seeds":
        st.info(f"No interval over images here: {view.no_images}. Shown is the one over seeds.")
    bodies: dict[str, Callable[[], None]] = {
        "Class by class": partial(_deltas, view, table),
        "All variants": partial(_variants, view),
        "Over the epochs": partial(_trajectories, view),
        "Confusions": partial(class_confusion.confusions, view),
        "Who should pick what": partial(class_consumers.consumers, view),
    }
    page.tabs(bodies)


def deltas(view: View) -> pd.DataFrame:
    """Return the deltas of the two variants with the chosen uncertainty.

    Raises:
        ValueError: where counts cannot be read or paired.
    """
    if view.over == "images" and view.counted is not None:
        keys = view.keys[view.x], view.keys[view.y]
        table: pd.DataFrame = image_counts.image_deltas(*keys, view.counted, view.classes, view.one_clip)
        return table
    return class_deltas(view.curves.at(view.epoch), view.x, view.y)


def method(view: View, n: int) -> str:
    """Return how the shown interval was made, in a caption's words."""
    if view.over == "images":
        block = block_of(n, view.one_clip)
        seeds = _shared_seeds(view)
        how = f"95 % interval over images: paired bootstrap of the IoU of {n} images"
        how += f", confusions summed over {in_words(seeds, 'seed')}, {RESAMPLES:,} resamples"
        if not view.one_clip:
            return how + ", images taken as independent; it says nothing of another training. "
        return (
            how
            + f" of blocks of {block} neighbouring frames, {in_words(round(n / block), 'block')} of one clip. {TOO_NARROW}. "
        )
    if view.published:
        return ""
    if n < 2:
        return "One seed each: no interval over seeds. "
    if not view.paired:
        return "95 % interval over seeds: the two share none, so unpaired, Welch's t of the two means. "
    return f"95 % interval over seeds: Student-t of the differences paired by seed, n = {n}. "


def _shared_seeds(view: View) -> int:
    assert view.counted is not None
    x, _ = image_counts.paired_counts(view.keys[view.x], view.keys[view.y], view.counted, len(view.classes))
    return len(x.seeds)


def _deltas(view: View, table: pd.DataFrame) -> None:
    if table.empty:
        st.info("These two have no class with a figure in common at this epoch. Choose another epoch or variant.")
        return
    said, drawn = "", table
    if view.published:
        printed = class_data.printed(view.runs, view.curves.metric, view.epoch or 0)
        drawn, said = _with_printed(view, table, printed)
    shown = _support(view, table)
    x, y = view.short[view.x], view.short[view.y]
    pair = f"{view.names[view.x]} minus {view.names[view.y]}"
    left, right = st.columns([3, 5], gap="medium")
    with left:
        best, worst = (f"{table['class'].iloc[at]} {points(table['delta'].iloc[at])}" for at in (0, -1))
        alt = f"{view.curves.title} by class at {view.when}, {pair}: from {best} to {worst} points"
        results.chart(delta_figure(drawn, x, y, view.curves.title), shown, "class-deltas", alt)
    with right:
        _delta_table(view, shown, drawn)
    family = (
        ""
        if view.published
        else f"Filled and “yes”: p below {ALPHA} after Holm's correction over the {len(table)} classes of this comparison. "
    )
    how = view.counts_at if view.over == "images" else ""
    st.caption(
        f"{view.curves.title} of {results.plain(pair)} at {view.when}, in points; plus is better. "
        f"{how}{method(view, int(table['n'].max()))}{said}{family}{results.origin(view.runs)}"
    )


def _with_printed(view: View, table: pd.DataFrame, printed: class_data.Printed) -> tuple[pd.DataFrame, str]:
    """Return the table with whiskers from printed deviations, where both have one, and what they are; notes too."""
    of = [printed.spread.get(variant, {}) for variant in (view.x, view.y)]
    both = np.array([np.hypot(of[0].get(name, np.nan), of[1].get(name, np.nan)) for name in table["class"]])
    drawn = table.assign(low=table["delta"] - both, high=table["delta"] + both)
    said = "Published points, no interval. "
    if not np.isnan(both).all():
        said = (
            f"Whiskers: {printed.method}, as published; of the two variants together (root of the summed squares), so no "
            "confidence interval. "
        )
    return drawn, said + "".join(f"{results.plain(note, 600)} " for note in printed.notes)


def _support(view: View, table: pd.DataFrame) -> pd.DataFrame:
    """Return the table with each class's share of pixels and number of images, where counts tell them."""
    if view.counted is None:
        return table
    try:
        counts = image_counts.counts(view.keys[view.x], view.counted[0], len(view.classes))
    except RunError:
        return table
    return table.merge(support(counts, view.classes), on="class", how="left")


def _delta_table(view: View, table: pd.DataFrame, drawn: pd.DataFrame) -> None:
    x, y = view.short[view.x], view.short[view.y]
    low, high = (drawn[side].tolist() for side in ("low", "high"))
    shown = pd.DataFrame(
        {
            "class": table["class"],
            f"{x} (%)": table["x"] * 100,
            f"{y} (%)": table["y"] * 100,
            "difference": [points(value) for value in table["delta"]],
            "interval": [f"{points(a)} to {points(b)}" if a == a else "" for a, b in zip(low, high, strict=True)],
            "p (Holm)": table["p_holm"],
            "real?": ["" if p != p else "yes" if p < ALPHA else "no" for p in table["p_holm"]],
        }
    )
    if "images" in table:
        shown["px (%)"], shown["images"] = table["pixels_frac"] * 100, table["images"]
    if view.published:
        shown = shown.drop(columns=["p (Holm)", "real?"]).rename(columns={"interval": "± printed deviations"})
    numbers = results.percent_columns([f"{x} (%)", f"{y} (%)", "px (%)"], 2)
    numbers["p (Holm)"] = st.column_config.NumberColumn(format="%.3f")
    st.dataframe(shown, hide_index=True, height="content", column_config=numbers, key="class-table")
    if "images" in table:
        st.caption("px: the class's share of the labelled pixels; images: how many contain it.")


def _variants(view: View) -> None:
    at = view.curves.at(view.epoch)
    variants = [v for v in view.names if v in at.values]
    reference = view.y
    means = {v: _mean_over_seeds(at.values[v][..., 0]) for v in variants}
    values = pd.DataFrame(means, index=list(at.classes))
    minus, sure = values * np.nan, values.notna() & False
    for variant in variants:
        if variant != reference:
            table = class_deltas(at, variant, reference).set_index("class")
            minus[variant] = table["delta"].reindex(values.index)
            sure[variant] = (table["p_holm"] < ALPHA).reindex(values.index, fill_value=False)
    minus[reference] = 0.0
    tidy = values.melt(ignore_index=False, var_name="variant", value_name="value").rename_axis("class").reset_index()
    tidy["minus_reference"] = minus.melt()["value"]
    tidy["beyond_noise"] = sure.melt()["value"]
    shown, shown_minus, shown_sure = (table.rename(columns=view.short) for table in (values, minus, sure))
    figure = variants_figure(shown, shown_minus, shown_sure, view.short[reference], view.curves.title)
    size = f"{len(values)} classes by {len(variants)} variants"
    alt = f"{view.curves.title} of {size} at {view.when}, coloured by the difference from {view.names[reference]}"
    results.chart(figure, tidy, "class-variants", alt)
    how, star = "as published", ""
    if not view.published and len(at.seeds) > 1:
        star = f"A star: p below {ALPHA} over seeds after Holm's correction over the {len(values)} classes of that column. "
        how = "mean over seeds"
    elif not view.published:
        how = "one seed each, so no test"
    st.caption(
        f"{view.curves.title} in percent at {view.when}, {how}; below it, and as colour: points minus "
        f"{results.plain(view.names[reference])} (blue above, orange below). {star}{results.origin(view.runs)}"
    )


def _mean_over_seeds(values: NDArray[np.float64]) -> list[float]:
    return [float(row[~np.isnan(row)].mean()) if (~np.isnan(row)).any() else float("nan") for row in values]


def _trajectories(view: View) -> None:
    chosen = pick_class("Class", view.curves.classes)
    curves = view.curves.of([chosen])
    few = len(curves.epochs) < 2
    printed = class_data.printed(view.runs, view.curves.metric, int(curves.epochs[-1])) if view.published else None
    spread = (
        None
        if printed is None
        else {v: {int(curves.epochs[-1]): of.get(chosen, np.nan)} for v, of in printed.spread.items()}
    )
    figure = curve_figure(curves, view.names, epoch=view.epoch, spread=spread, crossings=False)
    mean, half, n = differences(curves.values[view.x], curves.values[view.y])
    table = pd.DataFrame({"epoch": curves.epochs})
    for variant, values in curves.values.items():
        table[variant] = half_widths(values)[0]
    table["x_minus_y"], table["half_width"], table["n"] = mean, half, n
    results.chart(figure, table, "class-curve", f"{curves.title} against epoch, by variant")
    x, y = view.short[view.x], view.short[view.y]
    if few:
        st.caption(f"One epoch only, so points. {_whiskers(printed)}{results.origin(view.runs)}")
        return
    st.markdown(f"**{results.plain(f'{x} − {y}')}**, {curves.title}, points")
    alt = f"{curves.title}, {view.names[view.x]} minus {view.names[view.y]}, against epoch"
    results.chart(delta_curve_figure(curves.epochs, mean, half, view.epoch, "points"), table, "class-delta-curve", alt)
    seeds = int(n.max())
    band = (
        f"Bands: 95 % Student-t over n = {seeds} seeds, above of the mean, below of "
        + (
            "the differences paired by seed"
            if view.paired
            else "the difference of the means (Welch), as they share no seed"
        )
        if seeds > 1
        else "One seed each: no band"
    )
    st.caption(
        f"{band}; each epoch on its own, without correction for the {len(curves.epochs)} epochs one may look at. "
        f"{results.origin(view.runs)}"
    )


def _whiskers(printed: class_data.Printed | None) -> str:
    return f"Whiskers: {printed.method}, as published. " if printed is not None and printed.method else ""
