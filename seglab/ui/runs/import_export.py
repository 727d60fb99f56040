"""A reader's own results in, checked before anything is written; imports out again; curves as a file."""

import re
from collections.abc import Callable
from pathlib import PurePath
from typing import Any

import pandas as pd
import streamlit as st
from streamlit.errors import StreamlitAPIException

from seglab.evidence.runs import table as run_tables
from seglab.labels import SPACES
from seglab.records import store
from seglab.records.fields import clean
from seglab.records.imports.command import command
from seglab.records.imports.problems import listed
from seglab.records.imports.removal import remove_import
from seglab.records.imports.table import MAX_BYTES, ImportedTable, ImportProblem, Said, parse_files, write_import
from seglab.records.store import RunStore
from seglab.ui import results
from seglab.ui.results import plain
from seglab.ui.runs.import_said import ask, show_reading

_MIB = MAX_BYTES // 2**20
UNITS = {"": "as the file tells", "fraction": "fractions, 0 to 1", "percent": "percent, 0 to 100"}
SPACE_WORDS: dict[str, str] = {"": "as the class columns tell"} | {str(key): one.title for key, one in SPACES.items()}


def import_export(runs: pd.DataFrame) -> None:
    """Show the import with its preview, the removal of imports, and the export of curves."""
    _last_news()
    st.subheader("Import your own results", anchor=False)
    st.markdown(
        "A CSV file, one row per run and evaluated epoch: `variant, seed, epoch`, then one column per metric "
        "(`mIoU`, `boundary_f1_mean`, `trimap_mIoU_mean`, `pixel_accuracy`, `dice`) or class. Or what W&B, TensorBoard, "
        "MLflow, Lightning, MMSegmentation or a Hugging Face trainer exports; several files are one experiment."
    )
    _import()
    _remove(runs)
    _export(runs)


def _last_news() -> None:
    """Say once what the last import or removal did."""
    news: dict[str, Any] | None = st.session_state.pop("import-news", None)
    if news is None:
        return
    if news.get("problems"):
        _problems(f"Nothing was {news['verb']}.", news["problems"])
        return
    st.success(news["text"], icon=":material/check:")
    if name := news.get("experiment"):
        with st.container(horizontal=True):
            st.button(
                "Its runs in the table", key="show-import", icon=":material/table_rows:", on_click=lambda: _show(name)
            )
            try:
                st.page_link(
                    "pages/convergence.py",
                    label="Its curves on Convergence",
                    query_params={"experiment": name},
                    icon=":material/arrow_forward:",
                )
            except StreamlitAPIException:  # this page runs on its own, without the router
                st.caption(f"Its curves are on the Convergence page, as the experiment {plain(name)}.")


def _show(experiment: str) -> None:
    """Go to the table, filtered to one experiment."""
    st.session_state.update({"tab": "Runs", "experiment": [experiment], "words": ""})


def _problems(lead: str, problems: list[str]) -> None:
    st.error("\n".join([lead, *(f"- {plain(one, 500)}" for one in problems)]), icon=":material/block:")


def _import() -> None:
    files, name, space, unit = _asked()
    if not files:
        return
    of = "-".join(file.file_id for file in files)
    given = [(str(file.name), bytes(file.getvalue())) for file in files]
    said = Said(space or None)
    table = _parsed("import-bare", of, given, said, unit)
    if isinstance(table, ImportProblem):
        said = ask(table, space, of)
        table = _parsed("import-parsed", of, given, said, unit)
    if isinstance(table, ImportProblem):
        _problems("This file cannot be imported as it is.", table.problems)
        if table.flags:
            st.caption("With what the file does not say, on the command line:")
            st.code(command([one for one, _ in given], name or "NAME", said, unit, table.flags), language="bash")
        return
    _preview(table)
    show_reading(table, [one for one, _ in given], name, said, unit)
    st.button(
        f"Import {len(table.runs)} run{'s' * (len(table.runs) != 1)}",
        type="primary",
        icon=":material/upload:",
        key="import-write",
        disabled=not name,
        on_click=lambda: _write(table, str(st.session_state["import-name"])),  # as it is at the click
    )
    if not name:
        st.caption("Give the experiment a name first.")


def _asked() -> tuple[list[Any], str, str, str]:
    """Ask for files, name, label space and unit; the last two are empty where the file shall tell."""
    left, right = st.columns(2, gap="medium")
    with left:
        turn = st.session_state.get("import-turn", 0)  # a new one empties the uploader
        files = st.file_uploader(
            f"Table or export, at most {_MIB} MiB",
            accept_multiple_files=True,
            max_upload_size=_MIB,
            key=f"import-{turn}",
        )
    with right:
        if files and st.session_state.get("import-named") != files[0].file_id:
            st.session_state["import-named"] = files[0].file_id
            st.session_state["import-name"] = _suggested(files[0].name)
        name = st.text_input(
            "Name of the experiment", key="import-name", max_chars=80, placeholder="lower-case letters, digits, - _ ."
        )
        space = st.selectbox("Label space", list(SPACE_WORDS), format_func=SPACE_WORDS.__getitem__, key="import-space")
        unit = st.selectbox("Figures are", list(UNITS), format_func=UNITS.__getitem__, key="import-unit")
    with left:
        st.download_button(
            "A template to fill in (CSV)",
            run_tables.template_csv(space or "camvid-11"),
            "seglab-template.csv",
            "text/csv",
            key="template",
            on_click="ignore",
            icon=":material/download:",
            type="tertiary",
        )
    return files, name or "", space or "", unit or ""


def _suggested(file_name: str) -> str:
    stem = re.sub(r"[^a-z0-9._-]+", "-", PurePath(file_name).stem.lower()).strip("-._")
    return re.sub(r"\.{2,}", ".", stem)[:60]


def _parsed(key: str, of: str, files: list[tuple[str, bytes]], said: Said, unit: str) -> ImportedTable | ImportProblem:
    """Return the checked table, or what is wrong; the last answer is kept under ``key``."""
    asked = (of, said, unit)
    kept = st.session_state.get(key)
    if kept is None or kept[0] != asked:
        found: ImportedTable | ImportProblem
        try:
            found = parse_files(files, said, unit or None)  # type: ignore[arg-type]
        except ImportProblem as problem:
            found = problem
        kept = st.session_state[key] = (asked, found)
    answer: ImportedTable | ImportProblem = kept[1]
    return answer


def _preview(table: ImportedTable) -> None:
    variants: dict[str, list[Any]] = {}
    for run in table.runs:
        variants.setdefault(run.title, []).append(run)
    epochs = sorted({epoch for run in table.runs for epoch in run.epochs})
    at = table.metrics.index("miou") if "miou" in table.metrics else None
    st.markdown(
        f"**{len(table.runs)} runs** of {len(variants)} variants, {table.rows} rows, {len(epochs)} epochs from {epochs[0]} to "
        f"{epochs[-1]}; figures read as **{UNITS[table.unit]}**; label space **{SPACE_WORDS[table.label_space]}**."
    )
    rows = []
    for title, own in variants.items():
        row: dict[str, Any] = {
            "variant": title,
            "folder": f"{own[0].variant}-seed…",
            "seeds": listed([run.seed for run in own], 8),
        }
        row |= {"epochs": len(own[0].epochs), "last epoch": own[0].epochs[-1]}
        if at is not None:
            row["mIoU at the last epoch (%)"] = float(sum(run.values[-1, at] for run in own) / len(own) * 100)
        rows.append(row)
    st.dataframe(
        pd.DataFrame(rows),
        hide_index=True,
        placeholder="",
        column_config=results.percent_columns(["mIoU at the last epoch (%)"], 2),
    )
    st.caption(f"Columns: {plain(listed(table.metrics, 12), 600)}. Nothing is written before you press the button.")


def _done(verb: str, work: Callable[[], dict[str, Any]]) -> None:
    """Do what changes the store, and keep what there is to tell: all of it happened, or nothing was ``verb``."""
    try:
        news = work()
    except ImportProblem as problem:
        news = {"verb": verb, "problems": problem.problems}
    except OSError as error:
        news = {"verb": verb, "problems": [f"the store cannot be written: {error.strerror or type(error).__name__}"]}
    st.session_state["import-news"] = news
    results.forget()


def _write(table: ImportedTable, name: str) -> None:
    def work() -> dict[str, Any]:
        folders = write_import(table, name, store.RESULTS)
        st.session_state["import-turn"] = st.session_state.get("import-turn", 0) + 1
        st.session_state["import-bare"] = st.session_state["import-parsed"] = None
        st.session_state["import-name"] = ""
        return {"text": f"Imported {len(folders)} runs as the experiment **{plain(name)}**.", "experiment": name}

    _done("imported", work)


def _remove(runs: pd.DataFrame) -> None:
    others = set(runs.loc[runs["provenance"] != "imported", "experiment"])
    imported = sorted(set(runs["experiment"]) - others)
    if not imported:
        return
    st.subheader("Remove an import", anchor=False)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Imported experiment", imported, key="remove-name", width=320)
        with st.popover("Remove…", icon=":material/delete:", key=f"remove-{name}"):
            count = int((runs["experiment"] == name).sum())
            st.markdown(
                f"Delete **{plain(name)}** with its {count} runs? Only the file that you imported can bring it back."
            )
            st.button("Yes, delete it", type="primary", key="remove-yes", on_click=lambda: _take_away(str(name)))


def _take_away(name: str) -> None:
    def work() -> dict[str, Any]:
        count = remove_import(name, store.RESULTS)
        return {"text": f"Removed the experiment **{plain(name)}** with its {count} runs."}

    _done("removed", work)


def _export(runs: pd.DataFrame) -> None:
    st.subheader("Export curves", anchor=False)
    with_curves = runs[(runs["epochs"] > 0) & (runs["provenance"] != "published")]
    names = with_curves["experiment"].value_counts().index.tolist()
    if not names:
        st.info("There is no run with curves yet.")
        return
    root = store.RESULTS
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = str(st.selectbox("Experiment", names, key="export", bind="query-params", width=320))
        st.download_button(
            "All its curves (CSV)",
            lambda: run_tables.csv_bytes(RunStore(root).curves(name)),
            f"seglab-{clean(name, 60)}-curves.csv",
            "text/csv",
            key="csv-curves",
            on_click="ignore",
            icon=":material/download:",
        )
    own = with_curves[with_curves["experiment"] == name]
    st.caption(
        f"{len(own)} runs, {int(own['epochs'].sum())} epochs, every metric and class: one row per run, epoch, metric and class, "
        "values as fractions. The file is made when you press; a large experiment takes a while."
    )
