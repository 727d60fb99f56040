"""Accuracy against latency of the bundled models: stored figures of another machine until the reader measures here."""

import html
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from seglab.figures.runs import frontier_figure
from seglab.predict import latency
from seglab.predict.latency import Measurement
from seglab.predict.model import Model, beside_test
from seglab.predict.shelf import bundled_models
from seglab.records import store
from seglab.records.fields import clean
from seglab.ui import results
from seglab.ui.results import plain

BUSY = 0.75  # programs waiting per core from which a measurement is called disturbed


@dataclass
class _Here:
    """This process's own measurement; shared by all sessions, for they all run on this machine."""

    found: Measurement | None = None


@st.cache_resource(show_spinner=False)  # type: ignore[untyped-decorator]
def _here(root: str) -> _Here:
    return _Here()


def frontier(runs: pd.DataFrame) -> None:
    """Show which bundled models nothing beats in both accuracy and speed."""
    bundled = {model.key: model for model in bundled_models(store.RESULTS)}
    if not bundled:
        st.info(
            "There is no finished bundled model here yet. This trains one: "
            "`python -m trainers.train trainers/recipes/camvid-fpn_convnextv2.yaml --data DIR`"
        )
        return
    here: _Here = _here(str(store.RESULTS))
    if st.button(
        "Measure here (about 10 s)",
        icon=":material/timer:",
        key="measure",
        help="Runs each bundled model several times on a sample scene. Longer where a model is converted for the first time or "
        "where the machine has other work.",
    ):
        _measure(bundled, here)
    found = here.found or latency.read_stored(store.RESULTS)
    table = timed_models(bundled, found) if found else pd.DataFrame()
    if found is None or table.empty:
        st.info("No latency is stored for these weights. Press the button: what counts is your machine anyway.")
        return
    _whose(found, measured_here=found is here.found)
    _chart(table, runs[runs["run"].isin(table["run"])])
    st.markdown("\n".join(f"- {line}" for line in in_words(table)))
    if said := beside_test(bundled.values()):
        st.caption(plain(said, 600))
    left_out = [one for one in bundled if one not in set(table["key"])]
    for key in left_out:
        reason = found.failed.get(key, "its weights are not the ones that were timed")
        st.caption(f":material/info: {plain(bundled[key].title, 80)} is left out: {plain(reason)}.")


def _measure(bundled: dict[str, Model], here: _Here) -> None:
    bar = st.progress(0.0, text="Measuring…")
    try:
        here.found = latency.measure(
            bundled, on_progress=lambda share, text: bar.progress(min(share, 1.0), text=f"Measuring: {plain(text)}")
        )
    except latency.Busy as error:
        st.warning(str(error).capitalize() + ".")
    finally:
        bar.empty()


def timed_models(bundled: dict[str, Model], found: Measurement) -> pd.DataFrame:
    """Return one row a model whose very weights were timed and that has a val figure, fastest first."""
    times = {one.key: one for one in found.models}
    rows = []
    for key, model in bundled.items():
        one, miou = times.get(key), model.facts.metrics.get("miou")
        if one is None or miou is None or one.weights_sha256 != model.sha256:
            continue
        row = {"key": key, "run": model.facts.origin, "title": clean(model.title, 60), "miou": miou}
        row |= {"test_miou": model.facts.test.miou if model.facts.test else None, "no_test": model.facts.no_test}
        row |= {"median_ms": one.median_ms, "low_ms": one.low_ms, "high_ms": one.high_ms, "engine": one.engine}
        row |= {"repeats": one.repeats, "parameters": model.facts.parameters}
        rows.append(row)
    if not rows:
        return pd.DataFrame()
    table = pd.DataFrame(rows).sort_values("median_ms", ignore_index=True)
    points = dict(
        zip(table["key"].tolist(), zip(table["median_ms"].tolist(), table["miou"].tolist(), strict=True), strict=True)
    )
    beaten = latency.dominators(points)
    return table.assign(
        beaten_by=[",".join(beaten[key]) for key in table["key"].tolist()],
        on_frontier=[not beaten[key] for key in table["key"].tolist()],
    )


def _whose(found: Measurement, measured_here: bool) -> None:
    """Say on which machine the figures were taken, and whether that was disturbed."""
    where = f"{plain(found.machine)}, {plain(found.time[:16].replace('T', ' '))} UTC"
    if measured_here:
        st.success(f"Measured on this machine: {where}.", icon=":material/timer:")
    else:
        st.warning(
            f"Stored figures of another time and machine: {where}. Measure here for yours.", icon=":material/history:"
        )
    if found.busy >= BUSY:
        st.caption(
            f":material/speed: The machine had other work: {found.busy:.1f} programs per core were waiting. These times are too "
            "long; trust the order of the models more than the milliseconds."
        )


def _chart(table: pd.DataFrame, runs: pd.DataFrame) -> None:
    told = "; ".join(
        f"{t} {ms:.0f} ms, {m:.1%}" for t, ms, m in zip(table["title"], table["median_ms"], table["miou"], strict=True)
    )
    drawn = table.assign(title=table["title"].map(html.escape))  # charts read tags in text
    results.image_format()
    results.chart(frontier_figure(drawn), table, "frontier", f"Val mIoU against latency: {told}")
    shown = pd.DataFrame(
        {
            "model": table["title"],
            "val mIoU (%)": table["miou"] * 100,
            "test mIoU": [
                f"{one:.1%}".replace("%", " %") if one == one and one is not None else why
                for one, why in zip(table["test_miou"], table["no_test"], strict=True)
            ],
            "median (ms)": table["median_ms"],
            "fastest (ms)": table["low_ms"],
            "slowest (ms)": table["high_ms"],
            "parameters (M)": table["parameters"] / 1e6,
            "frontier": ["yes" if one else "no" for one in table["on_frontier"]],
            "engine": table["engine"],
        }
    )
    numbers = {"parameters (M)": st.column_config.NumberColumn(format="%.2f")}
    config = results.percent_columns(["val mIoU (%)", "median (ms)", "fastest (ms)", "slowest (ms)"]) | numbers
    st.dataframe(
        shown, hide_index=True, placeholder="", column_config=config, alt="Accuracy and latency of the bundled models"
    )
    if len(runs):
        passes = int(table["repeats"].min())
        st.caption(
            f"mIoU: {results.origin(runs)}, one seed each: a point of mIoU between two of these may be nothing. "
            f"Latency: median of {passes} warm passes over one 960×600 scene, from pixels to labels at its own size; whiskers "
            "from the fastest to the slowest pass."
        )


def in_words(table: pd.DataFrame) -> list[str]:
    """Return a sentence a model: on the frontier, or beaten by which others; as Markdown."""
    rows = {row["key"]: row for row in table.to_dict("records")}
    names = {key: plain(row["title"]) for key, row in rows.items()}
    said = []
    for key, row in rows.items():
        figures = f"**{names[key]}** ({row['median_ms']:.0f} ms, mIoU {row['miou'] * 100:.1f} %)"
        if row["on_frontier"]:
            said.append(f"{figures} is on the frontier: none of the others is both as fast and as accurate.")
            continue
        winners = row["beaten_by"].split(",")
        by = " and ".join(names[one] for one in winners)
        sentence = f"{figures} is beaten by {by}: as accurate or more, as fast or faster."
        if all(rows[one]["high_ms"] >= row["low_ms"] for one in winners):
            sentence += " Their times overlap from pass to pass, so another measurement may say otherwise."
        said.append(sentence)
    return said
