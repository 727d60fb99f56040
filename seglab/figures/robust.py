"""Figures of the Robustness page. Tables in, Plotly out."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import plotly.graph_objects as go


def loss_heatmap(table: pd.DataFrame, titles: Mapping[str, str]) -> go.Figure:
    """Return a matrix model x corruption of the relative drop of mIoU, in percent; worse is brighter.

    Args:
        table: rows models, columns corruption keys, fractions.
        titles: by corruption key.
    """
    percent = table.to_numpy(np.float64) * 100
    figure = _heatmap(percent, [titles[key] for key in table.columns], table.index.tolist(), 100)
    figure.update_traces(hovertemplate="%{y}, %{x}: loses %{z:.1f} % of its mIoU<extra></extra>")
    return figure


def class_loss_heatmap(table: pd.DataFrame) -> go.Figure:
    """Return a matrix model x class of IoU lost, in points.

    Args:
        table: rows models, columns classes, fractions: clean minus corrupted.
    """
    figure = _heatmap(table.to_numpy(np.float64) * 100, table.columns.tolist(), table.index.tolist(), 60)
    figure.update_traces(hovertemplate="%{y}, %{x}: %{z:.1f} points lost<extra></extra>")
    return figure


def _heatmap(values: np.ndarray, columns: list[str], rows: list[str], top: float) -> go.Figure:
    figure = go.Figure(
        go.Heatmap(
            z=values,
            x=columns,
            y=rows,
            zmin=0,
            zmax=top,
            text=[["" if np.isnan(value) else f"{round(value)}" for value in row] for row in values],
            texttemplate="%{text}",
            colorscale="Cividis",
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_xaxes(side="top", tickangle=-60, showgrid=False, dtick=1)
    figure.update_yaxes(autorange="reversed", showgrid=False, dtick=1)
    figure.update_layout(height=170 + 40 * len(rows), margin={"l": 0, "r": 0, "t": 8, "b": 0}, dragmode=False)
    return figure
