"""The Runs page's first tab: every run with filters, and below the table the one or two that are chosen."""

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from seglab.evidence.runs import table as run_tables
from seglab.records import store
from seglab.records.fields import clean
from seglab.ui import results
from seglab.ui.runs.record import BADGES, show_record, side_by_side

MAX_CHOICES = 500  # of the select boxes; the table has every run
FILTER_WORDS = {"experiment": "Experiment", "state": "Status", "model": "Model", "label_space": "Label space"}


def with_state(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that can be read, published ones last, with what is known of each at this moment."""
    sound = run_tables.with_state(results.sound(runs), store.RESULTS)
    order = sound.assign(published=sound["provenance"] == "published")
    order = order.sort_values(["published", "experiment", "variant", "seed"], kind="stable", ignore_index=True)
    return order.drop(columns="published")


def listing(runs: pd.DataFrame) -> None:
    """Show every run, and below it the one or two that the reader chooses."""
    if runs.empty:
        st.info(f"There is no run that can be read here yet. This makes some: `{results.MADE_BY}`. Or import a file.")
        return
    shown = _filters(runs)
    if shown.empty:
        st.info(f"None of the {len(runs)} runs fits these filters. Empty the search box or take a filter away.")
    picked = _chosen(runs)
    if len(shown):
        _table(shown, picked)
        st.download_button(
            "This table (CSV)",
            lambda: run_tables.csv_bytes(shown),
            "seglab-runs.csv",
            "text/csv",
            key="csv-runs",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )
        stopped = int((shown["state"] == run_tables.STOPPED).sum())
        if stopped:
            st.caption(
                f":material/pause_circle: {stopped} stopped: the record says running, but no process of this machine holds the "
                "run's lock. It was killed, or it runs on another machine. The command that started it goes on where it stopped."
            )
    picked = _choose(shown, picked)
    if len(picked) == 2:
        side_by_side(runs, picked)
    elif picked:
        show_record(runs, picked[0])


def _filters(runs: pd.DataFrame) -> pd.DataFrame:
    chosen: dict[str, list[str]] = {}
    kinds = [one for one in ("trained", "published", "imported") if (runs["provenance"] == one).any()]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(
            "Search",
            key="words",
            type="search",
            bind="query-params",
            placeholder="title, model, device, commit…",
            width=260,
        )
        chosen["provenance"] = st.pills(
            "Provenance", kinds, selection_mode="multi", key="provenance", bind="query-params"
        )
        active = sum(bool(st.session_state.get(column)) for column in FILTER_WORDS)
        with st.popover(f"Filters ({active})" if active else "Filters", icon=":material/filter_list:"):
            for column, label in FILTER_WORDS.items():
                options = sorted(runs[column].dropna().unique().tolist())
                chosen[column] = st.multiselect(
                    label, options, format_func=lambda one: clean(one, 60), key=column, bind="query-params"
                )
    shown = run_tables.select(runs, words or "", **chosen)
    counts = shown["provenance"].value_counts()
    told = ", ".join(f"{counts[one]} {one}" for one in kinds if one in counts)
    st.caption(f"{len(shown)} of {len(runs)} runs" + (f": {told}." if told else "."))
    return shown


def _table(shown: pd.DataFrame, picked: Sequence[str]) -> None:
    """Show the table; its ticks follow the two select boxes, and setting a tick moves them."""
    names = shown["run"].tolist()
    rows = [names.index(one) for one in picked if one in set(names)]
    st.session_state["runs-table"] = {"selection": {"rows": rows, "columns": [], "cells": []}}
    number, text = st.column_config.NumberColumn, st.column_config.TextColumn
    badges = st.column_config.MultiselectColumn(options=list(BADGES), color=list(BADGES.values()), width=104)
    st.dataframe(
        run_tables.overview(shown),
        hide_index=True,
        key="runs-table",
        on_select=lambda: _take_ticks(names),
        selection_mode="multi-row",
        placeholder="",
        alt="Every run with its provenance, status, figures and cost",
        column_config={
            "title": text(width=190),
            "seed": number(format="%d", width=60),
            "provenance": badges,
            "status": badges,
            "experiment": text(width=200),
            "val mIoU (%)": number(format="%.1f", help="Measured by this project's trainers at the last epoch."),
            "test mIoU (%)": number(
                format="%.1f", help="On held-out images, where it was measured; not used for any choice."
            ),
            "reported mIoU (%)": number(
                format="%.1f", help="As a publication or an imported file says; not measured here."
            ),
            "epochs": number(format="%d"),
            "s/epoch": number(format="%.1f"),
            "hours": number(format="%.2f", help="Seconds per epoch times epochs."),
            "memory (MiB)": number(format="%.0f", help="Peak memory of the training process or of the GPU."),
            "parameters (M)": number(format="%.2f"),
        },
    )


def _take_ticks(names: list[str]) -> None:
    """Put the ticked rows into the two select boxes: the last tick replaces the second where three are set."""
    rows = st.session_state["runs-table"]["selection"]["rows"]
    ticked = [names[row] for row in rows if row < len(names)]
    before = [st.session_state.get("run"), st.session_state.get("with")]
    kept = [one for one in before if one in ticked]
    new = [one for one in ticked if one not in kept]
    picked = [*kept, *new] if len(ticked) <= 2 else [*kept[:1], *new[-1:]]
    st.session_state["run"], st.session_state["with"] = [*picked, None, None][:2]


def _chosen(runs: pd.DataFrame) -> list[str]:
    """Return the one or two runs that a tick, a select box or the link has chosen; asked before the boxes are drawn."""
    known = set(runs["run"])
    picked = []
    for key in ("run", "with"):
        if st.session_state.get(key) is not None and st.session_state[key] not in known:
            st.session_state[key] = None  # it was removed
        one = st.session_state[key] if key in st.session_state else st.query_params.get(key)
        if one in known and one not in picked:
            picked.append(one)
    return picked


def _choose(shown: pd.DataFrame, picked: list[str]) -> list[str]:
    """Let the reader choose one or two runs by name; return them."""
    names = shown["run"].tolist()[:MAX_CHOICES]
    names = [*(one for one in picked if one not in names), *names]
    left, right = st.columns(2, gap="medium")
    boxes = [(left, "run", "Run", "tick a row above, or choose here")]
    boxes.append((right, "with", "Compare with", "a second one, to see what differs"))
    chosen = [
        column.selectbox(label, names, index=None, key=key, bind="query-params", placeholder=hint)
        for column, key, label, hint in boxes
    ]
    if len(shown) > MAX_CHOICES:
        st.caption(f"The two boxes offer the first {MAX_CHOICES} runs; every row of the table can be ticked.")
    return list(dict.fromkeys(str(one) for one in chosen if one is not None))
