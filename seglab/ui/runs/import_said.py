"""What a file does not say is asked beside it; how it was read, its first curves and the command line are shown."""

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from seglab.labels import SPACES
from seglab.records.imports.command import command
from seglab.records.imports.names import KEYS, METRICS, PLAIN, SKIP
from seglab.records.imports.sheet import MAX_EPOCH
from seglab.records.imports.table import ImportedTable, ImportProblem, Said
from seglab.ui.results import plain

_COLUMNS_ASKED = 30
_CURVES = 8
_NOTES = 30


def ask(problem: ImportProblem, space: str, file: str) -> Said:
    """Ask for what a file leaves open, and return the answers.

    Args:
        problem: of the file as it is.
        space: key of the label space; empty where it is not said.
        file: tells files apart: answers are about one of them.
    """
    variant, seed, epoch, mapping = "", None, None, {}
    names = [name for name in dict.fromkeys(problem.unknown) if name][:_COLUMNS_ASKED]
    if not ({"--variant", "--seed", "--epoch"} & set(problem.flags) or names):
        return Said(space or None)
    st.markdown("**What the file does not say**")
    with st.container(horizontal=True):
        if "--variant" in problem.flags:
            variant = st.text_input("Variant", key=f"import-variant-{file}", max_chars=80, width=240)
        if "--seed" in problem.flags:
            seed = st.number_input("Seed", 0, 2**32 - 1, None, 1, key=f"import-seed-{file}", width=160)
        if "--epoch" in problem.flags:
            words = "Epoch of all figures"
            epoch = st.number_input(words, 0, MAX_EPOCH, None, 1, key=f"import-epoch-{file}", width=180)
    classes = dict.fromkeys(name for key, one in SPACES.items() if space in ("", key) for name in one.names)
    meanings = ["", SKIP, *KEYS, *METRICS, *PLAIN, *classes]
    with st.container(horizontal=True):
        for at, name in enumerate(names):
            chosen = st.selectbox(
                f"Column {plain(name, 40)}", meanings, format_func=_meaning, key=f"import-map-{file}-{at}", width=240
            )
            if chosen:
                mapping[name] = chosen
    whole = [None if one is None else int(one) for one in (seed, epoch)]
    return Said(space or None, mapping, variant.strip(), *whole)


def _meaning(name: str) -> str:
    return {"": "as its name tells", SKIP: "left out"}.get(name, name)


def show_reading(table: ImportedTable, files: Sequence[str], name: str, said: Said, unit: str) -> None:
    """Show how a file was read where that is not literal, its first curves, and the command line that repeats it."""
    if table.notes:
        st.markdown("\n".join(["How the file was read:", *(f"- {plain(note, 300)}" for note in table.notes[:_NOTES])]))
    key = "miou" if "miou" in table.metrics else table.metrics[0]
    at = table.metrics.index(key)
    curves: dict[str, Any] = {
        f"{run.title}, seed {run.seed}": pd.Series(run.values[:, at] * 100, index=run.epochs)
        for run in table.runs[:_CURVES]
    }
    st.caption(f"{plain(key)} (%) of the first {len(curves)} of {len(table.runs)} runs, by epoch")
    st.line_chart(pd.DataFrame(curves), height=200)
    st.code(command(files, name or "NAME", said, unit), language="bash")
