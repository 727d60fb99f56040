"""The Runs page: every run, one record, two recipes, published figures, latency, import and export; with data and with none."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from seglab.evidence.runs.table import template_csv
from seglab.predict import latency
from seglab.predict.latency import Latency, Measurement
from seglab.predict.shelf import EXPERIMENT
from seglab.records.imports.table import parse_csv, write_import
from seglab.records.runs import SCHEMA_VERSION
from tests.pages.conftest import ROOT, OpenPage, run, said
from tests.synthetic import write_experiment

PAGE = ROOT / "pages" / "runs.py"
ABLATION = "camvid-boundary-ablation"
TABS = ("Runs", "Accuracy and latency", "Searches", "Published figures", "Import and export")
HOSTILE_TITLE = "<img src=x onerror=alert(1)> ![x](http://evil.example/x.png) :red[boo] [a](javascript:alert(1))"
KEYS = ("deeplabv3plus", "mask2former", "fpn_convnextv2", "upernet_convnextv2")


def make_store(results: Path) -> Path:
    write_experiment(results, ABLATION, epochs=4, counts_at=())
    write_experiment(results, "killed", seeds=[1], epochs=2, counts_at=(), status="running", variants={"x": "X: lost"})
    hostile = {"title": HOSTILE_TITLE, "status": "failed", "message": HOSTILE_TITLE, "warm_start": [1]}
    write_experiment(results, "hostile", seeds=[1], epochs=1, counts_at=(), variants={"h": "h"}, **hostile)
    write_import(parse_csv(template_csv(), name="mine.csv"), "mine", results)
    for name in ("boundary-ablation", "deeplab-mask2former", "fpn-convnextv2", "architectures", "loss-search"):
        (results / f"published-{name}").symlink_to(ROOT / "results" / f"published-{name}")
    (results / EXPERIMENT).mkdir()
    for key in KEYS:
        (results / EXPERIMENT / f"{key}-seed42").symlink_to(ROOT / "results" / EXPERIMENT / f"{key}-seed42")
    broken = results / ABLATION / "broken-seed1"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    return results


def damage(results: Path) -> None:
    """Fill a store with nothing but a damaged record, whose field is markup."""
    folder = results / "only" / "broken-seed1"
    folder.mkdir(parents=True)
    record = dict.fromkeys(("experiment", "variant", "title", "seed", "model", "label_space", "provenance", "status"))
    (folder / "run.json").write_text(json.dumps(record | {"schema_version": "![x](http://evil.example)"}))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with everything in it. Read only."""
    return make_store(tmp_path_factory.mktemp("results"))


@pytest.fixture
def own_store(tmp_path: Path) -> Path:
    """Return a small store that a test may change."""
    results = tmp_path / "results"
    write_experiment(results, ABLATION, seeds=[1], epochs=3, counts_at=())
    return results


def listed(page: AppTest) -> list[str]:
    return list(page.dataframe(key="runs-table").value["run"])


def test_every_run_is_listed_once_published_ones_last(open_in: OpenPage, store: Path) -> None:
    page = open_in(store)
    runs = listed(page)
    assert len(runs) == len(set(runs)) == 12 + 1 + 1 + 4 + 4 + (12 + 2 + 2 + 8 + 2)
    kinds = [kind[0] for kind in page.dataframe(key="runs-table").value["provenance"]]
    assert kinds == sorted(kinds, key=lambda kind: kind == "published")
    seeds = [run.rpartition("seed")[2] for run in runs if run.startswith(f"{ABLATION}/a-ce")]
    assert seeds == ["42", "123", "456"]
    assert f"{len(runs)} of {len(runs)} runs" in said(page)


def test_damaged_records_are_listed_with_their_reason(open_in: OpenPage, store: Path) -> None:
    page = open_in(store)
    assert [one.label for one in page.expander if "damaged" in one.label] == ["1 damaged record left out"]
    assert f"{ABLATION}/broken-seed1" in said(page)
    assert "cannot be read as JSON" in said(page)


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens_from_a_link_and_no_other_is_computed(open_in: OpenPage, store: Path, tab: str) -> None:
    page = open_in(store, tab=tab)
    assert [one.label for one in page.tabs if len(one.children) > 0] == [tab]
    assert not page.error


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_says_what_to_do_where_there_is_no_run(open_in: OpenPage, tmp_path: Path, tab: str) -> None:
    page = open_in(tmp_path / "nowhere", tab=tab)
    assert page.info
    assert not page.error


@pytest.mark.parametrize("tab", TABS)
def test_a_store_of_damaged_records_only_names_them(open_in: OpenPage, tmp_path: Path, tab: str) -> None:
    damage(tmp_path)
    page = open_in(tmp_path, tab=tab)
    assert page.info
    assert "only/broken-seed1" in said(page)
    assert not any("![x](" in element.value for element in page.markdown), "shown as text, not as an image"


def test_filters_and_words_come_from_the_link(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, words="dice c-ce", experiment=[ABLATION])
    assert listed(page) == [f"{ABLATION}/c-ce-dice-boundary-seed{seed}" for seed in (42, 123, 456)]
    page = open_in(store, provenance=["imported"])
    assert {run.split("/")[0] for run in listed(page)} == {"mine"}
    assert "4 imported" in said(page)
    page = open_in(store, state=["stopped"])
    assert listed(page) == ["killed/x-seed1"]
    assert "no process of this machine holds the run's lock" in said(page)
    page = open_in(store, label_space=["other"], model=["fpn_convnextv2"])
    assert listed(page) == ["published-fpn-convnextv2/fpn_convnextv2"]


def test_filters_that_fit_nothing_say_so(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, words="no such thing")
    assert "fits these filters" in said(page)
    page.text_input(key="words").set_value("")
    assert len(listed(run(page))) == 48


def test_a_link_to_what_is_not_there_shows_the_table(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, run="../../etc", experiment=["nope"], tab="nope", state=["\x00"], **{"with": "no/run"})
    assert len(listed(page)) == 48
    assert not page.subheader


def test_one_run_shows_its_record(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, run=f"{EXPERIMENT}/upernet_convnextv2-seed42")
    facts, recipe, figures = (frame.value for frame in list(page.dataframe)[1:4])
    told = dict(zip(facts["fact"], facts["value"], strict=True))
    record = json.loads((store / EXPERIMENT / "upernet_convnextv2-seed42" / "run.json").read_text())
    assert told["val fingerprint"] == record["data"]["val"]["fingerprint"]
    assert told["teacher"] == record["teacher"]["run"]
    assert "starts from" not in told, "from scratch"
    assert told["commit"] == record["environment"]["git_commit"]
    assert dict(zip(recipe["setting"], recipe["value"], strict=True))["data.crop_px"] == "[288, 384]"
    assert figures["value"].iloc[0] == f"{record['metrics']['miou'] * 100:.2f}"
    page.session_state["everything"] = True
    everything = list(run(page).dataframe)[-1].value
    assert {"recipe.lr", "weights.sha256", "metrics.iou/road"} <= set(everything["setting"])


def test_a_published_run_is_marked_and_says_its_source_and_correction(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, run="published-boundary-ablation/a-ce-seed42")
    assert "Published figures, transcribed and not measured here" in page.warning[0].value.replace("\\", "")
    assert "zenodo.21006393" in said(page)
    assert "contour of road" in said(page)
    assert "81.51" in list(page.dataframe)[3].value["value"].tolist()


def test_an_imported_run_is_marked(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, run="mine/a-ce-seed42")
    assert "Imported from a file (mine.csv), not measured here" in said(page)


def test_two_runs_show_only_what_differs_until_asked_for_all(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, run=f"{ABLATION}/a-ce-seed42", **{"with": f"{ABLATION}/b-ce-dice-seed42"})
    table = list(page.dataframe)[-1].value
    assert table[["part", "setting", "left", "right"]].to_numpy().tolist() == [["recipe", "loss", "CE", "CE + Dice"]]
    assert "1 setting differs: 1 in the recipe." in said(page)
    page.toggle(key="same").set_value(True)
    table = list(run(page).dataframe)[-1].value
    assert {"lr", "git_commit", "val.images"} <= set(table["setting"])
    assert table["differs"].sum() == 1


def test_two_seeds_of_one_recipe_differ_in_nothing_else(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, run=f"{ABLATION}/a-ce-seed42")
    page.selectbox(key="with").set_value(f"{ABLATION}/a-ce-seed123")
    assert "Nothing differs but the seed." in said(run(page))
    page.selectbox(key="with").set_value(None)
    page.selectbox(key="run").set_value(None)
    assert not run(page).subheader
    assert page.session_state["runs-table"]["selection"]["rows"] == []


def test_runs_on_other_data_are_told_not_to_compare(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, run=f"{ABLATION}/a-ce-seed42", **{"with": "published-boundary-ablation/a-ce-seed42"})
    assert "Their figures do not compare: they were measured on other classes" in said(page)


def test_a_run_outside_the_filter_can_still_be_linked_to(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, run="mine/a-ce-seed42", words="mask2former")
    assert "mine/a-ce-seed42" not in listed(page)
    assert page.selectbox(key="run").value == "mine/a-ce-seed42"
    assert page.subheader


def test_markup_in_a_record_is_shown_as_text(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, run="hostile/h-seed1", words="hostile")
    sent = [
        str(element.value) for kind in (page.markdown, page.subheader, page.error, page.caption) for element in kind
    ]
    for text in sent:
        assert not re.search(r"(?<!\\)(<img|!\[|\[(boo|a)|:red\[|\]\()", text), text
    assert HOSTILE_TITLE in said(page)


def test_published_figures_stand_with_source_and_ranges(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, tab="Published figures")
    texts = said(page)
    assert "Method note of a proof of concept, DeepLabV3+ against Mask2Former" in texts
    assert "never compare them or draw them on one axis" in texts
    assert all("published" in element.value for element in page.subheader)
    cells = {cell for frame in page.dataframe for row in frame.value.to_numpy().tolist() for cell in row}
    assert {"59–66", "75–78", "81.19", "34.96", "63.9", "81.57"} <= cells


def times(results: Path, **weights: str) -> Measurement:
    timed = []
    for key, (median, low, high) in {
        "deeplabv3plus": (30, 29, 31),
        "fpn_convnextv2": (20, 19, 21),
        "upernet_convnextv2": (25, 24, 32),
        "mask2former": (60, 55, 70),
    }.items():
        record = json.loads((results / EXPERIMENT / f"{key}-seed42" / "run.json").read_text())
        sha256 = weights.get(key, record["weights"]["sha256"])
        timed.append(Latency(key, sha256, "OpenVINO 1", median, low, high, 7))
    return Measurement("Some CPU, 2 cores", "2026-11-21T10:00:00+00:00", "960x600", 0.1, tuple(timed), {})


def test_without_a_stored_measurement_the_page_asks_to_measure(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, tab="Accuracy and latency")
    assert page.button(key="measure").label == "Measure here (about 10 s)"
    assert "No latency is stored for these weights" in said(page)


def test_stored_times_name_their_machine_and_the_frontier_is_told(
    open_in: OpenPage, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "read_stored", lambda root: times(store))
    page = open_in(store, tab="Accuracy and latency")
    assert "Stored figures of another time and machine: Some CPU, 2 cores" in page.warning[0].value.replace("\\", "")
    table = list(page.dataframe)[-1].value.set_index("model")
    assert table["frontier"].to_dict() == {
        "FPN-ConvNeXtV2-atto": "yes",
        "UPerNet-ConvNeXtV2-atto": "yes",
        "DeepLabV3+ ResNet-10-T": "no",
        "Mask2Former ResNet-10-T": "no",
    }
    assert "DeepLabV3+ ResNet-10-T** (30 ms, mIoU 64.8 %) is beaten by UPerNet-ConvNeXtV2-atto" in said(page)
    assert "Their times overlap" in said(page)
    assert table["test mIoU"].to_dict()["DeepLabV3+ ResNet-10-T"] == "55.5 %"
    assert table["test mIoU"].to_dict()["Mask2Former ResNet-10-T"] == "not measured"
    assert "flatters: it lies 9 to 14 points above test" in said(page)
    assert "one clip of one street" in said(page)


def test_times_of_other_weights_are_not_shown(open_in: OpenPage, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "read_stored", lambda root: times(store, mask2former="0" * 64))
    page = open_in(store, tab="Accuracy and latency")
    assert len(list(page.dataframe)[-1].value) == 3
    assert "Mask2Former ResNet-10-T is left out: its weights are not the ones that were timed" in said(page)


def test_measuring_here_replaces_what_was_stored(
    open_in: OpenPage, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "read_stored", lambda root: times(store))
    monkeypatch.setattr(latency, "measure", lambda runs, on_progress: times(store))
    page = open_in(store, tab="Accuracy and latency")
    page.button(key="measure").click()
    run(page)
    assert "Measured on this machine: Some CPU, 2 cores" in page.success[0].value.replace("\\", "")
    assert not page.warning
    assert not page.progress


def test_while_another_session_measures_the_page_says_so(
    open_in: OpenPage, own_store: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise latency.Busy("another session is measuring")

    (own_store / EXPERIMENT).symlink_to(store / EXPERIMENT)
    monkeypatch.setattr(latency, "measure", busy)
    page = open_in(own_store, tab="Accuracy and latency")
    page.button(key="measure").click()
    assert "Another session is measuring" in said(run(page))


def test_published_figures_are_not_offered_as_curves(open_in: OpenPage, store: Path) -> None:
    page = open_in(store, tab="Import and export", export="mine")
    assert page.selectbox(key="export").value == "mine"
    assert not [name for name in page.selectbox(key="export").options if name.startswith("published-")]


def test_a_table_of_ten_thousand_runs_stays_whole(open_in: OpenPage, tmp_path: Path) -> None:
    record = {
        **{"schema_version": SCHEMA_VERSION, "experiment": "e", "variant": "v", "title": "V", "seed": 1, "epochs": 1},
        **{
            "model": {"key": "m", "size": "s"},
            "label_space": "camvid-11",
            "provenance": "trained",
            "status": "finished",
        },
    }
    text = json.dumps(record)
    for number in range(1_500):  # beyond what the select boxes offer; benchmarks/store_scale.py makes ten thousand
        folder = tmp_path / "e" / f"v-seed{number:04}"
        folder.mkdir(parents=True)
        (folder / "run.json").write_text(text)
    page = open_in(tmp_path, run="e/v-seed1499")
    assert len(listed(page)) == 1_500
    assert len(page.selectbox(key="run").options) == 501
    assert page.selectbox(key="run").value == "e/v-seed1499"


OPEN_TABS = """
import sys
from streamlit.testing.v1 import AppTest
for tab in sys.argv[2:]:
    page = AppTest.from_file(sys.argv[1], default_timeout=120)
    page.query_params["tab"] = tab
    page.run()
    assert not page.exception and not page.error, tab
print(*{"torch", "transformers", "openvino", "timm", "seglab.predict.segmenter"} & sys.modules.keys())
"""


def test_the_page_imports_no_torch(store: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", OPEN_TABS, str(PAGE), *TABS],
        cwd=ROOT,
        env={**os.environ, "SEGLAB_RESULTS": str(store)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-1500:]
    assert done.stdout.strip() == ""
