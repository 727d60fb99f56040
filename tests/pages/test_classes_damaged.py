"""The Classes page with nothing, with damage, with half a grid and with hostile titles: told in words, the rest still there."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from tests.pages.conftest import ROOT, OpenPage, plain, said
from tests.pages.test_classes import ABLATION, CONFUSIONS, DELTAS, PICKS, TABS
from tests.synthetic import write_experiment

PAGE = ROOT / "pages" / "classes.py"


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


@pytest.mark.parametrize("damaged", [False, True])
def test_a_store_without_sound_runs_says_how_to_make_some(tmp_path: Path, open_in: OpenPage, damaged: bool) -> None:
    if damaged:
        (tmp_path / "x" / "y-seed1").mkdir(parents=True)
        (tmp_path / "x" / "y-seed1" / "run.json").write_text("[")
    page = open_in(tmp_path)
    assert "no run with figures per class here yet" in page.info[0].value
    assert len(page.expander) == damaged


def test_runs_without_counts_have_no_interval_over_images_and_say_why(own_store: Path, open_in: OpenPage) -> None:
    for path in (own_store / ABLATION).glob("d-ce*/counts.npz"):
        path.unlink()
    page = open_in(own_store, uncertainty="Images")
    assert "D: CE + 0.2 boundary kept no counts per image" in plain(page.info[0].value)
    assert "interval over seeds" in said(page)
    assert "images" not in table(page).columns
    page = open_in(own_store, tab=CONFUSIONS)
    assert "There are no confusions to show" in page.info[0].value


@pytest.mark.parametrize("damage", ["cut", "text", "shape"])
@pytest.mark.parametrize("tab", [DELTAS, CONFUSIONS, PICKS])
def test_damaged_counts_are_told_and_hide_nothing_else(
    own_store: Path, open_in: OpenPage, damage: str, tab: str
) -> None:
    path = next((own_store / ABLATION).glob("d-ce*-seed42/counts.npz"))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:900])
    elif damage == "text":
        path.write_text("no archive")
    else:
        np.savez(path, allow_pickle=False, stems=np.array(["a"]), **{"e10/confusion": np.zeros((1, 3, 3), np.uint32)})
    page = open_in(own_store, uncertainty="Images", tab=tab)
    words = plain(" ".join(element.value for element in [*page.info, *page.error]))
    assert "counts" in words
    assert verdict(page).startswith("#### D against A")


def test_runs_measured_on_other_images_are_not_compared(own_store: Path, open_in: OpenPage) -> None:
    for path in (own_store / ABLATION).glob("b-ce*/run.json"):
        record = json.loads(path.read_text())
        record["data"]["val"]["fingerprint"] = "e" * 64
        path.write_text(json.dumps(record))
    page = open_in(own_store)
    assert "other images or masks" in page.warning[0].value
    assert "left out: B: CE + Dice" in plain(page.warning[0].value)
    assert page.selectbox(key="x").options == ["A: CE", "C: CE + Dice + 0.2 boundary", "D: CE + 0.2 boundary"]


def test_a_seed_that_is_still_training_is_left_out_of_the_pairs(own_store: Path, open_in: OpenPage) -> None:
    folder = own_store / ABLATION / "d-ce-boundary-seed123"
    lines = (folder / "epochs.jsonl").read_text().splitlines(keepends=True)
    (folder / "epochs.jsonl").write_text("".join(lines[:4]))
    record = json.loads((folder / "run.json").read_text()) | {"status": "running"}
    (folder / "run.json").write_text(json.dumps(record))
    page = open_in(own_store)
    assert page.select_slider(key="epoch").value == 10
    assert "One seed each: no interval over seeds" in said(page)
    assert "1 of them not finished" in said(page)
    page.select_slider(key="epoch").set_value(4).run()
    assert "n = 2" in said(page)


def test_a_title_cannot_bring_markup_onto_the_page(own_store: Path, open_in: OpenPage) -> None:
    hostile = "![x](http://evil.example/x.png) :red[boo] [a](javascript:alert(1))"
    for path in (own_store / ABLATION).glob("d-ce*/run.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"title": hostile}))
    for tab in TABS:
        page = open_in(own_store, tab=tab)
        kinds = (page.markdown, page.caption, page.info, page.warning)
        assert not [one for kind in kinds for one in kind if "](" in one.value.replace("\\]\\(", "")]
