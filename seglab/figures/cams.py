"""Figures of the Grad-CAM page. Tables in, Plotly out."""

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
