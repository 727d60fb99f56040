"""The Grad-CAM page on average: stored figures with their intervals, without torch, and nothing of other weights."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from seglab.evidence.pointing import pointing_table
from seglab.labels import space
from seglab.predict.model import Model
from seglab.predict.shelf import shelf
from seglab.records import cams as cam_records
from seglab.records.cams import GRID, MeanCams
from seglab.ui.gradcam import average as gradcam_average
from tests.pages.conftest import ROOT, RUN_S, figure, run, said

PAGE = ROOT / "pages" / "gradcam.py"
CAMVID = space("camvid-11")
CAR = CAMVID.names.index("car")


def cams_of(ref: Model, seed: int = 0, **about: Any) -> MeanCams:
    """Return an invented record: 40 images, no model ever predicts a pole."""
    rng, n, c = np.random.default_rng(seed), 40, CAMVID.num_classes
    energy, peak = rng.uniform(0.2, 0.6, (n, c)), rng.integers(0, 2, (n, c)).astype(float)
    maps, images = rng.uniform(0, 3, (c, *GRID)).astype(np.float32), np.full(c, n)
    coactivation = rng.dirichlet(np.ones(c), (n, c))
    pole = CAMVID.names.index("pole")
    energy[:, pole] = peak[:, pole] = maps[pole] = coactivation[:, pole] = np.nan
    images[pole] = 0
    told = {"layer": "decoder", "method": "gradcam", "data": "camvid", "split": "val", "fingerprint": "f" * 64}
    told |= {"weights_sha256": ref.sha256, "git_commit": "0123456789"} | about
    return MeanCams(told, tuple(map(str, range(n))), maps, images, energy, np.full((n, c), 0.05), peak, coactivation)


@pytest.fixture
def refs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Model]:
    """Return two models with invented records, in a folder that a test may change."""
    refs = [replace(ref, measured=tmp_path / ref.key) for ref in shelf()[:2]]
    for seed, ref in enumerate(refs):
        cam_records.save(ref.measured, cams_of(ref, seed))
    monkeypatch.setattr(gradcam_average, "shelf", lambda: refs)
    return refs


def open_page(**link: str | list[str]) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=RUN_S)
    for name, value in ({"part": "On average"} | link).items():
        page.query_params[name] = value
    return run(page)


def test_figures_stand_with_intervals_chance_and_origin(refs: list[Model]) -> None:
    page = open_page()
    shown = page.dataframe[0].value.set_index(["class", "model"])
    expected = pointing_table({ref.title: cams_of(ref, i) for i, ref in enumerate(refs)}, CAMVID.names, one_clip=True)
    row, want = shown.loc[("car", refs[1].title)], expected.set_index(["class", "model"]).loc[("car", refs[1].title)]
    for column in ("inside", "inside_low", "inside_high", "chance", "peak"):
        assert row[column] == pytest.approx(want[column] * 100, rel=1e-4)
    assert row["times"] == pytest.approx(row["inside"] / row["chance"])
    assert row["inside_low"] < row["inside"] < row["inside_high"]
    assert ("pole", refs[0].title) not in shown.index
    for words in (
        "camvid val, 40 images",
        "commit 0123456",
        "one clip: too narrow",
        "Grad-CAM",
        "mean of 40 images; decoder",
    ):
        assert words in said(page)
    assert len(figure(page)["data"]) == 2 + 1, "two models and chance"
    assert [button.label for button in page.download_button] == ["CSV", "CSV"]


def test_a_class_and_a_model_are_chosen_by_link(refs: list[Model]) -> None:
    page = open_page(**{"mean-of": ["road", "sky"], "coactivation": refs[1].title})
    assert [kind.value for kind in page.markdown if kind.value.startswith("#### ")][:2] == ["#### Road", "#### Sky"]
    assert page.selectbox(key="coactivation").value == refs[1].key
    matrix = figure(page, 1)["data"][0]
    assert matrix["text"][CAMVID.names.index("pole")] == [""] * CAMVID.num_classes
    assert len(page.dataframe[0].value) == 2 * (CAMVID.num_classes - 1)


def test_maps_of_other_weights_or_images_are_left_out_and_told(refs: list[Model]) -> None:
    cam_records.save(refs[0].measured, cams_of(refs[0], weights_sha256="0" * 64))
    page = open_page()
    assert "are of other weights and left out" in said(page)
    assert page.dataframe[0].value["model"].unique().tolist() == [refs[1].title]
    whole = cams_of(refs[0])
    cam_records.save(refs[0].measured, replace(whole, stems=tuple(f"x{stem}" for stem in whole.stems)))
    page = open_page()
    assert "was explained on other images or classes" in said(page)


def test_other_layers_and_methods_are_offered(refs: list[Model]) -> None:
    cam_records.save(refs[0].measured, cams_of(refs[0], 5, layer="ASPP", method="hirescam"))
    page = open_page()
    assert page.selectbox(key="maps").options == ["each model's default", "aspp-hirescam"]
    assert len(page.dataframe[0].value["model"].unique()) == 2
    page.selectbox(key="maps").set_value("aspp-hirescam")
    run(page)
    assert page.dataframe[0].value["model"].unique().tolist() == [refs[0].title]
    assert "mean of 40 images; ASPP" in said(page)


def test_a_damaged_file_is_told_and_the_other_stays(refs: list[Model]) -> None:
    (refs[0].measured / "cam" / "decoder-gradcam.npz").write_text("x")
    page = open_page()
    assert "cannot be read; run trainers.explain again" in said(page)
    assert page.dataframe[0].value["model"].unique().tolist() == [refs[1].title]


def test_without_maps_the_page_says_what_makes_them(refs: list[Model]) -> None:
    for ref in refs:
        (ref.measured / "cam" / "decoder-gradcam.npz").unlink()
    assert "python -m trainers.explain" in open_page().info[0].value


def test_the_bundled_models_have_mean_maps_of_their_weights_over_the_whole_split() -> None:
    for ref in shelf()[:4]:
        names = cam_records.names(ref.measured)
        assert names, f"{ref.key} has none"
        cams = cam_records.load(ref.measured, names[0], CAMVID.num_classes)
        assert cams.about["weights_sha256"] == ref.sha256
        assert cams.about["fingerprint"] == ref.facts.fingerprint
        assert len(cams.stems) == ref.facts.images
        assert np.nanmean(cams.energy[:, CAR]) > 3 * np.nanmean(cams.area[:, CAR])


def test_stored_figures_are_shown_without_torch() -> None:
    code = (
        "import json, sys\nfrom streamlit.testing.v1 import AppTest\n"
        f"page = AppTest.from_file({str(PAGE)!r}, default_timeout=120)\n"
        "page.query_params['part'] = 'On average'\npage.run()\n"
        "print(json.dumps([len(page.dataframe), len(page.exception), 'torch' in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert json.loads(done.stdout.strip().splitlines()[-1]) == [1, 0, False]
