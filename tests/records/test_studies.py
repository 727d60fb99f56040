"""A search's file is data from outside: read only where it is sound, and told in one sentence where it is not."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from seglab.figures.searches import history_figure, importance_figure, name_of, parallel_figure
from seglab.records.files import RunError
from seglab.records.studies import MAX_BYTES, PARAMETER, find_studies, read_study, trials_table
from tests.synthetic import study_values

SPACE = study_values()["space"]


def write(folder: Path, **changes: Any) -> Path:
    path = folder / "exp" / "v.study.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(study_values() | changes))
    return path


def trial(**changes: Any) -> dict[str, Any]:
    return study_values()["trials"][0] | changes


def test_studies_are_found_and_read(tmp_path: Path) -> None:
    path = write(tmp_path)
    assert find_studies(tmp_path) == [path]
    assert read_study(path) == study_values()
    assert find_studies(tmp_path / "nowhere") == []


@pytest.mark.parametrize(
    "changes",
    [
        {"schema_version": 2},
        {"trials": {}},
        {"trials": [1]},
        {"trials": [trial(state="gone")]},
        {"trials": [trial(value="0.5")]},
        {"trials": [trial(value=math.nan)]},
        {"trials": [trial(miou=[0.1])]},
        {"trials": [trial(epochs=None)]},
        {"trials": [trial(number="1")]},
        {"trials": [trial()] * 5001},
        {"title": None},
        {"space": []},
        {"environment": "mine"},
        {"importance": {"lr": "much"}},
        {"importance": {"colour": 0.5}},
        {"space": {"lr": 5}},
        {"space": {"lr": {"text": 5}}},
        {"space": {str(n): {} for n in range(51)}},
        {"trials": [trial(value=10**400)]},
        {"trials": [trial(number=10**30)]},
        {"trials": [trial(params={"lr": 1e300})]},
        {"trials": [trial(params={"lr": {"a": 1}})]},
        {"trials": [trial(seconds="long")]},
    ],
    ids=lambda changes: str(changes)[:60],
)
def test_a_file_of_another_shape_is_refused(tmp_path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(RunError, match=r"exp/v\.study\.json cannot be read as a search; restore it or delete it"):
        read_study(write(tmp_path, **changes))


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"[" * 100_000, b" " * (MAX_BYTES + 1)], ids=len)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes) -> None:
    path = write(tmp_path)
    path.write_bytes(content)
    with pytest.raises(RunError, match="cannot be read as a search"):
        read_study(path)


def test_the_table_has_the_last_figure_of_each_trial_and_the_best_so_far() -> None:
    table = trials_table(study_values())
    assert table["number"].tolist() == [0, 1, 2, 3, 4, 5]
    assert table["miou"].tolist()[:5] == [0.2, 0.35, 0.1, 0.3, 0.4]
    assert math.isnan(table["miou"][5]), "it failed before its first evaluation"
    assert table["best"].tolist() == [0.2, 0.35, 0.35, 0.35, 0.4, 0.4]
    assert table["epochs"].tolist() == [2, 2, 1, 2, 2, 0]
    assert list(table.columns[6:]) == [PARAMETER + key for key in SPACE]


def test_the_figures_show_every_trial_that_has_a_figure() -> None:
    table = trials_table(study_values())
    history = history_figure(table)
    assert {trace.name: len(trace.x) for trace in history.data} == {
        "best so far": 6,
        "complete": 4,
        "pruned: stopped early": 1,
    }
    lines = parallel_figure(table, SPACE, "#000000").data[0]
    assert [axis.label for axis in lines.dimensions] == ["lr", "w in ce + w*dice", "optimizer", "mIoU (%)"]
    assert [len(axis.values) for axis in lines.dimensions] == [5] * 4
    assert lines.dimensions[0].ticktext[0] == "0.001"
    assert list(lines.dimensions[2].ticktext) == ["adam", "adamw"]
    bars = importance_figure({"lr": 0.75, "loss": 0.25}, SPACE).data[0]
    assert list(bars.y) == ["w in ce + w*dice", "lr"]
    assert list(bars.x) == [25, 75]


def test_odd_but_honest_values_have_axes() -> None:
    values = [1e-3, 0.0, None, [1, 2], True, "adam"]
    trials = [trial(number=n, params={"miou": value}) for n, value in enumerate(values)]
    for log in (True, False):
        for some in (trials, trials[:2], trials[:1], trials[3:]):
            study = study_values() | {"space": {"miou": {"log": log}}, "trials": some}
            lines = parallel_figure(trials_table(study), study["space"], "#000000").data[0]
            assert len(lines.dimensions[0]["values"]) == len(some)


def test_what_a_search_may_try_is_read(tmp_path: Path) -> None:
    odd = trial(params={"lr": None, "augment": ["flip", "blur"], "size": [96, 128]})
    assert read_study(write(tmp_path, trials=[odd]))["trials"] == [odd]


def test_a_parameter_has_a_short_name() -> None:
    assert name_of("model.options.decoder_aspp_dropout", {}) == "aspp dropout"
