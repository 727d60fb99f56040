"""The figure of the Runs page: accuracy against latency, and who is beaten in both."""

import pandas as pd
import plotly.graph_objects as go

FRONTIER, BEATEN = "#0072B2", "#8A8A8A"


def frontier_figure(table: pd.DataFrame) -> go.Figure:
    """Draw models by latency and mIoU; those that nothing beats in both are filled and joined by a step line.

    Args:
        table: columns ``title``, ``median_ms``, ``low_ms``, ``high_ms``, ``miou`` (fraction) and ``on_frontier``.
    """
    figure = go.Figure()
    best = table[table["on_frontier"]].sort_values("median_ms")
    figure.add_scatter(
        x=best["median_ms"],
        y=best["miou"] * 100,
        mode="lines",
        line=dict(color=FRONTIER, width=1.5, shape="hv", dash="dot"),
        hoverinfo="skip",
        showlegend=False,
    )
    beaten = table[~table["on_frontier"]]
    _add_models(figure, best, "on the frontier", "circle", FRONTIER, "top center")
    if len(beaten):
        _add_models(figure, beaten, "beaten in both", "circle-open", BEATEN, "bottom center")
    width, height = table["high_ms"].max(), table["miou"].max() - table["miou"].min()
    figure.update_xaxes(title="median latency (ms)", range=[0, width * 1.25], zeroline=False)
    low, high = table["miou"].min() - 0.2 * height - 0.005, table["miou"].max() + 0.3 * height + 0.005
    figure.update_yaxes(title="val mIoU (%)", range=[low * 100, high * 100], zeroline=False)
    figure.update_layout(
        height=380,
        margin=dict(l=0, r=0, t=30, b=0),
        legend=dict(orientation="h", y=1.02, yanchor="bottom", x=0),
        hovermode="closest",
    )
    return figure


def _add_models(figure: go.Figure, rows: pd.DataFrame, name: str, symbol: str, colour: str, label: str) -> None:
    spread = dict(
        type="data",
        symmetric=False,
        array=rows["high_ms"] - rows["median_ms"],
        arrayminus=rows["median_ms"] - rows["low_ms"],
        thickness=1,
        width=3,
    )
    figure.add_scatter(
        x=rows["median_ms"],
        y=rows["miou"] * 100,
        error_x=spread,
        mode="markers+text",
        name=name,
        text=rows["title"],
        textposition=label,
        cliponaxis=False,
        marker=dict(symbol=symbol, size=12, color=colour, line=dict(width=2, color=colour)),
        customdata=rows[["low_ms", "high_ms"]],
        hovertemplate="%{text}: %{x:.0f} ms (%{customdata[0]:.0f} to %{customdata[1]:.0f}), mIoU %{y:.1f} %<extra></extra>",
    )
