"""What the pages that read results share: the store, the choice of experiment, charts with their data, captions."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import streamlit as st

from seglab.data import clip_note
from seglab.evidence.curves import why_not_together
from seglab.evidence.runs.table import csv_bytes
from seglab.records import store
from seglab.records.fields import clean
from seglab.records.files import RunError
from seglab.records.runs import read_record
from seglab.records.store import RunStore

FRESH_S = 10  # a running training shows up after so long
MADE_BY = "python -m trainers.ablate trainers/recipes/camvid-boundary-ablation.yaml --data DIR --jobs 2"
SAME = ("label_space", "data_name", "split", "val_fingerprint", "size_px")  # what compared runs share
_ADDRESS = re.compile(r"(https://[\w.-]+(?:/[\w./-]*[\w/])?)")
_MARKED = re.compile(r"\\([!-/:-@\[-`{-~])")
_MARKUP = re.compile(r"([!-/:-@\[-`{-~])")


@st.cache_data(ttl=FRESH_S, max_entries=4, show_spinner=False)  # type: ignore[untyped-decorator]
def _runs(root: str) -> pd.DataFrame:
    return RunStore(Path(root)).runs()


@st.cache_data(ttl=FRESH_S, max_entries=64, show_spinner=False)  # type: ignore[untyped-decorator]
def _curves(root: str, experiment: str, metric: str) -> pd.DataFrame:
    return RunStore(Path(root)).curves(experiment, metric)


def all_runs() -> pd.DataFrame:
    """Return one row a run, damaged ones with their problem."""
    table: pd.DataFrame = _runs(str(store.RESULTS))
    return table


def curves(experiment: str, metric: str) -> pd.DataFrame:
    """Return the tidy curves of one experiment and metric (``iou`` holds the classes of ``miou``)."""
    table: pd.DataFrame = _curves(str(store.RESULTS), experiment, metric)
    return table


def forget() -> None:
    """Read runs and curves anew at the next look: the page itself has changed the store."""
    _runs.clear()
    _curves.clear()


def plain(value: object, limit: int = 300) -> str:
    """Return text from a record so that Markdown shows it as it is, short and on one line."""
    return _MARKUP.sub(r"\\\1", clean(value, limit))


def linked(value: object, limit: int = 600) -> str:
    """Return :func:`plain` text in which web addresses stay links."""
    parts = _ADDRESS.split(clean(value, limit))
    return "".join(f"<{part}>" if _ADDRESS.fullmatch(part) else _MARKUP.sub(r"\\\1", part) for part in parts)


def sound(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that can be read."""
    return runs[runs["problem"].isna()]


def pick_experiments(runs: pd.DataFrame, key: str, *, many: bool = False, first: str = "") -> pd.DataFrame:
    """Let the reader choose an experiment, or several; return its runs. Several that must not share an axis are refused.

    The choice is in the link under ``key``. Experiments with the most epochs in all come first, published ones last; one
    named ``first`` before all.
    """
    order = runs.assign(published=runs["provenance"] == "published").groupby("experiment", sort=False)
    names = order.agg(published=("published", "max"), trained=("epochs", "sum"), size=("run", "size"))
    names = names.sort_values(["published", "trained", "size"], ascending=[True, False, False])
    options = sorted(names.index.tolist(), key=lambda name: name != first)
    if not many:
        chosen = [st.selectbox("Experiment", options, key=key, bind="query-params")]
        return _of(runs, chosen)
    asked = st.multiselect("Experiment", options, options[:1], key=key, bind="query-params")
    chosen = asked or options[:1]
    together = _of(runs, chosen)
    reason = why_not_together(together)
    if reason is not None:
        st.warning(f"These experiments do not share an axis: {plain(reason, 600)}. Shown: {plain(chosen[0])}.")
        return _of(runs, chosen[:1])
    return together


def measured_alike(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the runs that may be compared: those measured on the same; where there are several such groups, one of them."""
    reason = why_not_together(runs, by="variant")
    if reason is None:
        return runs
    columns = runs[list(SAME)].fillna("").astype(str).agg(" · ".join, axis=1)
    groups = columns.value_counts(sort=True)
    largest: pd.DataFrame = runs[columns == groups.index[0]]
    left_out = sorted(set(runs["title"]) - set(largest["title"]))
    st.warning(
        f"Not all runs of this experiment can be compared: {plain(reason, 600)}. Shown are the {len(largest)} runs of the "
        f"largest group that can; left out: {plain(', '.join(left_out)) or 'some seeds'}."
    )
    return largest


def _of(runs: pd.DataFrame, experiments: list[str]) -> pd.DataFrame:
    chosen: pd.DataFrame = runs[runs["experiment"].isin(experiments)]
    return chosen


def titles(runs: pd.DataFrame) -> dict[str, str]:
    """Return the words for each variant; Plotly reads tags, so there are none left."""
    words = [clean(title, 80).replace("<", "‹") for title in runs["title"].tolist()]
    return dict(zip(runs["variant"].astype(str).tolist(), words, strict=True))


def short_names(names: Mapping[str, str]) -> dict[str, str]:
    """Return what stands before the colon of each title, or the first word; the titles where neither tells them apart.

    >>> short_names({"a": "A: CE", "b": "B: CE + Dice"}), short_names({"f": "FPN-atto", "d": "DeepLabV3+ ResNet"})
    ({'a': 'A', 'b': 'B'}, {'f': 'FPN', 'd': 'DeepLabV3+'})
    """
    for ends in (":", r"[:\s-]"):
        heads = {variant: re.split(ends, title)[0].strip() for variant, title in names.items()}
        if len(set(heads.values()) - {""}) == len(heads) and heads != names:
            return heads
    return dict(names)


def nothing(what: str, command: str = MADE_BY) -> None:
    """Say what is missing and the command that makes it, and end the page."""
    st.info(f"There is {what} here yet. This makes it: `{command}`")
    st.stop()


def damaged(runs: pd.DataFrame) -> None:
    """List the records that cannot be read, where there are some."""
    broken = runs[runs["problem"].notna()]
    if len(broken):
        with st.expander(f"{len(broken)} damaged record{'s' * (len(broken) > 1)} left out", icon=":material/error:"):
            for run, problem in zip(broken["run"].tolist(), broken["problem"].tolist(), strict=True):
                st.markdown(f"- **{plain(run)}**: {plain(problem)}")


def origin(runs: pd.DataFrame) -> str:
    """Return where figures of these runs come from, as every caption says it: data, split, images, size, device, commit."""
    first = runs.iloc[0]
    if first["provenance"] == "published":
        return f"Published: {linked(first['citation'])}"
    if first["provenance"] == "imported":
        return "Imported from a file; seglab has not measured it."
    commits = sorted({plain(str(commit)[:7]) for commit in runs["git_commit"] if commit})
    images = "" if pd.isna(first["val_images"]) else f", {int(first['val_images'])} images"
    clip = f" ({said})" if (said := clip_note(first["data_name"], first["split"])) else ""
    size = f" at {first['size_px'].replace('x', '×')} px" if first["size_px"] else ""
    unfinished = int((runs["status"] != "finished").sum())
    parts = [
        plain(f"{first['data_name']} {first['split']}{images}{size}{clip}"),
        f"{len(runs)} run{'s' * (len(runs) > 1)}" + (f", {unfinished} of them not finished" if unfinished else ""),
        f"commit {', '.join(commits)}" if commits else "",
    ]
    return " · ".join(part for part in parts if part)


def unmarked_origin(runs: pd.DataFrame) -> str:
    """Return :func:`origin` without markup, for the inside of a picture."""
    if runs["provenance"].iloc[0] == "published":
        return f"Published: {clean(runs['citation'].iloc[0], 400)}".replace("<", "‹")
    return _MARKED.sub(r"\1", origin(runs)).replace("<", "‹")


def image_format() -> None:
    """Let the reader choose what a chart's camera button saves."""
    st.segmented_control(
        "Charts save as",
        ["PNG", "SVG"],
        default="PNG",
        required=True,
        key="image_format",
        help="The camera button of each chart saves it in this format; the button below it saves its data.",
        persist_state="session",
    )


def chart(
    figure: go.Figure,
    data: pd.DataFrame | Callable[[], pd.DataFrame],
    name: str,
    alt: str,
    on_select: Callable[[], None] | None = None,
) -> object:
    """Show a chart; its camera button saves it as an image, a button below saves its data as CSV.

    Args:
        figure: with colours of its own or the theme's.
        data: what the chart shows, as a table (or what makes it, asked on download).
        name: of the files, and the chart's key.
        alt: the chart in words.
        on_select: called when points are chosen.
    """
    kind = str(st.session_state.get("image_format", "PNG")).lower()
    config = {
        "displaylogo": False,
        "displayModeBar": "hover",
        "modeBarButtonsToRemove": ["select2d", "lasso2d", "autoScale2d"],
        "toImageButtonOptions": {"format": kind, "filename": f"seglab-{name}", "scale": 2 if kind == "png" else 1},
    }
    state = st.plotly_chart(
        figure, key=f"chart-{name}", config=config, alt=alt, on_select=on_select or "ignore", selection_mode="points"
    )
    st.download_button(
        "CSV",
        data=lambda: csv_bytes(data() if callable(data) else data),
        file_name=f"seglab-{name}.csv",
        mime="text/csv",
        key=f"csv-{name}",
        on_click="ignore",
        icon=":material/download:",
        type="tertiary",
    )
    return state


def said_by_source(runs: pd.DataFrame) -> None:
    """Show what the source of published figures says about them: its notes, then its claims and corrections."""
    said: dict[str, None] = {}
    for run in runs[runs["provenance"] == "published"]["run"].tolist():
        try:
            record = read_record(store.RESULTS / run)
        except RunError:
            continue
        claims = record.get("claims")
        for line in [record.get("note"), *(claims if isinstance(claims, list) else [])]:
            if isinstance(line, str):
                said[linked(line)] = None
    if said:
        st.markdown("#### What the source says about these figures")
        st.markdown("\n".join(f"- {line}" for line in said))


def percent_columns(names: Sequence[str], digits: int = 1) -> dict[str, object]:
    """Return column settings that show fractions as percent."""
    return {name: st.column_config.NumberColumn(format=f"%.{digits}f") for name in names}
