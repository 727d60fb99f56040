"""The Classes page's confusions: who is taken for whom, and what is behind one cell."""

import numpy as np
import pandas as pd
import streamlit as st

from seglab.evidence.curves import ALPHA
from seglab.evidence.images import ImageCounts, block_of, confused_most, paired, row_shares, worst_images
from seglab.evidence.words import in_words, p_text, points
from seglab.figures.classes import confusion_figure
from seglab.measure.metrics import iou_per_class
from seglab.ui import image_counts, results
from seglab.ui.classes.choices import View, pick_class

_CHART = "confusions"


def confusions(view: View) -> None:
    """Show the matrix of one variant, or of the difference, and what is behind a cell."""
    if view.counted is None:
        st.info(
            f"There are no confusions to show: {view.no_counts}. "
            f"Choose an experiment trained here, or train one: `{results.MADE_BY}`"
        )
        return
    try:
        keys = view.keys[view.x], view.keys[view.y]
        x, y = image_counts.paired_counts(*keys, view.counted, len(view.classes))
    except ValueError as error:
        st.error(results.plain(error), icon=":material/error:")
        return
    left, right = st.columns([6, 5], gap="large")
    with left:
        chart = st.container()
    with right:
        target, predicted = _pick_cell(view, x)
        _cell(view, x, y, target, predicted)
    with chart:
        _matrix(view, x, y, target, predicted)


def _matrix(view: View, x: ImageCounts, y: ImageCounts, target: int, predicted: int) -> None:
    of_x, of_y = row_shares(x.total), row_shares(y.total)
    difference = f"{view.short[view.x]} − {view.short[view.y]}"
    shown = {view.short[view.x]: of_x, view.short[view.y]: of_y, difference: of_x - of_y}
    which = st.segmented_control(
        "Matrix", list(shown), default=view.short[view.x], key="matrix", bind="query-params", required=True
    )
    which = which if which in shown else view.short[view.x]
    delta = which == difference
    figure = confusion_figure(shown[which], view.classes, (target, predicted), delta=delta)
    alt = f"Confusions of {which}: of each target class's pixels, the share predicted as each class"
    table = pd.DataFrame(shown[which], columns=list(view.classes))
    table.insert(0, "target", list(view.classes))
    results.chart(figure, table, _CHART, alt, on_select=_take_click)
    unit = "difference in points" if delta else "percent of the target class's pixels, each row adds up to 100"
    seeds = in_words(len(x.seeds), "seed")
    st.caption(
        f"Rows: target; columns: prediction; {unit}. Colour by the square root, so that small ones show; blank: below 0.05. "
        f"Click a cell for what is behind it. {view.counts_at}Confusions summed over {seeds} and {len(x.stems)} images. "
        f"{results.origin(view.runs)}"
    )


def _take_click() -> None:
    """Put a clicked cell into the two choices."""
    state = st.session_state.get(f"chart-{_CHART}")
    clicked = state["selection"]["points"] if state else []
    if clicked:
        target, predicted = clicked[0].get("y"), clicked[0].get("x")
        st.session_state["class"] = target
        if predicted != target:
            st.session_state["predicted"] = predicted


def _pick_cell(view: View, x: ImageCounts) -> tuple[int, int]:
    shares = row_shares(x.total)
    with st.container(horizontal=True):
        target = view.classes.index(pick_class("Target", view.classes))
        others = [view.classes[c] for c in confused_most(shares, target)]
        predicted = st.selectbox(
            "Predicted as",
            others,
            key="predicted",
            bind="query-params",
            help="The most frequent confusion comes first.",
        )
    return target, view.classes.index(predicted if predicted in others else others[0])


def _cell(view: View, x: ImageCounts, y: ImageCounts, target: int, predicted: int) -> None:
    """Show the numbers of one pair of classes: in words, by variant, and where it happens."""
    a, b = view.classes[target], view.classes[predicted]
    of_x, of_y = (row_shares(counts.total)[target, predicted] for counts in (x, y))
    if np.isnan(of_x):
        st.info(f"No image has a pixel of {a}.")
        return
    x_name, y_name = (results.plain(view.names[variant]) for variant in (view.x, view.y))
    st.markdown(
        f"Of the pixels of **{a}**, {x_name} takes **{of_x * 100:.1f} %** for **{b}**, {y_name} "
        f"**{of_y * 100:.1f} %**: {_difference(view, x, y, target, predicted)}"
    )
    st.dataframe(
        _by_variant(view, y, target, predicted),
        hide_index=True,
        height="content",
        key="confusion-variants",
        column_config=results.percent_columns(["share (%)", f"IoU {a} (%)", f"IoU {b} (%)"], 2),
    )
    images = worst_images(x, y, target, predicted)
    st.caption(
        f"share: of the pixels of {a} taken for {b}; difference: points minus {results.plain(view.short[view.y])}."
    )
    st.markdown(f"**Images in which {results.plain(view.short[view.x])} does it most**")
    shares = {f"{view.short[view.x]} (%)": images["x"] * 100, f"{view.short[view.y]} (%)": images["y"] * 100}
    shown = pd.DataFrame({"image": images["image"], "pixels": images["pixels"], **shares})
    columns = results.percent_columns(list(shares)) | results.percent_columns(["pixels"], 0)
    st.dataframe(shown, hide_index=True, height="content", key="confusion-images", column_config=columns)
    st.caption(f"pixels: of {a} taken for {b}, mean over seeds; percent: of the image's pixels of {a}.")


def _difference(view: View, x: ImageCounts, y: ImageCounts, target: int, predicted: int) -> str:
    """Return the difference of two shares with its interval over what the reader chose."""
    assert view.counted is not None
    block = block_of(len(x.stems), view.one_clip) if view.asked_over == "images" else None
    keys = view.keys[view.x], view.keys[view.y]
    values = image_counts.pair(*keys, view.counted, len(view.classes), target, predicted, block)
    delta, low, high, p, n = values
    said = f"{points(delta)} points"
    if np.isnan(p):
        why = "one seed each" if block is None else "one image"
        return f"{said}, without interval ({why})."
    over = in_words(n, "seed") if block is None else f"{n} images" + (", one clip: too narrow" if view.one_clip else "")
    beyond = "" if p < ALPHA else ", not distinguishable from noise"
    return f"{said} ({points(low)} to {points(high)} over {over}; {p_text(p)}{beyond}; this pair alone, not corrected)."


def _by_variant(view: View, y: ImageCounts, target: int, predicted: int) -> pd.DataFrame:
    """Return the share and both classes' IoU of every variant that has counts at the epoch, and minus y."""
    a, b = view.classes[target], view.classes[predicted]
    rows = []
    for variant, epoch in view.counted_each.items():
        try:
            counts, _ = paired(image_counts.counts(view.keys[variant], epoch, len(view.classes)), y)
        except ValueError:
            continue  # the variants that can be paired are shown
        share, iou = row_shares(counts.total)[target, predicted], iou_per_class(counts.total)
        rows.append((view.short[variant], share, iou[target], iou[predicted], epoch))
    table = pd.DataFrame(rows, columns=["variant", "share", "a", "b", "epoch"])
    of_y = float(table.loc[table["variant"] == view.short[view.y], "share"].iloc[0])
    return pd.DataFrame(
        {
            "variant": table["variant"],
            "share (%)": table["share"] * 100,
            "difference": [points(share - of_y) for share in table["share"]],
            f"IoU {a} (%)": table["a"] * 100,
            f"IoU {b} (%)": table["b"] * 100,
            "epoch": table["epoch"],
        }
    )
