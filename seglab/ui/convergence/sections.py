"""Sections of the Convergence page: curves with a scrubber, rankings, pairs, two epochs beside each other."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import streamlit as st

from seglab.evidence.curves import (
    ALPHA,
    Curves,
    all_crossings,
    early_and_late,
    half_widths,
    order_since,
    pairwise,
    ranking,
    reversal,
    verdict,
)
from seglab.evidence.words import p_value
from seglab.figures.curves import curve_figure, reversal_figure, slope_figure
from seglab.ui import results
from seglab.ui.convergence.choices import View

EARLY_EPOCH = 10


@st.fragment  # type: ignore[untyped-decorator]
def evidence(view: View) -> None:
    """Show curves, scrubber and everything that depends on it."""
    epochs = view.curves.complete_epochs()
    if not epochs:
        st.info(
            f"{view.curves.title} was not measured for every variant of this experiment at any one epoch. "
            "Choose another metric or class."
        )
        return
    epoch = _epoch_slider("Epoch", epochs, "epoch", early_epoch(epochs))
    with st.container(border=True):
        st.markdown(_verdict(view, epoch))
        if epoch != epochs[-1] and view.published is None:
            st.markdown(_verdict(view, epochs[-1]))
    _curve_chart(view, epoch)
    left, right = st.columns(2, gap="medium")
    with left:
        _ranking_table(view, epoch, "epoch")
    if epoch != epochs[-1]:
        with right:
            _ranking_table(view, epochs[-1], "last")
    if view.published is None:
        _pairs(view, epoch)
    if len(epochs) > 1:
        _two_epochs(view, epochs)


def early_epoch(epochs: Sequence[int]) -> int:
    """Return where a reader begins: the epoch nearest to :data:`EARLY_EPOCH`, before the last where there are several."""
    near = min(epochs, key=lambda epoch: abs(epoch - EARLY_EPOCH))
    return near if near != epochs[-1] else epochs[0]


def _epoch_slider(label: str, epochs: list[int], key: str, default: int) -> int:
    if len(epochs) == 1:
        st.caption(f"There is one epoch here: {epochs[0]}.")
        return epochs[0]
    return int(st.select_slider(label, epochs, default, key=key, bind="query-params"))


def _curve_chart(view: View, epoch: int) -> None:
    figure = curve_figure(
        view.curves,
        view.names,
        show=view.show,  # type: ignore[arg-type]
        as_published=view.as_published,
        window=view.window,
        epoch=epoch,
        spread=view.published,
    )
    means = ", ".join(f"{view.names[v]} {m * 100:.1f} %" for v, m in _means(view.curves, epoch).items())
    alt = f"{view.curves.title} against epoch. At epoch {epoch}: {means}"
    results.chart(figure, lambda: curve_table(view.curves, view.as_published), "curves", alt)
    cut = (
        " · bands that reach beyond the frame are cut" if view.show != "Seeds" and view.band.startswith("band") else ""
    )
    window = f" · lines: moving mean over {view.window} epochs" if view.window > 1 else ""
    st.caption(f"{view.curves.title}; {view.band}{cut}{window}. {results.origin(view.runs)}")


def _means(curves: Curves, epoch: int) -> dict[str, float]:
    table = ranking(curves, epoch)
    return dict(zip(table["variant"].tolist(), table["mean"].tolist(), strict=True))


def curve_table(curves: Curves, as_published: bool = False) -> pd.DataFrame:
    """Return what the chart shows: variant, epoch, mean, half_width, n and each seed's value, as fractions."""
    parts = []
    for variant, values in curves.values.items():
        mean, half, n = half_widths(values, as_published)
        part = pd.DataFrame({"variant": variant, "epoch": curves.epochs, "mean": mean, "half_width": half, "n": n})
        for seed, line in zip(curves.seeds, values, strict=True):
            part[f"seed {seed}" if seed else "printed"] = line
        parts.append(part[n > 0])
    return pd.concat(parts, ignore_index=True)


def _verdict(view: View, epoch: int) -> str:
    if view.published is None:
        return verdict(view.curves, epoch, view.plain_short)
    order = ranking(view.curves, epoch)
    if len(order) < 2:
        return "One figure alone leads nobody."
    first, second = (view.plain_short[v] for v in order["variant"][:2])
    gap = -order["behind"][1] * 100
    return (
        f"At epoch {epoch} {first} is printed {gap:.2f} points above {second}. Without the single seeds no test can be "
        "repeated here; what the author found and corrected stands below."
    )


def _ranking_table(view: View, epoch: int, key: str) -> None:
    table = ranking(view.curves, epoch, view.as_published)
    half = table["half_width"]
    behind = table["behind_half_width"]
    if view.published is not None:
        half = pd.Series([view.published.get(v, {}).get(epoch, np.nan) for v in table["variant"]])
        behind = behind * np.nan
    where = "the last epoch" if key == "last" else "the scrubber"
    st.markdown(f"**Ranking at epoch {epoch}** · {where}")
    shown = pd.DataFrame(
        {
            "#": table["rank"],
            "variant": [view.names[v] for v in table["variant"]],
            view.curves.title: [_with_half(m, h) for m, h in zip(table["mean"], half, strict=True)],
            "min": table["min"] * 100,
            "max": table["max"] * 100,
            "n": table["n"] if view.published is None else np.nan,
            "to the leader": [
                "leader" if i == 0 else _with_half(d, h)
                for i, (d, h) in enumerate(zip(table["behind"], behind, strict=True))
            ],
        }
    )
    if view.published is not None:
        shown = shown.drop(columns=["min", "max", "n"])
    widths = {"#": 30, "variant": 175, "n": 30, "min": 56, "max": 56}  # all columns side by side at 1400 px
    narrow = {name: st.column_config.Column(width=px) for name, px in widths.items()}
    narrow |= {name: st.column_config.NumberColumn(width=widths[name], format="%.2f") for name in ("min", "max")}
    st.dataframe(shown, hide_index=True, key=f"ranking-{key}", column_config=narrow)


def _with_half(value: float, half: float) -> str:
    return f"{value * 100:.2f}" if np.isnan(half) else f"{value * 100:.2f} ± {half * 100:.2f}"


def _pairs(view: View, epoch: int) -> None:
    table = pair_table(view.curves, epoch, view.short)
    st.markdown(f"**Every pair at epoch {epoch}**")
    st.dataframe(table, hide_index=True, key="pairs", height="content")
    st.caption(
        "Delta: first minus second, in points, paired by seed, with the 95 % Student-t interval of the difference. p: paired "
        "t-test; two variants that share no seed are not paired: Welch's t of their means, which the column *test* says; with "
        "one seed there is no test. Holm: corrected over the pairs of this metric at this epoch that can be tested. P(first "
        "better): share of "
        "all pairs of seeds in which the first is above. Order since: the epoch from which the order of means no longer "
        "changes, and how many seeds have that final order at this epoch. A seed counts where every variant has it."
    )


def pair_table(curves: Curves, epoch: int, names: Mapping[str, str]) -> pd.DataFrame:
    """Return the table of pairs as it is shown."""
    table = pairwise(curves, epoch)
    crossing = all_crossings(curves)
    column = int(np.flatnonzero(curves.epochs == epoch)[0])
    rows = []
    for row in table.to_dict("records"):
        since = crossing[row["a"], row["b"]]
        interval = "" if np.isnan(row["low"]) else f"{row['low'] * 100:+.2f} to {row['high'] * 100:+.2f}"
        rows.append(
            {
                "pair": f"{names[row['a']]} − {names[row['b']]}",
                "delta": f"{row['delta'] * 100:+.2f}",
                "interval": interval,
                "test": "none" if np.isnan(row["p"]) else "paired" if row["paired"] else "unpaired",
                "p": p_value(row["p"]),
                "p (Holm)": p_value(row["p_holm"]),
                "beyond noise": "yes"
                if row["p_holm"] < ALPHA
                else "no"
                if not np.isnan(row["p_holm"])
                else "cannot tell",
                "P(first better)": f"{row['p_better']:.0%}",
                "order since": f"epoch {order_since(curves, since)}",
                "seeds in that order": f"{since.agreeing[column]} of {row['n']}" if row["paired"] else "not paired",
            }
        )
    return pd.DataFrame(rows).fillna("")


def _two_epochs(view: View, epochs: list[int]) -> None:
    st.markdown("#### Early and late")
    early, late = st.select_slider(
        "Two epochs", epochs, (early_epoch(epochs), epochs[-1]), key="two", bind="query-params"
    )
    if early == late:
        st.info("Choose two different epochs.")
        return
    if view.published is None:
        st.markdown(reversal(view.curves, early, late, view.plain_short))
        said = early_and_late(view.curves, early, late, view.plain_short)
        st.markdown(said)
    results.chart(
        slope_figure(view.curves, view.names, view.short, early, late),
        lambda: pd.concat([ranking(view.curves, e, view.as_published).assign(epoch=e) for e in (early, late)]),
        "early-late",
        f"Ranks at epoch {early} and at epoch {late}",
    )
    st.caption(
        f"Place by {view.curves.title} (mean, %), best on top; lines that cross are pairs that change places. "
        f"{results.origin(view.runs)}"
    )
    if view.published is None:
        _one_picture(view, early, late)


def _one_picture(view: View, early: int, late: int) -> None:
    """Show the whole finding as one page-wide picture, which its camera button saves with caption and source."""
    with st.expander("The reversal in one picture, to take along", icon=":material/image:"):
        said = [_leader(view, epoch) for epoch in (early, late)]
        source = f"{view.curves.title}; {view.band}. {results.unmarked_origin(view.runs)}"
        figure = reversal_figure(view.curves, view.names, view.short, early, late, said, source)
        results.chart(figure, lambda: curve_table(view.curves), "reversal", " ".join(said))
        st.caption(
            "The camera button saves it as PNG or SVG (choose above), with its sentences and its source in the picture."
        )


def _leader(view: View, epoch: int) -> str:
    return early_and_late(view.curves, epoch, epoch, view.short).split(". At epoch")[0].removesuffix(".") + "."


def notes(view: View) -> None:
    """Show what a reader of published figures must be told: their author's notes and corrections."""
    results.said_by_source(view.runs)
