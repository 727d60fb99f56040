"""Figures of the Compare page: agreement, area per class, latency."""

from collections.abc import Mapping, Sequence

import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

STEPS = ("decode", "preprocess", "forward", "postprocess")


def _rgb(colour: tuple[int, int, int]) -> str:
    return f"rgb{colour}"


def agreement_heatmap(titles: Sequence[str], matrix: NDArray) -> go.Figure:  # type: ignore[type-arg]
    """Draw the ``(M, M)`` share of pixels on which two models agree."""
    text = [[f"{value * 100:.1f} %" for value in row] for row in matrix]
    figure = go.Figure(
        go.Heatmap(
            z=matrix * 100,
            x=list(titles),
            y=list(titles),
            text=text,
            texttemplate="%{text}",
            colorscale="Viridis",
            zmin=min(50.0, float(matrix.min() * 100)),
            zmax=100,
            showscale=False,
            hovertemplate="%{y} and %{x}: %{text}<extra></extra>",
        )
    )
    figure.update_yaxes(autorange="reversed")
    figure.update_layout(height=90 + 62 * len(titles), margin=dict(l=0, r=0, t=8, b=0))
    return figure


def area_bars(table: pd.DataFrame, colours: Mapping[str, tuple[int, int, int]]) -> go.Figure:
    """Draw each class's share of the photo by model.

    Args:
        table: columns ``model``, ``class``, ``share_frac``.
        colours: RGB by class, in the order of the legend.
    """
    figure = go.Figure()
    for name, colour in colours.items():
        rows = table[table["class"] == name]
        figure.add_bar(
            y=rows["model"],
            x=rows["share_frac"] * 100,
            name=name,
            orientation="h",
            marker=dict(color=_rgb(colour), line=dict(color="rgba(128,128,128,.5)", width=0.5)),
            hovertemplate="%{y}: " + name + " %{x:.1f} %<extra></extra>",
        )
    models = table["model"].nunique()
    figure.update_layout(
        barmode="stack",
        height=130 + 52 * models,
        margin=dict(l=0, r=24, t=8, b=0),
        legend=dict(orientation="h", y=-0.25, traceorder="normal"),
    )
    figure.update_xaxes(ticksuffix=" %", range=[0, 100])  # a title would meet the legend on a phone
    figure.update_yaxes(autorange="reversed")
    return figure


def latency_bars(table: pd.DataFrame) -> go.Figure:
    """Draw milliseconds by model and step; columns ``model`` and the steps."""
    figure = go.Figure()
    for step in STEPS:
        if step in table:
            figure.add_bar(
                y=table["model"],
                x=table[step],
                name=step,
                orientation="h",
                hovertemplate="%{y}: " + step + " %{x:.0f} ms<extra></extra>",
            )
    figure.update_layout(
        barmode="stack",
        height=110 + 46 * len(table),
        margin=dict(l=0, r=0, t=8, b=0),
        legend=dict(orientation="h", y=-0.3, traceorder="normal"),
    )
    figure.update_xaxes(ticksuffix=" ms")
    figure.update_yaxes(autorange="reversed")
    return figure
