"""Figures of a search: its history, what mattered, and every trial as a line through its parameters."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from seglab.records.studies import PARAMETER

# state -> colour, marker, words
STATES = {
    "complete": ("#0072B2", "circle", "complete"),
    "pruned": ("#8A8A8A", "x", "pruned: stopped early"),
    "fail": ("#D55E00", "triangle-up-open", "failed"),
    "running": ("#E69F00", "circle-open", "running"),
}


def short(key: str) -> str:
    """Return a recipe's dotted key as a chart names it."""
    return key.rsplit(".", 1)[-1].removeprefix("decoder_").replace("_", " ")


def name_of(key: str, space: Mapping[str, Any]) -> str:
    """Return what a parameter is called: a weight within a loss is the ``w`` of that loss."""
    text = (space.get(key) or {}).get("text")
    return f"w in {text.replace('{}', 'w')}" if text else short(key)


def history_figure(table: pd.DataFrame) -> go.Figure:
    """Draw every trial's last mIoU by its number, and the best complete one so far.

    Args:
        table: as of :func:`seglab.records.studies.trials_table`.
    """
    figure = go.Figure()
    figure.add_scatter(
        x=table["number"],
        y=table["best"] * 100,
        mode="lines",
        name="best so far",
        line=dict(color="#0072B2", width=1.5, shape="hv", dash="dot"),
        hoverinfo="skip",
    )
    for state, (colour, symbol, words) in STATES.items():
        rows = table[(table["state"] == state) & table["miou"].notna()]
        if len(rows):
            figure.add_scatter(
                x=rows["number"],
                y=rows["miou"] * 100,
                mode="markers",
                name=words,
                marker=dict(color=colour, symbol=symbol, size=9, line=dict(width=1.5, color=colour)),
                customdata=rows[["epochs"]],
                hovertemplate="trial %{x}: mIoU %{y:.1f} % after epoch %{customdata[0]}<extra></extra>",
            )
    figure.update_xaxes(title="trial", rangemode="tozero", zeroline=False)
    figure.update_yaxes(title="mIoU in the trial (%)", zeroline=False)
    return _laid_out(figure, 340)


def importance_figure(importance: Mapping[str, float], space: Mapping[str, Any]) -> go.Figure:
    """Draw each parameter's share in what separates good trials from bad ones, largest on top."""
    rows = sorted(importance.items(), key=lambda item: item[1])
    figure = go.Figure(
        go.Bar(
            x=[share * 100 for _, share in rows],
            y=[name_of(key, space) for key, _ in rows],
            orientation="h",
            marker_color="#0072B2",
            text=[f"{share:.0%}" for _, share in rows],
            textposition="outside",
            cliponaxis=False,
            hoverinfo="skip",
        )
    )
    figure.update_xaxes(title="importance (%)", range=[0, 112], zeroline=False)
    figure.update_yaxes(ticksuffix="  ")
    return _laid_out(figure, 90 + 45 * len(rows))


def parallel_figure(table: pd.DataFrame, space: Mapping[str, Any], ink: str) -> go.Figure:
    """Draw every trial that has a figure as a line through its parameters' values, coloured by its mIoU.

    Args:
        table: as of :func:`seglab.records.studies.trials_table`.
        space: the search space; logarithmic ranges get a logarithmic axis.
        ink: colour of the text, for the chart draws its own.
    """
    rows = table[table["miou"].notna()]
    axes = [_axis(rows[PARAMETER + key], name_of(key, space), space[key].get("log") is True) for key in space]
    axes.append(dict(label="mIoU (%)", values=rows["miou"] * 100))
    figure = go.Figure(
        go.Parcoords(
            dimensions=axes,
            line=dict(color=rows["miou"] * 100, colorscale="Viridis", showscale=False),
            labelangle=-18,  # side by side they meet on a phone
            labelfont=dict(color=ink, size=13),
            tickfont=dict(color=ink, size=12),
            rangefont=dict(color="rgba(0,0,0,0)", size=1),
            unselected=dict(line=dict(color="#8A8A8A", opacity=0.15)),
        )
    )
    figure = _laid_out(figure, 380)
    return figure.update_layout(margin=dict(l=50, r=40, t=95, b=20))


def _axis(values: "pd.Series[Any]", label: str, log: bool) -> dict[str, Any]:
    """Return one axis: numbers as they are, logarithms with plain ticks, and names at whole places."""
    numeric = pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values)
    if not numeric or values.isna().any():
        names = sorted({str(value) for value in values})
        places = [names.index(str(value)) for value in values]
        return dict(label=label, values=places, tickvals=list(range(len(names))), ticktext=names)
    if not log or bool((values <= 0).any()):
        return dict(label=label, values=values)
    powers = np.log10(values.to_numpy(float))
    ticks = [k * 10.0**p for p in range(int(np.floor(powers.min())), int(np.ceil(powers.max())) + 1) for k in (1, 2, 5)]
    shown = [t for t in ticks if powers.min() <= np.log10(t) <= powers.max()]
    return dict(label=label, values=powers, tickvals=np.log10(shown), ticktext=[f"{t:g}" for t in shown])


def _laid_out(figure: go.Figure, height: int) -> go.Figure:
    return figure.update_layout(
        height=height,
        margin=dict(l=0, r=0, t=30, b=0),
        legend=dict(orientation="h", y=1.02, yanchor="bottom", x=0),
        hovermode="closest",
    )
