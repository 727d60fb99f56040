"""The Runs page's table, made of the index of runs: what is listed, what fits a filter, what is exported.

Figures of others (published, imported) stand in a column of their own, so that nobody takes them for measured ones.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seglab.labels import space
from seglab.records import held_out
from seglab.records.fields import clean
from seglab.records.files import RunError
from seglab.records.lock import is_locked
from seglab.records.runs import Record, read_record

STOPPED = "stopped"  # a run that says it is running while nobody holds its lock
SEARCHED = ("run", "title", "model", "size", "data_name", "label_space", "device", "git_commit", "citation")
FILTERS = ("experiment", "state", "provenance", "model", "label_space")
TEMPLATE_METRICS = ("mIoU", "pixel_accuracy", "boundary_f1_mean", "trimap_mIoU_mean")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def with_state(runs: pd.DataFrame, root: Path) -> pd.DataFrame:
    """Return sound runs with ``state``, the status, but :data:`STOPPED` where a running run has no process; and ``test_miou``."""
    state = [
        STOPPED if status == "running" and not is_locked(root / run) else clean(status, 40)
        for run, status in zip(runs["run"].tolist(), runs["status"].tolist(), strict=True)
    ]
    tested = pd.Series([_test_miou(root, run) for run in runs["run"].tolist()], index=runs.index, dtype="float64")
    return runs.assign(state=pd.Series(state, index=runs.index, dtype="str"), test_miou=tested)


def _test_miou(root: Path, run: str) -> float:
    """Return a run's mIoU on test; NaN where it was not measured or its file cannot be used."""
    if not (root / run / held_out.FILE).is_file():
        return float("nan")
    try:
        found, _ = held_out.of_run(Record(root / run, read_record(root / run)))
    except RunError:
        return float("nan")
    return found.miou if found else float("nan")


def select(runs: pd.DataFrame, words: str = "", **chosen: Sequence[str]) -> pd.DataFrame:
    """Return the runs that hold every word and match every filter.

    Args:
        runs: as :func:`with_state` returns them.
        words: each is looked for in :data:`SEARCHED`, capital letters being the same as small ones.
        chosen: allowed values by column of :data:`FILTERS`; none chosen allows all.
    """
    keep = pd.Series(True, index=runs.index)
    for column, values in chosen.items():
        if values:
            keep &= runs[column].isin(list(values))
    found = runs[keep]
    if words.strip():
        text = pd.Series("", index=found.index)
        for column in SEARCHED:
            text = text + found[column].fillna("").astype(str).str.lower() + "\n"
        for word in words.lower().split():
            found = found[text.loc[found.index].str.contains(word, regex=False)]
    return found


def overview(runs: pd.DataFrame) -> pd.DataFrame:
    """Return the table as the page shows it; one row a run, in the order given."""
    own = runs["provenance"] == "trained"
    miou = runs["miou"] * 100
    hours = runs["seconds_per_epoch"] * runs["epochs"].astype("float64") / 3600

    def text(column: str, limit: int = 80) -> "pd.Series[str]":
        return runs[column].fillna("").astype(str).str.slice(0, limit)

    return pd.DataFrame(
        {
            "title": text("title"),
            "seed": runs["seed"],
            "provenance": _badges(text("provenance", 20)),
            "status": _badges(text("state", 20)),
            "experiment": text("experiment"),
            "val mIoU (%)": miou.where(own),
            "test mIoU (%)": runs["test_miou"] * 100,
            "reported mIoU (%)": miou.mask(own),
            "epochs": runs["epochs"],
            "s/epoch": runs["seconds_per_epoch"],
            "hours": hours,
            "memory (MiB)": runs["peak_memory_mib"],
            "parameters (M)": runs["parameters"] / 1e6,
            "model": text("model", 40),
            "label space": text("label_space", 40),
            "device": text("device"),
            "data": (text("data_name", 40) + " " + text("split", 20)).str.strip(),
            "val images": runs["val_images"],
            "commit": text("git_commit", 7),
            "started": text("started", 16).str.replace("T", " "),
            "run": runs["run"],
        }
    )


def _badges(column: "pd.Series[str]") -> list[Any]:
    return [[one] for one in column.tolist()]  # lists are drawn as badges


def csv_bytes(table: pd.DataFrame) -> bytes:
    """Return a table as CSV; a text that a spreadsheet would run as a formula gets an apostrophe before it."""
    safe = table.copy()
    for column in safe.columns:
        if not pd.api.types.is_numeric_dtype(safe[column]) and not pd.api.types.is_bool_dtype(safe[column]):
            safe[column] = _guarded(safe[column])
    return safe.to_csv(index=False).encode("utf-8", "replace")


def _guarded(column: "pd.Series[Any]") -> "pd.Series[Any]":
    if isinstance(column.dtype, pd.CategoricalDtype):  # curves hold few different texts, many times
        return column.cat.rename_categories(lambda one: f"'{one}" if str(one).startswith(_FORMULA) else one)
    risky = column.fillna("").astype(str).str.startswith(_FORMULA)
    return column.mask(risky, "'" + column.astype(str)) if risky.any() else column


def template_csv(label_space: str = "camvid-11") -> bytes:
    """Return a small table that can be imported as it is: two variants, two seeds, two epochs, every class."""
    names = space(label_space).names
    lines = [",".join(["variant", "seed", "epoch", *TEMPLATE_METRICS, *(f"iou/{name}" for name in names)])]
    for v, variant in enumerate(("A: CE", "B: CE + Dice")):
        for seed in (42, 123):
            for epoch in (10, 20):
                level = 0.5 + 0.02 * v + 0.01 * (seed == 123) + 0.005 * epoch + 0.004 * (v == (seed == 42))
                values = [
                    level,
                    level + 0.3,
                    level + 0.05,
                    level - 0.1,
                    *np.linspace(level + 0.2, level - 0.2, len(names)),
                ]
                lines.append(",".join([variant, str(seed), str(epoch), *(f"{value:.4f}" for value in values)]))
    return ("\n".join(lines) + "\n").encode()
