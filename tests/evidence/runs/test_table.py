"""The table of runs: states, filters, columns that keep measured and reported figures apart, files that are safe to open."""

import csv
import fcntl
import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from seglab.evidence.runs.table import csv_bytes, overview, select, template_csv, with_state
from seglab.labels import SPACES
from seglab.records.imports.removal import remove_import
from seglab.records.imports.table import parse_csv, write_import
from seglab.records.lock import LOCK, is_locked
from seglab.records.store import RunStore
from tests.synthetic import write_experiment

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    write_experiment(results, epochs=3, counts_at=())
    write_experiment(results, "killed", seeds=[1], epochs=2, counts_at=(), status="running", variants={"x": "X: lost"})
    write_import(parse_csv(template_csv()), "mine", results)
    for name in ("published-deeplab-mask2former", "published-fpn-convnextv2"):
        (results / name).symlink_to(ROOT / "results" / name)
    return results


@pytest.fixture
def runs(store: Path) -> pd.DataFrame:
    return with_state(RunStore(store).runs(), store)


@pytest.fixture
def held(store: Path) -> Iterator[Path]:
    """Hold the lock of the run that says it is running, as its trainer does."""
    folder = store / "killed" / "x-seed1"
    with open(folder / LOCK, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield folder
    (folder / LOCK).unlink()


def test_a_running_run_whose_lock_nobody_holds_is_stopped(runs: pd.DataFrame) -> None:
    states = runs.set_index("run")["state"]
    assert states["killed/x-seed1"] == "stopped"
    assert set(states.drop("killed/x-seed1")) == {"finished"}


def test_a_running_run_whose_lock_is_held_is_running(store: Path, held: Path) -> None:
    states = with_state(RunStore(store).runs(), store).set_index("run")["state"]
    assert states["killed/x-seed1"] == "running"


def test_looking_at_a_lock_leaves_it_to_its_holder(held: Path, tmp_path: Path) -> None:
    assert is_locked(held)
    assert is_locked(held)
    assert not is_locked(tmp_path)
    (tmp_path / LOCK).touch()
    assert not is_locked(tmp_path)
    with open(tmp_path / LOCK, "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_filters_agree_with_a_plain_loop(runs: pd.DataFrame) -> None:
    chosen = {"provenance": ["trained", "imported"], "experiment": ["mine", "killed"], "state": []}
    expected = [
        run
        for run, kind, experiment in zip(runs["run"], runs["provenance"], runs["experiment"], strict=True)
        if kind in ("trained", "imported") and experiment in ("mine", "killed")
    ]
    assert select(runs, **chosen)["run"].tolist() == expected
    assert len(expected) == 5


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ("", 21),
        ("LOST", 1),
        ("boundary seed", 6 + 6),
        ("dice c-ce", 3),
        ("cpu (test)", 13),
        ("swin", 1),
        (".*", 0),
        ("\\", 0),
    ],
)
def test_every_word_must_be_found_somewhere_in_the_row(runs: pd.DataFrame, words: str, count: int) -> None:
    assert len(select(runs, words)) == count


def test_reported_figures_never_stand_in_the_column_of_measured_ones(runs: pd.DataFrame) -> None:
    table = overview(runs).assign(kind=runs["provenance"])
    assert table.loc[table["kind"] == "trained", "reported mIoU (%)"].isna().all()
    assert table.loc[table["kind"] != "trained", "val mIoU (%)"].isna().all()
    published = table[table["run"] == "published-fpn-convnextv2/fpn_resnet"]
    assert published["reported mIoU (%)"].tolist() == [pytest.approx(71)]
    assert table["provenance"].tolist() == [[kind] for kind in runs["provenance"]]


def test_the_test_figure_stands_beside_val_where_it_was_measured() -> None:
    bundled = RunStore(ROOT / "results").runs()
    bundled = bundled[bundled["experiment"] == "camvid-architectures"]
    table = overview(with_state(bundled, ROOT / "results")).set_index("run")["test mIoU (%)"]
    assert table["camvid-architectures/deeplabv3plus-seed42"] == pytest.approx(55.5)
    assert np.isnan(table["camvid-architectures/mask2former-seed42"])


def test_a_test_file_that_cannot_be_used_is_no_figure(tmp_path: Path) -> None:
    write_experiment(tmp_path, seeds=[1], epochs=2, counts_at=(), variants={"x": "X: one"})
    (folder,) = (tmp_path / "camvid-boundary-ablation").iterdir()
    (folder / "test.json").write_text("{")
    assert with_state(RunStore(tmp_path).runs(), tmp_path)["test_miou"].isna().all()


def test_cost_is_seconds_times_epochs(runs: pd.DataFrame) -> None:
    table = overview(runs[runs["experiment"] == "killed"])
    assert table["hours"].tolist() == [pytest.approx(15 * 2 / 3600)]
    assert table["memory (MiB)"].tolist() == [800]


def test_huge_texts_are_cut_before_they_are_sent(runs: pd.DataFrame) -> None:
    long = runs.assign(title="t" * 10_000, device="d" * 10_000, model="m" * 10_000, started="s" * 10_000)
    assert max(len(str(cell)) for row in overview(long).to_numpy().tolist() for cell in row) <= 300


def test_no_cell_of_a_file_is_a_formula() -> None:
    texts = ["=1+1", "+1", "-1", "@x", "\tx", "fine", ""]
    table = pd.DataFrame({"text": texts, "kind": pd.Categorical(texts), "value": [-1.5, 0, 1, 2, 3, 4, float("nan")]})
    rows = list(csv.DictReader(io.StringIO(csv_bytes(table).decode())))
    for column in ("text", "kind"):
        assert [row[column] for row in rows] == ["'=1+1", "'+1", "'-1", "'@x", "'\tx", "fine", ""]
    assert rows[0]["value"] == "-1.5"
    assert table["text"].tolist() == texts, "the table itself stays as it is"


def test_the_exported_table_and_curves_can_be_read_back(store: Path, runs: pd.DataFrame) -> None:
    back = pd.read_csv(io.BytesIO(csv_bytes(runs)))
    assert back["run"].tolist() == runs["run"].tolist()
    assert back["miou"].tolist() == pytest.approx(runs["miou"].tolist(), nan_ok=True)
    curves = RunStore(store).curves("mine")
    back = pd.read_csv(io.BytesIO(csv_bytes(curves)), keep_default_na=False, na_values={"value": [""]})
    assert len(back) == len(curves) == 8 * (4 + 11)
    assert back["class"].tolist() == curves["class"].astype(str).tolist()


@pytest.mark.parametrize("key", SPACES)
def test_the_template_can_be_imported_as_it_is(key: str) -> None:
    table = parse_csv(template_csv(key), key)
    assert (len(table.runs), table.rows, table.unit) == (4, 8, "fraction")
    assert {f"iou/{name}" for name in SPACES[key].names} <= set(table.metrics)
    if [one for one in SPACES if set(SPACES[key].names) <= set(SPACES[one].names)] == [key]:  # the columns tell it
        assert parse_csv(template_csv(key)).label_space == key


def test_a_store_of_other_kinds_of_values_still_makes_a_table(tmp_path: Path) -> None:
    write_experiment(
        tmp_path,
        seeds=[1],
        epochs=1,
        counts_at=(),
        variants={"a": "A"},
        status="?" * 999,
        started=[1],
        citation={"a": 1},
    )
    folder = tmp_path / "camvid-boundary-ablation" / "a-seed1"
    record = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(
        json.dumps(record | {"title": "\ud800", "provenance": 5, "peak_memory_mib": "much"})
    )
    runs = with_state(RunStore(tmp_path).runs(), tmp_path)
    assert runs["problem"].isna().all()
    table = overview(runs)
    assert len(table["status"][0][0]) <= 40
    assert len(select(runs, "?")) == 1
    csv_bytes(runs)


def test_a_removed_import_is_gone_from_the_table(tmp_path: Path) -> None:
    write_import(parse_csv(template_csv()), "mine", tmp_path)
    assert len(RunStore(tmp_path).runs()) == 4
    remove_import("mine", tmp_path)
    assert RunStore(tmp_path).runs().empty
