"""Figures of the Classes page: deltas per class, variants by class, a class over the epochs, who is taken for whom."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from seglab.evidence.curves import ALPHA
from seglab.evidence.words import points

# Blue and orange stay apart for colour-blind readers and show on light and dark ground; sign and order say the same.
BETTER, WORSE = "#3A86C8", "#D97706"
GREY = "rgba(128,128,128,.9)"
FAINT_GREY = "rgba(128,128,128,.28)"
DIVERGING = ((0.0, "#E8893B"), (0.5, "#F2F2EF"), (1.0, "#5BA3DB"))  # light enough for dark words at both ends
WORDS = "#1C2321"
SEQUENTIAL = "Cividis"
_ROW_PX = 30
_NARROWEST = 0.1  # points to each side of 0, so that a chart of no differences has a scale


def delta_figure(table: pd.DataFrame, x: str, y: str, metric: str) -> go.Figure:
    """Draw one row a class: its delta x - y with its whiskers, the largest gain on top.

    Filled markers are significant after correction, open ones are not.

    Args:
        table: with the columns of :func:`seglab.evidence.classes.class_deltas`; whiskers from ``low`` to ``high``.
        x: short words of the variant.
        y: short words of the other.
        metric: as the screen names it.
    """
    sides = [table[side].to_numpy(np.float64) * 100 for side in ("delta", "low", "high")]
    sure = (table["p_holm"] < ALPHA).tolist()
    figure = go.Figure()
    for name, filled, delta, low, high in zip(table["class"], sure, *sides, strict=True):
        _add_delta(figure, name, filled, float(delta), float(low), float(high))
    known = np.abs(np.concatenate(sides))
    reach = max(_NARROWEST, float(np.nanmax(known)) if len(table) else 0.0) * 1.08
    figure.add_vline(x=0, line=dict(color=GREY, width=1.5))
    above = dict(xref="paper", yref="paper", y=1, yanchor="bottom", yshift=4, showarrow=False)
    figure.add_annotation(x=0, xanchor="left", text=f"◀ {y} better", **above)
    figure.add_annotation(x=1, xanchor="right", text=f"{x} better ▶", **above)
    figure.update_layout(height=90 + _ROW_PX * len(table), margin=dict(l=0, r=58, t=30, b=0))
    figure.update_xaxes(title_text=f"{metric}: {x} − {y}, points", range=[-reach, reach], zeroline=False)
    order = table["class"].tolist()[::-1]
    figure.update_yaxes(categoryorder="array", categoryarray=order, showgrid=True, gridcolor=FAINT_GREY)
    return figure


def _add_delta(figure: go.Figure, name: str, filled: bool, delta: float, low: float, high: float) -> None:
    """Add a class's marker, whiskers and figure; points in."""
    colour = BETTER if delta >= 0 else WORSE
    whiskers = {} if np.isnan(low) else {"array": [high - delta], "arrayminus": [delta - low]}
    words = f"{points(low / 100)} to {points(high / 100)}" if whiskers else "no interval"
    figure.add_scatter(
        x=[delta],
        y=[name],
        mode="markers",
        error_x=dict(type="data", symmetric=False, thickness=2, width=5, color=colour, **whiskers),
        marker=dict(
            size=12, symbol="circle" if filled else "circle-open", color=colour, line=dict(width=2.5, color=colour)
        ),
        hovertemplate=f"{name}: {points(delta / 100)} points ({words})<extra></extra>",
        showlegend=False,
    )
    text = points(delta / 100)
    figure.add_annotation(x=1, xref="paper", y=name, text=text, showarrow=False, xanchor="left", xshift=8)


def variants_figure(
    values: pd.DataFrame, deltas: pd.DataFrame, sure: pd.DataFrame, reference: str, metric: str
) -> go.Figure:
    """Draw classes by variants: the figure in percent and its difference from a reference variant, which also colours the cell.

    Args:
        values: index classes, columns short words of the variants; fractions.
        deltas: likewise, minus the reference.
        sure: likewise, whether the difference is significant.
        reference: one of the columns.
        metric: as the screen names it.
    """
    text = [
        [
            "" if np.isnan(value) else _cell(value, delta, bool(star), column == reference)
            for column, value, delta, star in zip(values.columns, *rows, strict=True)
        ]
        for rows in zip(values.to_numpy(), deltas.to_numpy(), sure.to_numpy(), strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=deltas.to_numpy() * 100,
            x=[_wrapped(name) for name in values.columns],
            y=values.index.tolist(),
            text=text,
            texttemplate="%{text}",
            textfont=dict(color=WORDS),
            colorscale=DIVERGING,
            **_symmetric(deltas.to_numpy() * 100),
            xgap=2,
            ygap=2,
            showscale=False,
            hovertemplate=f"%{{y}}, %{{x}}<br>{metric} %{{text}}<extra></extra>",
        )
    )
    figure.update_layout(height=70 + 42 * len(values), margin=dict(l=0, r=0, t=8, b=0))
    figure.update_xaxes(side="top", showgrid=False)
    figure.update_yaxes(autorange="reversed", showgrid=False)
    return figure


def _cell(value: float, delta: float, star: bool, reference: bool) -> str:
    if reference or np.isnan(delta):
        return f"{value * 100:.1f}"
    return f"{value * 100:.1f}<br>{delta * 100:+.1f}{' *' if star else ''}".replace("-", "−")


def _symmetric(values: NDArray[np.float64]) -> dict[str, float]:
    known = np.abs(values[~np.isnan(values)])
    reach = max(_NARROWEST, float(known.max()) if known.size else 0.0)
    return {"zmin": -reach, "zmax": reach}


def _wrapped(name: str, width: int = 12) -> str:
    lines = [""]
    for word in name.replace("-", "- ").split():
        joined = f"{lines[-1]}{'' if lines[-1].endswith('-') or not lines[-1] else ' '}{word}"
        if len(joined) <= width or not lines[-1]:
            lines[-1] = joined
        else:
            lines.append(word)
    return "<br>".join(lines)


def delta_curve_figure(
    epochs: NDArray[np.int64], delta: NDArray[np.float64], half: NDArray[np.float64], epoch: int | None, title: str
) -> go.Figure:
    """Draw a difference against the epoch, with its band where there is one and a line at zero.

    Args:
        epochs: ``(E,)``.
        delta: ``(E,)`` fractions.
        half: ``(E,)`` half widths of the interval; NaN for none.
        epoch: that is marked.
        title: of the axis.
    """
    figure = go.Figure()
    there = ~np.isnan(half)
    x, low, high = epochs[there], (delta - half)[there] * 100, (delta + half)[there] * 100
    if there.any():
        figure.add_scatter(
            x=np.concatenate([x, x[::-1]]),
            y=np.concatenate([high, low[::-1]]),
            mode="lines",
            fill="toself",
            fillcolor="rgba(58,134,200,.22)",
            line=dict(width=0),
            hoverinfo="skip",
            showlegend=False,
        )
    figure.add_scatter(
        x=epochs,
        y=delta * 100,
        mode="lines+markers" if len(epochs) < 8 else "lines",
        line=dict(color=BETTER, width=2.2),
        hovertemplate="epoch %{x}: %{y:+.2f} points<extra></extra>",
        showlegend=False,
    )
    figure.add_hline(y=0, line=dict(color=GREY, width=1.5))
    if epoch is not None:
        figure.add_vline(x=epoch, line=dict(color=GREY, width=1.5, dash="dot"))
    figure.update_layout(height=260, margin=dict(l=0, r=0, t=8, b=0))
    figure.update_xaxes(title_text="Epoch")
    figure.update_yaxes(title_text=title)
    return figure


def confusion_figure(
    shares: NDArray[np.float64], names: Sequence[str], chosen: tuple[int, int], *, delta: bool = False
) -> go.Figure:
    """Draw who is taken for whom, ``(C, C)``: rows target, columns prediction; cells can be clicked.

    Args:
        shares: of each target class's pixels; or, with ``delta``, the difference of two such matrices.
        names: of the classes.
        chosen: target and prediction of the cell that is framed.
        delta: draw points on a diverging scale.
    """
    percent = shares * 100
    shown = np.sign(percent) * np.sqrt(np.abs(percent))  # small confusions are what one looks for
    scale = _symmetric(shown) if delta else {"zmin": 0.0, "zmax": 10.0}
    figure = go.Figure(
        go.Heatmap(
            z=shown,
            x=list(names),
            y=list(names),
            text=[[_share(value, delta) for value in row] for row in percent],
            texttemplate="%{text}",
            textfont=dict(color=WORDS) if delta else None,
            colorscale=DIVERGING if delta else SEQUENTIAL,
            showscale=False,
            xgap=1,
            ygap=1,
            hoverinfo="skip",
            **scale,
        )
    )
    _add_targets(figure, percent, names, delta)
    row, column = chosen
    frame = dict(x0=column - 0.5, x1=column + 0.5, y0=row - 0.5, y1=row + 0.5)
    figure.add_shape(type="rect", **frame, line=dict(color="#D55E00", width=3.5))
    figure.update_layout(height=110 + 34 * len(names), margin=dict(l=0, r=0, t=8, b=0), dragmode=False)
    axis = dict(showgrid=False, dtick=1)  # every name, on a phone too
    ends = -0.5, len(names) - 0.5  # the unseen markers would ask for more room
    title = "rows: target · columns: predicted as"
    figure.update_xaxes(side="top", title_text=title, tickangle=-90, range=ends, **axis)
    figure.update_yaxes(range=ends[::-1], **axis)
    return figure


def _add_targets(figure: go.Figure, percent: NDArray[np.float64], names: Sequence[str], delta: bool) -> None:
    """Add an unseen marker to each cell: a heat map alone reports no clicks."""
    unit = "points" if delta else "%"
    cells = [(row, column) for row in range(len(names)) for column in range(len(names))]
    words = [
        f"{names[r]} taken for {names[c]}: " + f"{percent[r, c]:{'+' if delta else ''}.2f} {unit}".replace("-", "−")
        for r, c in cells
    ]
    unseen = dict(opacity=0)
    figure.add_scatter(
        x=[names[column] for _, column in cells],
        y=[names[row] for row, _ in cells],
        mode="markers",
        marker=dict(size=28, symbol="square", opacity=0, color=GREY),
        selected=dict(marker=unseen),
        unselected=dict(marker=unseen),
        text=words,
        hovertemplate="%{text}<extra></extra>",
        showlegend=False,
    )


def _share(value: float, delta: bool) -> str:
    """Return a cell's words, short: a phone has 20 pixels for each."""
    if np.isnan(value) or abs(value) < 0.05:
        return ""
    digits = 1 if abs(value) < 9.95 else 0
    return f"{value:+.{digits}f}".replace("-", "−") if delta else f"{value:.{digits}f}"
