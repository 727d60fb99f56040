"""Figures of the Convergence page: a metric against the epoch, and two epochs beside each other."""

from collections.abc import Mapping, Sequence
from textwrap import wrap
from typing import Literal

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from seglab.evidence.curves import Curves, all_crossings, half_widths, order_since

Show = Literal["Band", "Seeds", "Both"]
# Okabe and Ito's colours with a dash each, so that nobody needs the colour.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#D55E00", "#56B4E9", "#8C6D1F", "#777777")
DASHES = ("solid", "dash", "dot", "dashdot", "longdash", "longdashdot", "solid", "dash")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "star", "x", "hexagon")


def style_of(names: Sequence[str]) -> dict[str, tuple[str, str, str]]:
    """Return colour, dash and marker by variant, the same on every chart."""
    return {n: (COLOURS[i % 8], DASHES[i % 8], SYMBOLS[i % 8]) for i, n in enumerate(names)}


def _faint(colour: str, alpha: float) -> str:
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha})"


def smooth(values: NDArray[np.float64], window: int) -> NDArray[np.float64]:
    """Return the centred moving mean of ``(E,)``, of what there is within the window; 1 changes nothing."""
    if window <= 1:
        return values
    return pd.Series(values).rolling(window, center=True, min_periods=1).mean().to_numpy(np.float64)


def curve_figure(
    curves: Curves,
    names: Mapping[str, str],
    *,
    show: Show = "Band",
    as_published: bool = False,
    window: int = 1,
    epoch: int | None = None,
    spread: Mapping[str, Mapping[int, float]] | None = None,
    crossings: bool = True,
) -> go.Figure:
    """Draw the mean over seeds of each variant, its band, its seeds, where pairs last change places, and one epoch.

    Args:
        curves: one metric.
        names: words of each variant.
        show: band (the interval of the mean over seeds), single seeds, or both.
        as_published: a band of 1.96 standard errors instead of Student's t.
        window: epochs of the moving mean; 1 is off.
        epoch: where the scrubber stands.
        spread: half-widths by variant and epoch for published figures, which are points and no curve.
        crossings: mark where each pair last changes places.
    """
    figure = go.Figure()
    style = style_of(curves.variants)
    for variant, values in curves.values.items():
        if spread is not None:
            _add_points(figure, curves, variant, names[variant], style, spread.get(variant, {}))
            continue
        if show != "Seeds":
            _add_band(figure, curves, values, style[variant][0], as_published)
        if show != "Band":
            _add_seeds(figure, curves, variant, values, style[variant], window)
        _add_mean(figure, curves, values, names[variant], variant, style[variant], window)
    if crossings and spread is None:
        _add_crossings(figure, curves, names)
    if epoch is not None and spread is None:
        figure.add_vline(x=epoch, line=dict(color="rgba(128,128,128,.9)", width=1.5, dash="dot"))
    figure.update_layout(
        height=430,
        margin=dict(l=0, r=0, t=34, b=0),
        legend=dict(orientation="h", y=-0.12, yanchor="top", x=0),
        hovermode="x unified" if spread is None else "closest",
        uirevision="curves",
    )
    figure.update_xaxes(ticklabelposition="outside")
    figure.update_yaxes(title_text=curves.title, ticksuffix=" %")
    if spread is None:
        _frame(figure, curves, 0)
    return figure


def _frame(figure: go.Figure, curves: Curves, since: int) -> None:
    """Let the axis hold every seed's value from an epoch on, and a fifth more; a band of two seeds, far wider, is cut."""
    shown = np.concatenate([values[:, curves.epochs >= since].ravel() for values in curves.values.values()]) * 100
    shown = shown[~np.isnan(shown)]
    if shown.size:
        room = max(0.2 * float(np.ptp(shown)), 0.5)
        figure.update_yaxes(range=[float(shown.min()) - room, float(shown.max()) + room])


def _add_mean(
    figure: go.Figure,
    curves: Curves,
    values: NDArray[np.float64],
    name: str,
    group: str,
    style: tuple[str, str, str],
    window: int,
) -> None:
    mean, _, n = half_widths(values)
    few = len(curves.epochs) < 8
    figure.add_scatter(
        x=curves.epochs,
        y=smooth(mean, window) * 100,
        name=name,
        legendgroup=group,
        mode="lines+markers" if few else "lines",
        line=dict(color=style[0], dash=style[1], width=2.4),
        marker=dict(symbol=style[2], size=7),
        customdata=n,
        connectgaps=True,
        hovertemplate="%{y:.2f} (n = %{customdata:d})" + f"<extra>{name}</extra>",
    )


def _add_band(figure: go.Figure, curves: Curves, values: NDArray[np.float64], colour: str, as_published: bool) -> None:
    mean, half, _ = half_widths(values, as_published)
    there = ~np.isnan(half)
    if not there.any():
        return
    x, low, high = curves.epochs[there], (mean - half)[there], (mean + half)[there]
    figure.add_scatter(
        x=np.concatenate([x, x[::-1]]),
        y=np.concatenate([high, low[::-1]]) * 100,
        mode="lines",  # few points would get dots
        fill="toself",
        fillcolor=_faint(colour, 0.16),
        line=dict(width=0),
        hoverinfo="skip",
        showlegend=False,
    )


def _add_seeds(
    figure: go.Figure,
    curves: Curves,
    variant: str,
    values: NDArray[np.float64],
    style: tuple[str, str, str],
    window: int,
) -> None:
    for seed, line in zip(curves.seeds, values, strict=True):
        if not np.isnan(line).all():
            figure.add_scatter(
                x=curves.epochs,
                y=smooth(line, window) * 100,
                mode="lines",
                connectgaps=True,  # checkpoints may be uneven: the line joins what there is
                line=dict(color=_faint(style[0], 0.55), width=1, dash=style[1]),
                legendgroup=variant,
                showlegend=False,
                hoverinfo="skip",
                name=f"seed {seed}",
            )


def _add_points(
    figure: go.Figure,
    curves: Curves,
    variant: str,
    name: str,
    style: Mapping[str, tuple[str, str, str]],
    half: Mapping[int, float],
) -> None:
    """Add points with whiskers, each variant a little beside the epoch, or they would hide each other."""
    colour, _, symbol = style[variant]
    mean = half_widths(curves.values[variant])[0]
    errors = np.array([half.get(int(epoch), np.nan) for epoch in curves.epochs])
    step = max(1.0, float(np.ptp(curves.epochs))) * 0.02
    offset = (list(style).index(variant) - (len(style) - 1) / 2) * step
    figure.add_scatter(
        x=curves.epochs + offset,
        y=mean * 100,
        error_y=dict(array=errors * 100, thickness=1.4, width=6),
        mode="markers",
        marker=dict(color=colour, symbol=symbol, size=11),
        name=name,
        customdata=curves.epochs,
        hovertemplate="epoch %{customdata}: %{y:.2f}" + f"<extra>{name}</extra>",
    )
    figure.update_xaxes(tickvals=curves.epochs, ticktext=[f"epoch {epoch}" for epoch in curves.epochs])


def _add_crossings(figure: go.Figure, curves: Curves, names: Mapping[str, str]) -> None:
    """Mark the epoch from which each pair has its final order, at the mean of the two."""
    at, height, words = [], [], []
    means = {variant: half_widths(values)[0] for variant, values in curves.values.items()}
    for (a, b), crossing in all_crossings(curves).items():
        if crossing.epoch is None or crossing.sign == 0:
            continue
        epoch = order_since(curves, crossing)
        column = int(np.flatnonzero(curves.epochs == epoch)[0])
        ahead, behind = (a, b) if crossing.sign > 0 else (b, a)
        at.append(epoch)
        height.append((means[a][column] + means[b][column]) / 2 * 100)
        words.append(f"from here on {names[ahead]} is above {names[behind]}")
    if at:
        figure.add_scatter(
            x=at,
            y=height,
            mode="markers",
            marker=dict(symbol="x-thin", size=9, line=dict(width=2, color="rgba(128,128,128,1)")),
            name="last change of order of a pair",
            text=words,
            hovertemplate="epoch %{x}: %{text}<extra></extra>",
        )


def reversal_figure(
    curves: Curves,
    names: Mapping[str, str],
    short: Mapping[str, str],
    early: int,
    late: int,
    said: Sequence[str],
    source: str,
) -> go.Figure:
    """Draw curves, bands and the places at two epochs as one page-wide picture that carries its sentences and its source."""
    figure = curve_figure(curves, names, epoch=None, crossings=False)
    means = {
        e: {v: float(np.nanmean(x)) for v, x in curves.at(e).items() if not np.isnan(x).all()} for e in (early, late)
    }
    _frame(figure, curves, early)
    for epoch, anchor in ((early, "left"), (late, "right")):
        figure.add_vline(x=epoch, line=dict(color="rgba(128,128,128,.9)", width=1.5, dash="dot"))
        order = sorted(means[epoch], key=means[epoch].__getitem__, reverse=True)
        places = "<br>".join(f"{i}. {short[v]} {means[epoch][v] * 100:.2f}" for i, v in enumerate(order, 1))
        figure.add_annotation(
            x=epoch,
            y=0.03,
            yref="paper",
            yanchor="bottom",
            xanchor=anchor,
            xshift=6 if anchor == "left" else -6,
            align="left",
            text=f"<b>epoch {epoch}</b><br>{places}",
            showarrow=False,
            bordercolor="rgba(128,128,128,.6)",
            bgcolor="rgba(255,255,255,.85)",
            font=dict(color="#222222"),
            borderpad=5,
        )
    lines = [line for sentence in said for line in wrap(sentence, 118)]
    under = wrap(source, 150)
    figure.add_annotation(
        x=0,
        y=-0.2,
        xref="paper",
        yref="paper",
        xanchor="left",
        yanchor="top",
        align="left",
        showarrow=False,
        text="<br>".join(under),
        font=dict(size=11),
    )
    figure.update_layout(
        title=dict(text="<br>".join(lines), x=0, xanchor="left", y=0.99, yanchor="top", font=dict(size=14)),
        height=500 + 20 * len(lines) + 16 * len(under),
        margin=dict(l=0, r=0, t=30 + 20 * len(lines), b=90 + 16 * len(under)),
    )
    return figure


def slope_figure(
    curves: Curves, names: Mapping[str, str], short: Mapping[str, str], early: int, late: int
) -> go.Figure:
    """Draw each variant's place at two epochs, so that a reversal is a crossing of lines; short names stand at the ends."""
    figure = go.Figure()
    style = style_of(curves.variants)
    means = {
        e: {v: float(np.nanmean(x)) if not np.isnan(x).all() else np.nan for v, x in curves.at(e).items()}
        for e in (early, late)
    }
    ranks = {
        e: {v: rank for rank, (v, _) in enumerate(sorted(m.items(), key=lambda item: -item[1]), 1)}
        for e, m in means.items()
    }
    for variant in curves.variants:
        shown = [means[e][variant] * 100 for e in (early, late)]
        figure.add_scatter(
            x=[0, 1],
            y=[ranks[e][variant] for e in (early, late)],
            mode="lines+markers+text",
            line=dict(color=style[variant][0], dash=style[variant][1], width=3),
            marker=dict(symbol=style[variant][2], size=11),
            name=names[variant],
            text=[f"{short[variant]}  {shown[0]:.1f}  ", f"  {shown[1]:.1f}  {short[variant]}"],
            textposition=["middle left", "middle right"],
            hovertemplate="%{text}<extra>" + names[variant] + "</extra>",
            showlegend=False,
            cliponaxis=False,
        )
    figure.update_layout(height=90 + 54 * len(curves.variants), margin=dict(l=8, r=8, t=34, b=8))
    figure.update_xaxes(
        tickvals=[0, 1], ticktext=[f"epoch {early}", f"epoch {late}"], side="top", range=[-0.6, 1.6], showgrid=False
    )
    figure.update_yaxes(autorange="reversed", visible=False)
    return figure
