"""Searches of hyper-parameters: their history, what mattered, and every configuration that was tried."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from pandas.api.types import is_numeric_dtype as is_number

from seglab.evidence.runs import table as run_tables
from seglab.figures.searches import history_figure, importance_figure, name_of, parallel_figure
from seglab.records import store
from seglab.records.fields import at, clean
from seglab.records.files import RunError
from seglab.records.studies import PARAMETER, SUFFIX, find_studies, read_study, trials_table
from seglab.ui.results import plain

BEST = 0.1  # share of the complete trials that PED-ANOVA takes for good ones; two at least
FEW = 20  # complete trials below which an importance says little


def searches() -> None:
    """Show one study that the reader chooses."""
    studies: dict[str, dict[str, Any]] = {}
    for path in find_studies(store.RESULTS):
        try:
            study = read_study(path)
        except RunError as error:
            st.warning(f"{plain(str(error))}.", icon=":material/healing:")
        else:
            studies[f"{path.parent.name}/{path.name.removesuffix(SUFFIX)}"] = study
    if not studies:
        st.info(
            "There is no search here yet. This makes one: "
            "`python -m trainers.search trainers/recipes/camvid-search.yaml --data DIR`"
        )
        return
    name = st.selectbox(
        "Search",
        list(studies),
        key="search",
        bind="query-params",
        format_func=lambda key: clean(f"{key}: {studies[key]['title']}"),
    )
    show(studies[name], store.RESULTS / name)


def show(study: dict[str, Any], path: Path) -> None:
    """Show a study's history, importance, parallel coordinates and table."""
    table = trials_table(study)
    counted = table["state"].value_counts()
    states = {"complete": "complete", "pruned": "pruned", "fail": "failed", "running": "running", "waiting": "waiting"}
    parts = [f"{counted[state]} {word}" for state, word in states.items() if counted.get(state)]
    st.markdown(f"**{len(table)} trials**: {', '.join(parts) or 'none yet'}. Objective: {plain(study['objective'])}.")
    st.caption(_origin(study))
    if table["miou"].notna().sum() == 0:
        st.info("No trial has been evaluated yet.")
        return
    _best(study, table, path)
    left, right = st.columns([3, 2], gap="medium")
    with left:
        st.markdown("#### History")
        st.plotly_chart(history_figure(table), key="search-history")
    with right:
        st.markdown("#### What mattered")
        _importance(study, int(counted.get("complete", 0)))
    st.markdown("#### Every trial")
    ink = "#E6ECEA" if st.context.theme.type == "dark" else "#1C2321"
    st.plotly_chart(parallel_figure(table, study["space"], ink), key="search-parallel")
    st.caption("One line a trial, light is better. Drag along an axis to keep the trials that pass there.")
    _table(study, table)


def _origin(study: dict[str, Any]) -> str:
    """Return where a study comes from, in one line."""
    environment, trial = study["environment"], study["trial"]
    sampler = "TPE" if study["sampler"] == "tpe" else study["sampler"]
    parts = [f"{sampler} sampler, pruner: {study['pruner']}"]
    learned, judged = (at(environment, f"data.{split}.images") for split in ("train", "val"))
    if isinstance(learned, int) and isinstance(judged, int):
        recordings = at(environment, "data.val.recordings")
        left_out = ", ".join(map(str, recordings)) if isinstance(recordings, list) else ""
        parts.append(f"{learned} images to learn, {judged} of {left_out or at(environment, 'data.val.split')} to judge")
    if isinstance(trial.get("epochs"), int):
        parts.append(f"{trial['epochs']} epochs a trial")
    parts.append(f"{environment.get('device', 'unknown machine')}, commit {str(environment.get('git_commit'))[:7]}")
    return plain(" · ".join(parts))


def _best(study: dict[str, Any], table: pd.DataFrame, path: Path) -> None:
    best = next((t for t in study["trials"] if t["number"] == study.get("best") and t["value"] is not None), None)
    if best is None:
        st.info("No trial is complete yet.")
        return
    values = ", ".join(f"{plain(name_of(k, study['space']))} = {_number(v)}" for k, v in best["params"].items())
    st.markdown(f"Best: **trial {best['number']}** with mIoU **{best['value'] * 100:.1f} %** ({values}).")
    recipe = path.with_name(f"{path.name}-best.yaml")
    if recipe.is_file():
        st.download_button(
            "The best configuration as a recipe (YAML)",
            recipe.read_bytes,
            recipe.name,
            "application/yaml",
            key="yaml-search",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )


def _importance(study: dict[str, Any], complete: int) -> None:
    if not study["importance"]:
        st.info("Importance needs at least four complete trials.")
        return
    st.plotly_chart(importance_figure(study["importance"], study["space"]), key="search-importance")
    few = " So few are a hint, no finding." if complete < FEW else ""
    best = max(2, math.ceil(complete * BEST))
    st.caption(
        f"PED-ANOVA: what sets the best {best} of {complete} complete trials apart; pruned ones are not counted.{few}"
    )


def _table(study: dict[str, Any], table: pd.DataFrame) -> None:
    shown = table.assign(miou=table["miou"] * 100).drop(columns="best").rename(columns={"miou": "mIoU (%)"})
    shown.columns = unique([name_of(name.removeprefix(PARAMETER), study["space"]) for name in shown.columns])
    numbers = {
        name: st.column_config.NumberColumn(format="%.4g") for name in shown.columns[2:] if is_number(shown[name])
    }
    st.dataframe(
        shown, hide_index=True, width="stretch", column_config=numbers, height="content" if len(shown) < 12 else 420
    )
    st.download_button(
        "These trials (CSV)",
        lambda: run_tables.csv_bytes(table),
        f"{study['variant']}-trials.csv",
        "text/csv",
        key="csv-search",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )


def _number(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else plain(str(value))


def unique(names: list[str]) -> list[str]:
    """Return names of which none comes twice: a later one gets its number."""
    return [name if name not in names[:i] else f"{name} ({i})" for i, name in enumerate(names)]
