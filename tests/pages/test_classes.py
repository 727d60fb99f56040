"""The Classes page: with results, with none, with damaged ones, from a link; and that it claims no more than it knows."""

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from seglab.measure.metrics import iou_per_class
from seglab.records.runs import read_counts, read_epochs
from tests.pages.conftest import ROOT, OpenPage, figure, plain, said
from tests.synthetic import write_experiment

PAGE = ROOT / "pages" / "classes.py"
ABLATION, ONE_SEED = "camvid-boundary-ablation", "models"
PUBLISHED, PRINTED = "published-boundary-ablation", "printed-classes"
DELTAS, VARIANTS, EPOCHS, CONFUSIONS, PICKS = TABS = (
    "Class by class",
    "All variants",
    "Over the epochs",
    "Confusions",
    "Who should pick what",
)
MODELS = {"deeplabv3plus": "DeepLabV3+ ResNet", "fpn": "FPN-atto"}


def lift(results: Path, variant: str, name: str, by: float) -> None:
    """Raise a class's IoU of a variant at every epoch of every seed, so far that seeds do not matter."""
    for folder in (results / ABLATION).glob(f"{variant}-seed*"):
        lines = read_epochs(folder)
        for line in lines:
            line[f"iou/{name}"] = round(line[f"iou/{name}"], 2) + by
        (folder / "epochs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a store with an ablation, models of one seed, published figures and a damaged record. Read only."""
    results = tmp_path_factory.mktemp("results")
    write_experiment(results, epochs=20, counts_at=(10, 20))
    lift(results, "d-ce-boundary", "car", 0.6)
    lift(results, "a-ce", "sign", 0.4)
    write_experiment(results, ONE_SEED, seeds=[42], epochs=20, counts_at=(20,), variants=MODELS)
    for name in (PUBLISHED, "published-architectures"):
        (results / name).symlink_to(ROOT / "results" / name)
    (results / PRINTED).symlink_to(ROOT / "tests" / "printed" / PRINTED)
    broken = results / ABLATION / "broken-seed1"
    broken.mkdir()
    (broken / "run.json").write_text("{")
    return results


@pytest.fixture
def own_store(tmp_path: Path) -> Path:
    """Return a small store that a test may change."""
    results = tmp_path / "results"
    write_experiment(results, epochs=10, counts_at=(10,), seeds=(42, 123))
    return results


def verdict(page: AppTest) -> str:
    return plain(next(element.value for element in page.markdown if element.value.startswith("####")))


def table(page: AppTest) -> pd.DataFrame:
    shown: pd.DataFrame = page.dataframe[0].value.set_index("class")
    return shown


def picks(page: AppTest) -> pd.DataFrame:
    shown: pd.DataFrame = page.table[0].value.set_index("Who")
    return shown


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("study", [ABLATION, ONE_SEED, PUBLISHED, PRINTED])
@pytest.mark.parametrize("uncertainty", ["Seeds", "Images"])
def test_every_tab_of_every_experiment_opens_and_no_other_is_computed(
    open_at: OpenPage, study: str, uncertainty: str, tab: str
) -> None:
    page = open_at(study=study, uncertainty=uncertainty, tab=tab)
    assert [one.label for one in page.tabs if len(one.children)] == [tab]
    assert not page.error
    assert page.expander[0].label == "1 damaged record left out"


def test_the_page_answers_first_which_classes_gain_and_which_pay(open_at: OpenPage) -> None:
    page = open_at()
    said = verdict(page)
    assert said.startswith("#### D against A, more than seeds alone would do (after Holm's correction over 11 classes)")
    gains, losses = said.split("pays with")
    assert re.search(r"car \+(59|60|61)\.", gains)
    assert re.search(r"sign −(38|39|40|41)\.", losses)


def test_a_delta_is_the_variant_minus_the_other_and_changes_its_sign_when_they_change_places(open_at: OpenPage) -> None:
    there = table(open_at())
    back = table(open_at(x="A: CE", y="D: CE + 0.2 boundary"))
    assert there["difference"]["car"].startswith("+")
    assert back["difference"]["car"] == there["difference"]["car"].replace("+", "−")
    assert back["A (%)"]["car"] == pytest.approx(there["A (%)"]["car"])
    assert there["real?"]["car"] == back["real?"]["car"] == "yes"


def test_classes_come_sorted_with_support_and_the_chart_shows_the_same(open_at: OpenPage) -> None:
    page = open_at()
    shown = table(page)
    delta = shown["D (%)"] - shown["A (%)"]
    assert delta.is_monotonic_decreasing
    assert shown["px (%)"].sum() == pytest.approx(100)
    assert shown["images"].between(1, 24).all()
    drawn = {trace["y"][0]: trace["x"][0] for trace in figure(page)["data"]}
    assert drawn == pytest.approx(delta.to_dict())
    symbols = {trace["y"][0]: trace["marker"]["symbol"] for trace in figure(page)["data"]}
    assert symbols["car"] == "circle"
    assert {"circle" if real == "yes" else "circle-open" for real in shown["real?"]} == set(symbols.values())


def test_the_two_uncertainties_are_labelled_and_never_mixed(open_at: OpenPage) -> None:
    seeds, images = said(open_at(uncertainty="Seeds")), said(open_at(uncertainty="Images"))
    assert "interval over seeds: Student-t of the differences paired by seed, n = 3" in seeds
    assert "bootstrap" not in seeds
    for words in ("10,000 resamples", "confusions summed over three seeds", "of one clip", "lower bound"):
        assert words in images
    assert "Student" not in images


def test_over_images_the_iou_is_that_of_the_summed_confusions(open_at: OpenPage, store: Path) -> None:
    shown = table(open_at(uncertainty="Images"))
    for variant, column in (("d-ce-boundary", "D (%)"), ("a-ce", "A (%)")):
        folders = (store / ABLATION).glob(f"{variant}-seed*")
        total = sum(read_counts(folder)["e20/confusion"].astype(np.int64).sum(0) for folder in folders)
        assert shown[column]["sky"] == pytest.approx(iou_per_class(np.asarray(total))[0] * 100)


def test_an_epoch_without_counts_says_which_epoch_they_are_of(open_at: OpenPage) -> None:
    near = said(open_at(epoch="13", uncertainty="Images"))
    assert "No counts were kept at epoch 13: these are of epoch 10, the nearest" in near
    assert "No counts" not in said(open_at(epoch="10", uncertainty="Images"))
    assert "at epoch 13" in said(open_at(epoch="13"))


def test_one_seed_each_is_compared_over_images_and_over_seeds_gets_no_interval(open_at: OpenPage) -> None:
    page = open_at(study=ONE_SEED)
    assert page.button_group(key="uncertainty").value == "images"
    assert "interval over images" in said(page)
    page = open_at(study=ONE_SEED, uncertainty="Seeds")
    assert "cannot be told from noise with one seed each" in verdict(page)
    assert (table(page)["interval"] == "").all()
    assert "error_x" not in figure(page)["data"][0] or "array" not in figure(page)["data"][0]["error_x"]


def test_metrics_beside_iou_have_seeds_only_and_say_so(open_at: OpenPage) -> None:
    page = open_at(metric="Boundary F1", uncertainty="Images")
    assert "Boundary F1 is kept as a figure" in page.info[0].value
    assert "Student-t" in said(page)


def test_published_figures_have_no_test_and_whiskers_only_where_deviations_are_printed(open_at: OpenPage) -> None:
    page = open_at(study=PRINTED, y="B: CE + Dice")
    shown = table(page)
    assert shown["difference"]["truck"] == "+5.30"
    assert shown["± printed deviations"]["truck"] == "+0.22 to +10.38"  # 5.30 ± √(4.39² + 2.55²)
    assert not {"p (Holm)", "real?"} & set(shown.columns)
    for words in ("standard deviation over three seeds, as published", "80 of the 500 images", "Cassez"):
        assert words in said(page)
    page = open_at(study=PRINTED, y="A: CE")
    assert len(table(page)) == 7
    assert (table(page)["± printed deviations"] == "").all()
    assert "Published points, no interval." in said(page)


def test_the_published_runs_have_19_classes_with_intervals_over_seeds(open_at: OpenPage) -> None:
    page = open_at(study=PUBLISHED, y="B: CE + Dice")
    shown = table(page)
    assert len(shown) == 19
    assert shown["difference"]["truck"] == "+5.29", (
        "of means with more digits than the manuscript prints, which says +5.30"
    )
    assert set(shown["real?"]) <= {"yes", "no"}
    assert "after Holm's correction over 19 classes" in verdict(page)
    for words in ("n = 3", "Cassez", "Advice for large rigid objects (truck, bus, wall): D."):
        assert words in said(page)
    assert "published figures come without counts per image" in said(open_at(study=PUBLISHED, uncertainty="Images"))


def test_the_heat_map_shows_every_variant_against_the_chosen_other(open_at: OpenPage) -> None:
    drawn = figure(open_at(tab=VARIANTS))["data"][0]
    assert [name.strip() for name in drawn["x"]] == ["A", "B", "C", "D"]
    text = dict(zip(drawn["y"], drawn["text"], strict=True))
    assert "<br>" not in text["car"][0]
    assert text["car"][3].endswith("*")
    assert re.search(r"<br>\+(59|60|61)\.", text["car"][3])


def test_a_trajectory_is_that_of_the_class_in_the_link(open_at: OpenPage, store: Path) -> None:
    page = open_at(tab=EPOCHS, **{"class": "car"})
    assert "IoU of car" in figure(page)["layout"]["yaxis"]["title"]["text"]
    delta = next(trace for trace in figure(page, 1)["data"] if trace.get("fill") is None)
    drawn = np.frombuffer(base64.b64decode(delta["y"]["bdata"]), delta["y"]["dtype"])
    last = {}
    for variant in ("a-ce", "d-ce-boundary"):
        folders = (store / ABLATION).glob(f"{variant}-seed*")
        last[variant] = np.mean([read_epochs(folder)[-1]["iou/car"] for folder in folders])
    assert drawn.shape == (20,)
    assert drawn[-1] == pytest.approx((last["d-ce-boundary"] - last["a-ce"]) * 100)


def test_a_cell_of_the_confusions_shows_its_pair(open_at: OpenPage, store: Path) -> None:
    page = open_at(tab=CONFUSIONS, **{"class": "car"})
    page.selectbox(key="predicted").select("sky").run()
    assert not page.exception
    folders = list((store / ABLATION).glob("d-ce-boundary-seed*"))
    total = sum(read_counts(folder)["e20/confusion"].astype(np.int64).sum(0) for folder in folders)
    share = np.asarray(total)[8, 0] / np.asarray(total)[8].sum()
    rows = page.dataframe[0].value.set_index("variant")
    assert list(rows.index) == ["A", "B", "C", "D"]
    assert rows["share (%)"]["D"] == pytest.approx(share * 100)
    assert rows["difference"]["A"] == "+0.00"
    assert f"**{share * 100:.1f} %** for **sky**" in said(page)
    images = page.dataframe[1].value
    assert images["image"].str.startswith("0016E5_").all()
    assert images["pixels"].is_monotonic_decreasing
    frame = figure(page)["layout"]["shapes"][0]
    assert (frame["y0"], frame["x0"]) == (7.5, -0.5)


def test_rows_of_the_matrix_are_shares_and_the_difference_is_that_of_two(open_at: OpenPage) -> None:
    cells: dict[str, Any] = {}
    for which in ("D", "A", "D − A"):
        drawn = figure(open_at(tab=CONFUSIONS, matrix=which))["data"][1]
        cells[which] = [float(word.split(": ")[1].split()[0].replace("−", "-")) for word in drawn["text"]]
    of_d, of_a, both = (np.reshape(cells[which], (11, 11)) for which in cells)
    np.testing.assert_allclose(of_d.sum(1), 100, atol=0.1)
    np.testing.assert_allclose(both, of_d - of_a, atol=0.02)


def test_consumers_get_a_pick_only_on_evidence(open_at: OpenPage, own_store: Path, open_in: OpenPage) -> None:
    rows = picks(open_at(tab=PICKS))
    assert list(rows.columns)[:2] == ["Looked at", "Verdict"]
    assert len(rows) == 5
    assert plain(rows["Verdict"]["Large rigid objects"]) == "**pick D: CE + 0.2 boundary**"
    assert rows["Looked at"]["Drivable area, free space"] == "Trimap IoU of road, pavement"
    assert "three seeds, p" in rows["Evidence"]["Large rigid objects"]
    assert rows["Published advice"]["Vulnerable road users"] == "no recipe matters"
    assert "Published advice, for reference, is not drawn from the figures above" in said(open_at(tab=PICKS))
    rows = picks(open_in(own_store, tab=PICKS))
    assert rows["Verdict"].str.contains("no evidence for any").all()


def test_consumers_learn_that_printed_means_and_single_seeds_tell_nothing(open_at: OpenPage) -> None:
    rows = picks(open_at(study=PRINTED, tab=PICKS))
    assert rows["Verdict"]["Large rigid objects"] == "**cannot be told: printed means**"
    assert rows["Verdict"]["Lanes and kerbs as polygons"] == "**no evidence for any recipe**"
    rows = picks(open_at(study=ONE_SEED, tab=PICKS, uncertainty="Seeds"))
    assert (rows["Verdict"] == "**cannot be told: one seed each**").all()


def test_a_link_reproduces_the_view(open_at: OpenPage) -> None:
    link = {
        "x": "C: CE + Dice + 0.2 boundary",
        "y": "B: CE + Dice",
        "epoch": "10",
        "class": "pole",
        "predicted": "tree",
    }
    page = open_at(study=ABLATION, tab=CONFUSIONS, uncertainty="Images", matrix="C − B", **link)
    assert page.selectbox(key="x").value == "c-ce-dice-boundary"
    assert page.selectbox(key="y").value == "b-ce-dice"
    assert page.select_slider(key="epoch").value == 10
    assert page.selectbox(key="class").value == "pole"
    assert page.selectbox(key="predicted").value == "tree"
    assert page.button_group(key="matrix").value == "C − B"
    assert page.button_group(key="uncertainty").value == "images"


def test_a_link_full_of_nonsense_opens_the_default(open_at: OpenPage) -> None:
    link = dict.fromkeys(("study", "x", "y", "epoch", "class", "tab", "metric", "uncertainty", "matrix"), "nonsense")
    assert verdict(open_at(**link)).startswith("#### D against A")


def test_changing_the_experiment_keeps_the_page_alive(open_at: OpenPage) -> None:
    page = open_at(x="C: CE + Dice + 0.2 boundary", epoch="7")
    for study in (ONE_SEED, PUBLISHED, ABLATION):
        page.selectbox(key="study").select(study).run()
        assert not page.exception
        assert not page.error


def test_a_variant_minus_itself_is_refused(open_at: OpenPage) -> None:
    page = open_at(x="A: CE", y="A: CE")
    assert "Choose two different variants" in page.info[0].value


def test_an_experiment_without_classes_says_what_to_do(open_at: OpenPage) -> None:
    page = open_at(study="published-architectures")
    assert "does not have figures per class" in page.info[0].value
    assert "trainers.ablate" in page.info[0].value


def test_the_page_opens_without_torch(store: Path) -> None:
    code = (
        "import sys\nfrom streamlit.testing.v1 import AppTest\n"
        f"page = AppTest.from_file({str(PAGE)!r}, default_timeout=60).run()\n"
        "assert not page.exception and len(page.dataframe) == 1\n"
        "print(*{'torch', 'transformers', 'timm', 'openvino', 'cv2'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, "SEGLAB_RESULTS": str(store)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() in ("", "cv2")


def test_a_copy_of_the_store_is_read_anew(own_store: Path, tmp_path: Path, open_in: OpenPage) -> None:
    before = table(open_in(own_store))
    other = tmp_path / "other"
    shutil.copytree(own_store, other)
    lift(other, "d-ce-boundary", "sky", 0.5)
    after = table(open_in(other))
    assert after["D (%)"]["sky"] > before["D (%)"]["sky"] + 40
