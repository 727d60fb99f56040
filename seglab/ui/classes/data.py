"""What the Classes page reads and computes: kept, in bounds, until the files change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd
import streamlit as st

from seglab.evidence.classes import ClassCurves, class_curves_of
from seglab.evidence.words import stored_metric
from seglab.labels import SPACES
from seglab.records import store
from seglab.records.files import RunError
from seglab.records.runs import read_record
from seglab.ui import results


def class_order(runs: pd.DataFrame) -> tuple[str, ...]:
    """Return the classes of the runs' label space, by id; none where it is not one of ours."""
    key = runs["label_space"].iloc[0]
    return SPACES[key].names if key in SPACES else ()


def curves(runs: pd.DataFrame, metric: str) -> ClassCurves:
    """Return one metric of every class for runs of one experiment."""
    asked = (runs["experiment"].iloc[0], metric, tuple(runs["run"]), class_order(runs))
    found: ClassCurves = _curves(str(store.RESULTS), *asked)
    return found


@st.cache_data(ttl=results.FRESH_S, max_entries=24, show_spinner=False)  # type: ignore[untyped-decorator]
def _curves(root: str, experiment: str, metric: str, runs: Sequence[str], order: Sequence[str]) -> ClassCurves:
    table = results.curves(experiment, stored_metric(metric, "any"))
    return class_curves_of(table[table["run"].isin(runs)], metric, order)


@dataclass(frozen=True)
class Printed:
    """What published records say beside their figures."""

    spread: Mapping[str, Mapping[str, float]]  # variant -> class -> fraction
    method: str  # of the spread; empty where none was printed
    notes: tuple[str, ...]


def printed(runs: pd.DataFrame, metric: str, epoch: int) -> Printed:
    """Return the printed spread of each class at an epoch, how it was made, and what a reader must be told."""
    spread: dict[str, dict[str, float]] = {}
    method, notes = "", dict[str, None]()
    prefix = f"{stored_metric(metric, 'any')}/"
    for run, variant in zip(runs["run"].tolist(), runs["variant"].tolist(), strict=True):
        try:
            record = read_record(store.RESULTS / run)
            notes[str(record.get("note") or "")] = None
            found = record.get("spread") or {}
            values = found.get("values", {}).get(str(epoch), {})
            mine = {key.removeprefix(prefix): float(x) for key, x in values.items() if key.startswith(prefix)}
        except (RunError, AttributeError, TypeError, ValueError):
            continue
        if mine:
            spread[variant], method = mine, str(found.get("method", ""))
    return Printed(spread, method, tuple(note for note in notes if note))
