"""One run's record, and two recipes side by side: the part of the Runs page below its table."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from seglab.evidence.curves import why_not_together
from seglab.evidence.runs import diff as run_diff
from seglab.evidence.runs import figures as run_figures
from seglab.evidence.runs import table as run_tables
from seglab.records import store
from seglab.records.fields import ABSENT, at, clean
from seglab.records.files import RunError
from seglab.records.runs import MAX_JSON_BYTES, read_record
from seglab.ui.results import plain

ROW_PX = 35  # Streamlit's height of a table's row
BADGES = {
    "trained": "green",
    "published": "violet",
    "imported": "orange",
    "finished": "green",
    "running": "blue",
    "stopped": "orange",
    "interrupted": "orange",
    "failed": "red",
}


def _read(run: str) -> dict[str, Any] | None:
    """Return a run's record; say what is wrong where it cannot be read any more."""
    try:
        return read_record(store.RESULTS / run)
    except RunError as error:
        st.error(plain(error), icon=":material/broken_image:")
        return None


def show_record(runs: pd.DataFrame, run: str) -> None:
    """Show one run: where its figures come from, what was run on what, its cost, its recipe, and all of its record."""
    record = _read(run)
    if record is None:
        return
    row = runs[runs["run"] == run].iloc[0]
    st.subheader(plain(record["title"], 100), anchor=False)
    badges = " ".join(
        f":{BADGES.get(one, 'gray')}-badge[{plain(one, 20)}]" for one in (row["provenance"], row["state"])
    )
    st.markdown(f"{badges} {plain(run)}")
    _said(record)
    _tables(record, clean(run, 90))
    label, icon = "Everything in the record", ":material/data_object:"
    everything = st.expander(label, icon=icon, on_change="rerun", key="everything")
    if everything.open:
        with everything:
            _everything(record, run)


def _tables(record: Mapping[str, Any], name: str) -> None:
    facts = run_diff.facts(record)
    height = ROW_PX * (max(len(facts), 10) + 1) + 3  # the tables beside the facts are as high
    recipe = run_diff.flat_table(record, "recipe") if record.get("recipe") else pd.DataFrame()
    parts = (
        ("What, on what, at what cost", facts, ""),
        ("Recipe", recipe, "This record has no recipe."),
        ("Figures", run_figures.run_figures(record), "This record has no figures yet."),
    )
    for column, (title, table, without) in zip(st.columns(3, gap="medium"), parts, strict=True):
        with column:
            st.markdown(f"**{title}**")
            if table.empty:
                st.info(without)
            else:
                high = min(height, ROW_PX * (len(table) + 1) + 3)
                st.dataframe(table, hide_index=True, height=high, alt=f"{title}: {name}")


def _everything(record: Mapping[str, Any], run: str) -> None:
    path = store.RESULTS / run / "run.json"
    st.dataframe(run_diff.flat_table(record), hide_index=True, height=460, alt="Every field of this run's record")
    st.download_button(
        "run.json",
        lambda: path.read_bytes()[: MAX_JSON_BYTES + 1],
        "run.json",
        "application/json",
        key="run-json",
        on_click="ignore",
        icon=":material/download:",
    )


def _said(record: Mapping[str, Any]) -> None:
    """Show what a reader must be told of figures that were not measured here, and why a run failed."""
    if record["provenance"] == "published":
        st.warning(
            f"Published figures, transcribed and not measured here. Source: {plain(at(record, 'citation'), 500)}",
            icon=":material/menu_book:",
        )
    if record["provenance"] == "imported":
        st.warning(
            f"Imported from a file ({plain(at(record, 'source.name') or 'no name')}), not measured here.",
            icon=":material/upload_file:",
        )
    if isinstance(message := record.get("message"), str) and record["status"] != "finished":
        st.error(plain(message), icon=":material/error:")
    claims = record.get("claims")
    lines = [record.get("note"), *(claims if isinstance(claims, list) else [])]
    told = [f"- {plain(line, 600)}" for line in lines[:40] if isinstance(line, str)]
    if told:
        whose = "What the source says" if record["provenance"] == "published" else "Notes"
        st.markdown(f"**{whose}**\n" + "\n".join(told))


def side_by_side(runs: pd.DataFrame, picked: Sequence[str]) -> None:
    """Show what differs between two runs, and what came out of each."""
    found = [_read(run) for run in picked]
    if found[0] is None or found[1] is None:
        return
    table = run_diff.diff(found[0], found[1])
    st.subheader("Two recipes side by side", anchor=False)
    st.markdown(f"**{plain(run_diff.verdict(table))}** {_comparable(runs, picked)}")
    columns = {"left": clean(picked[0], 90), "right": clean(picked[1], 90)}
    rows = runs.set_index("run").loc[list(picked)].reset_index()
    _outcome(rows)
    all_settings = st.toggle("Show every setting, also what is the same", key="same", bind="query-params")
    shown = table if all_settings else table[table["differs"]]
    if len(shown):
        config: dict[str, Any] = {key: st.column_config.TextColumn(label) for key, label in columns.items()}
        config["differs"] = st.column_config.CheckboxColumn(width="small") if all_settings else None
        st.dataframe(
            shown,
            hide_index=True,
            height="content" if len(shown) < 25 else 700,
            column_config=config,
            alt="Settings of two runs",
        )
        st.caption(
            f"{ABSENT} stands where a record does not have the setting. Names of runs and what came out of them do not count."
        )


def _comparable(runs: pd.DataFrame, picked: Sequence[str]) -> str:
    reason = why_not_together(runs[runs["run"].isin(picked)], by="run")
    return "" if reason is None else f"Their figures do not compare: {plain(reason, 400)}."


def _outcome(rows: pd.DataFrame) -> None:
    shown = run_tables.overview(rows)
    badges = st.column_config.MultiselectColumn(options=list(BADGES), color=list(BADGES.values()))
    digits = {
        "val mIoU (%)": 2,
        "test mIoU (%)": 2,
        "reported mIoU (%)": 2,
        "epochs": 0,
        "s/epoch": 1,
        "hours": 2,
        "memory (MiB)": 0,
    }
    config = {name: st.column_config.NumberColumn(format=f"%.{count}f") for name, count in digits.items()}
    config |= {"provenance": badges, "status": badges}
    told = shown[["run", "provenance", "status", *digits]].dropna(axis=1, how="all")
    st.dataframe(told, hide_index=True, placeholder="", column_config=config, alt="What came out of the two runs")
