"""What published sources print, one table a source, never mixed with runs of ours."""

from typing import Any

import pandas as pd
import streamlit as st

from seglab.evidence.runs import figures as run_figures
from seglab.evidence.runs import table as run_tables
from seglab.labels import SPACES, space
from seglab.predict.samples import LABEL_SPACE
from seglab.predict.shelf import shelf
from seglab.records import store
from seglab.records.fields import at, clean, number_at
from seglab.records.files import RunError
from seglab.records.runs import read_record
from seglab.ui import image_counts
from seglab.ui.results import origin, percent_columns, plain, titles

ABLATION = "published-boundary-ablation"  # has a page of its own, so it comes last
REPEATED = "published-fpn-convnextv2"  # its variants were also trained here, small and on CamVid
MERGED = {
    "road": ("road",),
    "pavement": ("pavement",),
    "building": ("building", "fence"),
    "vegetation": ("tree",),
    "sky": ("sky",),
    "vehicle": ("car",),
    "person": ("pedestrian", "bicyclist"),
    "street furniture": ("pole", "sign"),
}


def figures(runs: pd.DataFrame) -> None:
    """Show the headline figures of every published source with its citation."""
    published = runs[runs["provenance"] == "published"]
    if published.empty:
        st.info("There is no published figure in this store. They ship in the project's `results/published-*` folders.")
        return
    st.markdown(
        "Transcribed from their sources as printed, not trained or measured here: other data sizes, other splits, other label "
        "spaces. **No row below compares with a run of this project, and few compare with each other.**"
    )
    tables = []
    for experiment in sorted(published["experiment"].unique(), key=lambda name: (name.startswith(ABLATION), name)):
        table = _source(experiment, published[published["experiment"] == experiment]["run"].tolist())
        if experiment == REPEATED:
            _repeated(runs)
        if table is not None:
            tables.append(table)
    if tables:
        st.download_button(
            "All published figures (CSV)",
            lambda: run_tables.csv_bytes(pd.concat(tables, ignore_index=True)),
            "seglab-published.csv",
            "text/csv",
            key="csv-published",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )


def _source(experiment: str, runs: list[str]) -> pd.DataFrame | None:
    found: list[dict[str, Any]] = []
    for run in runs:
        try:
            found.append(read_record(store.RESULTS / run))
        except RunError:
            continue  # it was sound when the store was indexed; the list of damaged records shows it soon
    if not found:
        return None
    citations = list(dict.fromkeys(clean(at(record, "citation"), 500) for record in found))
    spaces = dict.fromkeys(_classes(record) for record in found)
    name, _, rest = "; ".join(citations).partition("; ")
    rest = rest[:1].upper() + rest[1:] or "No more is known of the source"
    st.subheader(f"{plain(name, 120)} :violet-badge[published]", anchor=False)
    st.caption(f"{plain(rest, 1000)}. {plain('; '.join(spaces), 300)}. Experiment {plain(experiment, 80)}.")
    table = run_figures.published_figures(found)
    shared = run_figures.same_for_all(table)
    shown = table.drop(columns=list(shared))
    if len(shown.columns) > 1:
        st.dataframe(shown, hide_index=True, height="content", alt=f"Published figures of {experiment}")
    classes = run_figures.published_classes(found)
    if len(classes):
        st.dataframe(classes, hide_index=True, height="content", alt=f"Published figures per class of {experiment}")
    methods = dict.fromkeys(clean(method, 120) for record in found if (method := at(record, "spread.method")))
    told = [f"±: {plain('; '.join(methods))}."] if methods else []
    if shared:
        told.append(
            "The same for all: " + "; ".join(f"{plain(key)} {plain(value)}" for key, value in shared.items()) + "."
        )
    if told:
        st.caption(" ".join(told))
    _told(found)
    return table.assign(experiment=experiment, citation="; ".join(citations))


def _repeated(runs: pd.DataFrame) -> None:
    """Show the published shares of pixels predicted right beside those of the same two architectures trained here."""
    ours = runs[runs["run"].isin([model.facts.origin for model in shelf()]) & (runs["status"] == "finished")]
    published = {v: _percent_correct(f"{REPEATED}/{v}") for v in ("fpn_convnextv2", "fpn_resnet")}
    x, y = (image_counts.sources(ours, variant) for variant in published)
    if not (x and y) or set(published["fpn_convnextv2"]) != set(MERGED) or set(published["fpn_resnet"]) != set(MERGED):
        return
    classes = space(LABEL_SPACE).names
    groups = {name: [classes.index(one) for one in members] for name, members in MERGED.items()}
    try:
        table = image_counts.accuracy_deltas(x, y, groups, len(classes), one_clip=True)
    except ValueError as error:
        st.warning(f"The same comparison on CamVid cannot be shown: {plain(error)}")
        return
    pair = ours[ours["variant"].isin(published)]
    shown = run_figures.replication(table, *published.values())
    of = titles(pair)
    words = {"x": f"{of['fpn_convnextv2']} (%)", "y": f"{of['fpn_resnet']} (%)"}
    st.markdown("**The same two architectures, trained here: share of each class's pixels predicted right**")
    st.dataframe(
        shown.rename(columns=words),
        hide_index=True,
        height="content",
        column_config=percent_columns([*words.values(), *(str(c) for c in shown if c not in ("class", "x", "y"))]),
        alt="Share of pixels predicted right per class, measured on CamVid and published",
    )
    merged = "; ".join(f"{name} = {' + '.join(of)}" for name, of in MERGED.items() if of != (name,))
    st.caption(
        f"{run_figures.replicates(table, *published.values())} Intervals of 95 % over images in blocks of 20 frames, one "
        f"training each; frames of one clip make them too narrow. Merged: {merged}. Smaller encoders, other data, other "
        f"training than the source. {origin(pair)}"
    )


def _percent_correct(run: str) -> dict[str, float]:
    """Return the published share of pixels predicted right by class, in percent; empty where there are none."""
    try:
        record = read_record(store.RESULTS / run)
    except RunError:
        return {}
    found = {name: number_at(record, f"figures.percent_correct/{name}") for name in MERGED}
    return {name: value for name, value in found.items() if value is not None}


def _classes(record: dict[str, Any]) -> str:
    space, own = at(record, "label_space"), at(record, "classes")
    if isinstance(own, list):
        return f"{len(own)} classes of its own: {', '.join(clean(name, 40) for name in own[:40])}"
    return SPACES[space].title if space in SPACES else clean(space, 60)


def _told(found: list[dict[str, Any]]) -> None:
    """Show the notes, and on request the claims; each with the recipes it is about where it is not about all of them."""
    notes: dict[str, list[str]] = {}
    claims: dict[str, list[str]] = {}
    for record in found:
        title, said = clean(record["title"], 60), at(record, "claims")
        if isinstance(note := at(record, "note"), str):
            notes.setdefault(clean(note, 600), []).append(title)
        for line in said[:40] if isinstance(said, list) else []:
            if isinstance(line, str):
                claims.setdefault(clean(line, 600), []).append(title)
    if notes:
        st.markdown("\n".join(_lines(notes, len(found))))
    if claims:
        with st.expander(f"What the source concludes ({len(claims)})", icon=":material/format_quote:"):
            st.markdown("\n".join(_lines(claims, len(found))))


def _lines(about: dict[str, list[str]], count: int) -> list[str]:
    def whose(titles: list[str]) -> str:
        return "" if len(titles) == count else f"*{plain(', '.join(titles))}*: "

    return [f"- {whose(titles)}{plain(line, 600)}" for line, titles in about.items()]
