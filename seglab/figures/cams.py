"""Figures of the Grad-CAM page. Tables in, Plotly out."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.subplots import make_subplots

COLOURS = {"evidence": "#D55E00", "elsewhere": "#0072B2"}
NAMES = {"evidence": "the evidence blanked", "elsewhere": "as much elsewhere blanked"}


def deletion_figure(table: pd.DataFrame) -> go.Figure:
    """Return one panel a model: the class score as more of the photo is blanked.

    Args:
        table: columns model, blanked (share of the map's cells), evidence, elsewhere (scores).
    """
    models = table["model"].unique().tolist()
    figure = make_subplots(cols=len(models), subplot_titles=models, horizontal_spacing=0.06)
    for column, model in enumerate(models, 1):
        rows = table[table["model"] == model]
        for what in ("evidence", "elsewhere"):
            figure.add_scatter(
                x=rows["blanked"] * 100,
                y=rows[what],
                name=NAMES[what],
                legendgroup=what,
                showlegend=column == 1,
                mode="lines+markers",
                line={"color": COLOURS[what], "dash": "solid" if what == "evidence" else "dash"},
                hovertemplate="%{x:.0f} % blanked: %{y:.2f}<extra>" + NAMES[what] + "</extra>",
                col=column,
                row=1,
            )
    figure.update_xaxes(title_text="blanked, %", rangemode="tozero")
    figure.update_yaxes(title_text="score", col=1)
    figure.update_layout(
        height=320, legend={"orientation": "h", "y": -0.3}, margin={"l": 10, "r": 10, "t": 40, "b": 10}
    )
    return figure


def pointing_figure(table: pd.DataFrame, models: Sequence[str]) -> go.Figure:
    """Return a dot a class and model with its interval: share of the evidence on the class; a tick where chance is.

    Args:
        table: of :func:`seglab.evidence.pointing.pointing_table`.
        models: their order, which decides their colour.
    """
    classes = list(dict.fromkeys(table["class"]))
    figure = go.Figure()
    step = 0.7 / max(1, len(models))
    for number, model in enumerate(models):
        rows = table[table["model"] == model]
        places = [classes.index(name) + (number - (len(models) - 1) / 2) * step for name in rows["class"]]
        middle = rows["inside"] * 100
        figure.add_scatter(
            x=places,
            y=middle,
            error_y={
                "array": (rows["inside_high"] * 100 - middle).fillna(0),
                "arrayminus": (middle - rows["inside_low"] * 100).fillna(0),
                "thickness": 1.5,
                "width": 3,
            },
            mode="markers",
            marker={"size": 8},
            name=model,
            customdata=np.stack([rows["class"], rows["images"]], 1),
            hovertemplate="%{customdata[0]}: %{y:.1f} % of the evidence, %{customdata[1]} images<extra>"
            + model
            + "</extra>",
        )
    chance = table.groupby("class")["chance"].mean()
    figure.add_scatter(
        x=list(range(len(classes))),
        y=[chance[name] * 100 for name in classes],
        mode="markers",
        marker={"symbol": "line-ew", "size": 44, "line": {"width": 2, "color": "#888888"}},
        name="chance (share of the area)",
        hovertemplate="chance: %{y:.1f} %<extra></extra>",
    )
    figure.update_xaxes(tickvals=list(range(len(classes))), ticktext=classes, tickangle=-45, showgrid=False)
    figure.update_yaxes(title_text="evidence on the class, %", range=[0, 100])
    figure.update_layout(height=420, legend={"orientation": "h", "y": 1.02, "yanchor": "bottom"})
    figure.update_layout(margin={"l": 10, "r": 10, "t": 10, "b": 10})
    return figure


def coactivation_figure(table: pd.DataFrame) -> go.Figure:
    """Return a matrix: rows the class explained, columns the class on which its evidence lies, in percent.

    Args:
        table: of :func:`seglab.evidence.pointing.coactivation_table`, fractions.
    """
    percent = table.to_numpy(np.float64) * 100
    figure = go.Figure(
        go.Heatmap(
            z=percent,
            x=table.columns.tolist(),
            y=table.index.tolist(),
            zmin=0,
            zmax=100,
            text=[["" if np.isnan(value) else f"{value:.0f}" for value in row] for row in percent],
            texttemplate="%{text}",
            colorscale="Cividis",
            showscale=False,
            xgap=1,
            ygap=1,
            hovertemplate="evidence for %{y} on %{x}: %{z:.1f} %<extra></extra>",
        )
    )
    axis = {"showgrid": False, "dtick": 1}
    figure.update_xaxes(side="top", title_text="rows: evidence for · columns: lies on", tickangle=-90, **axis)
    figure.update_yaxes(autorange="reversed", **axis)
    figure.update_layout(height=110 + 34 * len(table), margin={"l": 0, "r": 0, "t": 8, "b": 0}, dragmode=False)
    return figure
