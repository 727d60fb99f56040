"""The Runs page: every run, one record, two recipes, published figures, latency, import and export; with data and with none."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from seglab import latency
from seglab.imports.table import parse_csv, write_import
from seglab.latency import Latency, Measurement
from seglab.run_tables import template_csv
from seglab.runs import EXPERIMENT, SCHEMA_VERSION
from tests.synthetic import write_experiment

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "pages" / "runs.py"
ABLATION = "camvid-boundary-ablation"
TABS = ("Runs", "Accuracy and latency", "Published figures", "Import and export")
HOSTILE_TITLE = "<img src=x onerror=alert(1)> ![x](http://evil.example/x.png) :red[boo] [a](javascript:alert(1))"
KEYS = ("deeplabv3plus", "mask2former", "fpn_convnextv2", "upernet_convnextv2")

Open = Callable[..., AppTest]


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


@pytest.fixture
def open_page(monkeypatch: pytest.MonkeyPatch) -> Open:
    def open_at(results: Path, **link: str | list[str]) -> AppTest:
        monkeypatch.setattr("seglab.runs.RESULTS", results)
        page = AppTest.from_file(str(PAGE), default_timeout=60)
        for name, value in link.items():
            page.query_params[name] = value
        return run(page)

    return open_at


def run(page: AppTest) -> AppTest:
    page.run()
    assert not page.exception, page.exception[0].value
    return page


def said(page: AppTest) -> str:
    """Return what the page says, as a reader sees it: without the backslashes that keep markup from being markup."""
    kinds = (page.markdown, page.caption, page.info, page.warning, page.error, page.success, page.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind).replace("\\", "")


def listed(page: AppTest) -> list[str]:
    return list(page.dataframe(key="runs-table").value["run"])


def upload(page: AppTest, data: bytes, name: str = "My results (2).csv") -> AppTest:
    turn = page.session_state.get("import-turn") or 0
    page.file_uploader(key=f"import-{turn}").upload(name, data)
    return run(page)


def test_every_run_is_listed_once_published_ones_last(open_page: Open, store: Path) -> None:
    page = open_page(store)
    runs = listed(page)
    assert len(runs) == len(set(runs)) == 12 + 1 + 1 + 4 + 4 + (4 + 2 + 2 + 8 + 2)
    kinds = [kind[0] for kind in page.dataframe(key="runs-table").value["provenance"]]
    assert kinds == sorted(kinds, key=lambda kind: kind == "published")
    seeds = [run.rpartition("seed")[2] for run in runs if run.startswith(f"{ABLATION}/a-ce")]
    assert seeds == ["42", "123", "456"]
    assert f"{len(runs)} of {len(runs)} runs" in said(page)


def test_damaged_records_are_listed_with_their_reason(open_page: Open, store: Path) -> None:
    page = open_page(store)
    assert [one.label for one in page.expander if "damaged" in one.label] == ["1 damaged record left out"]
    assert f"{ABLATION}/broken-seed1" in said(page)
    assert "cannot be read as JSON" in said(page)


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens_from_a_link_and_no_other_is_computed(open_page: Open, store: Path, tab: str) -> None:
    page = open_page(store, tab=tab)
    assert [one.label for one in page.tabs if len(one.children) > 0] == [tab]
    assert not page.error


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_says_what_to_do_where_there_is_no_run(open_page: Open, tmp_path: Path, tab: str) -> None:
    page = open_page(tmp_path / "nowhere", tab=tab)
    assert page.info
    assert not page.error


@pytest.mark.parametrize("tab", TABS)
def test_a_store_of_damaged_records_only_names_them(open_page: Open, tmp_path: Path, tab: str) -> None:
    damage(tmp_path)
    page = open_page(tmp_path, tab=tab)
    assert page.info
    assert "only/broken-seed1" in said(page)
    assert not any("![x](" in element.value for element in page.markdown), "shown as text, not as an image"


def test_filters_and_words_come_from_the_link(open_page: Open, store: Path) -> None:
    page = open_page(store, words="dice c-ce", experiment=[ABLATION])
    assert listed(page) == [f"{ABLATION}/c-ce-dice-boundary-seed{seed}" for seed in (42, 123, 456)]
    page = open_page(store, provenance=["imported"])
    assert {run.split("/")[0] for run in listed(page)} == {"mine"}
    assert "4 imported" in said(page)
    page = open_page(store, state=["stopped"])
    assert listed(page) == ["killed/x-seed1"]
    assert "no process of this machine holds the run's lock" in said(page)
    page = open_page(store, label_space=["other"], model=["fpn_convnextv2"])
    assert listed(page) == ["published-fpn-convnextv2/fpn_convnextv2"]


def test_filters_that_fit_nothing_say_so(open_page: Open, store: Path) -> None:
    page = open_page(store, words="no such thing")
    assert "fits these filters" in said(page)
    page.text_input(key="words").set_value("")
    assert len(listed(run(page))) == 40


def test_a_link_to_what_is_not_there_shows_the_table(open_page: Open, store: Path) -> None:
    page = open_page(store, run="../../etc", experiment=["nope"], tab="nope", state=["\x00"], **{"with": "no/run"})
    assert len(listed(page)) == 40
    assert not page.subheader


def test_one_run_shows_its_record(open_page: Open, store: Path) -> None:
    page = open_page(store, run=f"{EXPERIMENT}/upernet_convnextv2-seed42")
    facts, recipe, figures = (frame.value for frame in list(page.dataframe)[1:4])
    told = dict(zip(facts["fact"], facts["value"], strict=True))
    record = json.loads((store / EXPERIMENT / "upernet_convnextv2-seed42" / "run.json").read_text())
    assert told["val fingerprint"] == record["data"]["val"]["fingerprint"]
    assert told["teacher"] == record["teacher"]["run"]
    assert told["starts from"] == record["warm_start"]["encoder"]
    assert told["commit"] == record["environment"]["git_commit"]
    assert dict(zip(recipe["setting"], recipe["value"], strict=True))["data.crop_px"] == "[192, 256]"
    assert figures["value"].iloc[0] == f"{record['metrics']['miou'] * 100:.2f}"
    page.session_state["everything"] = True
    everything = list(run(page).dataframe)[-1].value
    assert {"recipe.lr", "weights.sha256", "metrics.iou/road"} <= set(everything["setting"])


def test_a_published_run_is_marked_and_says_its_source_and_correction(open_page: Open, store: Path) -> None:
    page = open_page(store, run="published-boundary-ablation/a-ce")
    assert "Published figures, transcribed and not measured here" in page.warning[0].value.replace("\\", "")
    assert "zenodo.20528680" in said(page)
    assert "corrected since" in said(page)
    assert "81.28 ± 0.24" in list(page.dataframe)[3].value["value"].tolist()


def test_an_imported_run_is_marked(open_page: Open, store: Path) -> None:
    page = open_page(store, run="mine/a-ce-seed42")
    assert "Imported from a file (mine.csv), not measured here" in said(page)


def test_two_runs_show_only_what_differs_until_asked_for_all(open_page: Open, store: Path) -> None:
    page = open_page(store, run=f"{ABLATION}/a-ce-seed42", **{"with": f"{ABLATION}/b-ce-dice-seed42"})
    table = list(page.dataframe)[-1].value
    assert table[["part", "setting", "left", "right"]].to_numpy().tolist() == [["recipe", "loss", "CE", "CE + Dice"]]
    assert "1 setting differs: 1 in the recipe." in said(page)
    page.toggle(key="same").set_value(True)
    table = list(run(page).dataframe)[-1].value
    assert {"lr", "git_commit", "val.images"} <= set(table["setting"])
    assert table["differs"].sum() == 1


def test_two_seeds_of_one_recipe_differ_in_nothing_else(open_page: Open, store: Path) -> None:
    page = open_page(store, run=f"{ABLATION}/a-ce-seed42")
    page.selectbox(key="with").set_value(f"{ABLATION}/a-ce-seed123")
    assert "Nothing differs but the seed." in said(run(page))
    page.selectbox(key="with").set_value(None)
    page.selectbox(key="run").set_value(None)
    assert not run(page).subheader
    assert page.session_state["runs-table"]["selection"]["rows"] == []


def test_runs_on_other_data_are_told_not_to_compare(open_page: Open, store: Path) -> None:
    page = open_page(store, run=f"{ABLATION}/a-ce-seed42", **{"with": "published-boundary-ablation/a-ce"})
    assert "Their figures do not compare: they were measured on other classes" in said(page)


def test_a_run_outside_the_filter_can_still_be_linked_to(open_page: Open, store: Path) -> None:
    page = open_page(store, run="mine/a-ce-seed42", words="mask2former")
    assert "mine/a-ce-seed42" not in listed(page)
    assert page.selectbox(key="run").value == "mine/a-ce-seed42"
    assert page.subheader


def test_markup_in_a_record_is_shown_as_text(open_page: Open, store: Path) -> None:
    page = open_page(store, run="hostile/h-seed1", words="hostile")
    sent = [
        str(element.value) for kind in (page.markdown, page.subheader, page.error, page.caption) for element in kind
    ]
    for text in sent:
        assert not re.search(r"(?<!\\)(<img|!\[|\[(boo|a)|:red\[|\]\()", text), text
    assert HOSTILE_TITLE in said(page)


def test_published_figures_stand_with_source_and_ranges(open_page: Open, store: Path) -> None:
    page = open_page(store, tab="Published figures")
    texts = said(page)
    assert "Method note of a proof of concept, DeepLabV3+ against Mask2Former" in texts
    assert "never compare them or draw them on one axis" in texts
    assert all("published" in element.value for element in page.subheader)
    cells = {cell for frame in page.dataframe for row in frame.value.to_numpy().tolist() for cell in row}
    assert {"59–66", "75–78", "81.19", "34.96", "63.9", "81.69 ± 0.12"} <= cells


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


def test_without_a_stored_measurement_the_page_asks_to_measure(open_page: Open, store: Path) -> None:
    page = open_page(store, tab="Accuracy and latency")
    assert page.button(key="measure").label == "Measure here (about 10 s)"
    assert "No latency is stored for these weights" in said(page)


def test_stored_times_name_their_machine_and_the_frontier_is_told(
    open_page: Open, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(latency, "read_stored", lambda root: times(store))
    page = open_page(store, tab="Accuracy and latency")
    assert "Stored figures of another time and machine: Some CPU, 2 cores" in page.warning[0].value.replace("\\", "")
    table = list(page.dataframe)[-1].value.set_index("model")
    assert table["frontier"].to_dict() == {
        "FPN-ConvNeXtV2-atto": "yes",
        "UPerNet-ConvNeXtV2-atto": "yes",
        "DeepLabV3+ ResNet-10-T": "no",
        "Mask2Former ResNet-10-T": "yes",
    }
    assert "DeepLabV3+ ResNet-10-T** (30 ms, mIoU 60.9 %) is beaten by UPerNet-ConvNeXtV2-atto" in said(page)
    assert "Their times overlap" in said(page)
    assert "one clip of one street" in said(page)


def test_times_of_other_weights_are_not_shown(open_page: Open, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "read_stored", lambda root: times(store, mask2former="0" * 64))
    page = open_page(store, tab="Accuracy and latency")
    assert len(list(page.dataframe)[-1].value) == 3
    assert "Mask2Former ResNet-10-T is left out: its weights are not the ones that were timed" in said(page)


def test_measuring_here_replaces_what_was_stored(open_page: Open, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(latency, "read_stored", lambda root: times(store))
    monkeypatch.setattr(latency, "measure", lambda runs, on_progress: times(store))
    page = open_page(store, tab="Accuracy and latency")
    page.button(key="measure").click()
    run(page)
    assert "Measured on this machine: Some CPU, 2 cores" in page.success[0].value.replace("\\", "")
    assert not page.warning
    assert not page.progress


def test_while_another_session_measures_the_page_says_so(
    open_page: Open, own_store: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: Any, **__: Any) -> None:
        raise latency.Busy("another session is measuring")

    (own_store / EXPERIMENT).symlink_to(store / EXPERIMENT)
    monkeypatch.setattr(latency, "measure", busy)
    page = open_page(own_store, tab="Accuracy and latency")
    page.button(key="measure").click()
    assert "Another session is measuring" in said(run(page))


def test_a_file_is_shown_before_it_is_written_then_found_in_the_table(open_page: Open, own_store: Path) -> None:
    page = upload(open_page(own_store, tab="Import and export"), template_csv())
    assert page.text_input(key="import-name").value == "my-results-2"
    assert "4 runs** of 2 variants, 8 rows, 2 epochs from 10 to 20; figures read as **fractions" in said(page)
    assert "label space **CamVid, 11 classes**" in said(page)
    assert not (own_store / "my-results-2").exists()
    page.button(key="import-write").click()
    run(page)
    assert "Imported 4 runs as the experiment **my-results-2**" in said(page)
    assert len(list((own_store / "my-results-2").glob("*/run.json"))) == 4
    assert page.file_uploader(key="import-1").value is None, "the uploader is empty again"
    page.button(key="show-import").click()
    assert {one.split("/")[0] for one in listed(run(page))} == {"my-results-2"}
    assert len(listed(page)) == 4


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the file is empty"),
        (b"a,b\n1,2\n", "the header lacks the column variant"),
        (b"variant,seed,epoch,mIoU\nx,1,1,0.5\n", "no class column tells the label space"),
        (template_csv().replace(b"0.5500", b"wall"), "line 2: column mIoU: expected a number"),
        (template_csv() + b"=cmd(),1,1" + b",0.5" * 15 + b"\n", "line 10: the variant '=cmd()' starts like"),
        (b"\xff\xfe\x00", "UTF-16"),
        (b"PK\x03\x04", "workbook"),
    ],
    ids=lambda value: value[:24].decode("latin-1") if isinstance(value, bytes) else "",
)
def test_a_file_with_problems_names_them_and_writes_nothing(
    open_page: Open, own_store: Path, data: bytes, problem: str
) -> None:
    page = upload(open_page(own_store, tab="Import and export"), data)
    assert problem in said(page)
    assert "import-write" not in [button.key for button in page.button]
    assert {path.name for path in own_store.iterdir()} <= {ABLATION, ".index"}


def test_the_label_space_can_be_given_where_the_file_does_not_tell(open_page: Open, own_store: Path) -> None:
    data = b"variant,seed,epoch,mIoU\nx,1,1,55.5\nx,2,1,56.5\n"
    page = upload(open_page(own_store, tab="Import and export"), data)
    page.selectbox(key="import-space").set_value("cityscapes-19")
    run(page)
    assert not page.error
    assert "figures read as **percent" in said(page)
    assert list(page.dataframe)[-1].value["mIoU at the last epoch (%)"].tolist() == [pytest.approx(56)]


@pytest.mark.parametrize("name", ["../out", "UPPER", "a b", ".hidden", "a/b", ABLATION])
def test_a_name_that_cannot_be_a_new_folder_is_refused(open_page: Open, own_store: Path, name: str) -> None:
    page = upload(open_page(own_store, tab="Import and export"), template_csv())
    page.text_input(key="import-name").set_value(name)
    page.button(key="import-write").click()
    run(page)
    assert "Nothing was imported" in said(page)
    assert {path.name for path in own_store.iterdir()} <= {ABLATION, ".index"}
    assert page.file_uploader(key="import-0").value is not None, "the file stays for another try"


def test_an_import_can_be_removed_again_and_only_an_import(open_page: Open, own_store: Path) -> None:
    for name in ("mine", "other"):
        write_import(parse_csv(template_csv()), name, own_store)
    page = open_page(own_store, tab="Import and export")
    assert page.selectbox(key="remove-name").options == ["mine", "other"]
    page.button(key="remove-yes").click()
    run(page)
    assert "Removed the experiment **mine** with its 4 runs" in said(page)
    assert not (own_store / "mine").exists()
    assert page.selectbox(key="remove-name").options == ["other"]
    assert (own_store / ABLATION).exists()


def test_what_cannot_be_removed_is_told(open_page: Open, own_store: Path) -> None:
    write_import(parse_csv(template_csv()), "mine", own_store)
    page = open_page(own_store, tab="Import and export")
    (own_store / "mine" / "notes.txt").write_text("mine")
    page.button(key="remove-yes").click()
    run(page)
    assert "'notes.txt', which is no run" in said(page)
    assert (own_store / "mine").exists()


def test_a_run_that_was_chosen_and_removed_leaves_the_page_whole(open_page: Open, own_store: Path) -> None:
    write_import(parse_csv(template_csv()), "mine", own_store)
    page = open_page(own_store, run="mine/a-ce-seed42", experiment=["mine"])
    page.session_state["tab"] = "Import and export"
    run(page)
    page.button(key="remove-yes").click()
    run(page)
    page.session_state["tab"] = "Runs"
    run(page)
    assert not page.subheader
    assert page.selectbox(key="run").value is None


def test_published_figures_are_not_offered_as_curves(open_page: Open, store: Path) -> None:
    page = open_page(store, tab="Import and export", export="mine")
    assert page.selectbox(key="export").value == "mine"
    assert not [name for name in page.selectbox(key="export").options if name.startswith("published-")]


def test_a_table_of_ten_thousand_runs_stays_whole(open_page: Open, tmp_path: Path) -> None:
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
    page = open_page(tmp_path, run="e/v-seed1499")
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
print(*{"torch", "transformers", "openvino", "timm", "seglab.inference"} & sys.modules.keys())
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
