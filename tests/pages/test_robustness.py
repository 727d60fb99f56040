"""The Robustness page: fifteen pictures, masks and evidence before and after, and no stored figure claims too much."""

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

from seglab.data.corruptions import CORRUPTIONS, corrupt
from seglab.evidence.robustness import drop_table, mean_loss
from seglab.images import resize_labels
from seglab.labels import space
from seglab.measure import metrics
from seglab.predict.model import Model
from seglab.predict.samples import FOLDER, SAMPLES
from seglab.predict.segmenter import Segmenter
from seglab.predict.shelf import shelf
from seglab.records import robustness
from seglab.records.robustness import CONDITIONS, Robustness
from seglab.ui import models
from seglab.ui.photos import sample_photo
from seglab.ui.robustness import photo as robustness_photo
from seglab.ui.robustness import split as robustness_split
from tests.pages.conftest import ROOT, RUN_S, figure, said, send, settle

PAGE = ROOT / "pages" / "robustness.py"
ONE = ["FPN-ConvNeXtV2-atto"]
CAMVID = space("camvid-11")


def open_at(**link: str | list[str]) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=RUN_S)
    for name, value in ({"models": ONE} | link).items():
        page.query_params[name] = value
    return settle(page)


@pytest.fixture(autouse=True)
def _own_cache(own_cache: Path) -> None:
    """Keep converted models out of the user's cache."""


def test_the_page_shows_all_fifteen_and_what_one_does_to_masks_and_figures() -> None:
    page = open_at(corruption="RandomRain", severity="3 strong", draw="7")
    described = [one.alt for image in page.image for one in image.proto.imgs][:15]
    assert all(f"{one.title}, {one.what}" in alt for one, alt in zip(CORRUPTIONS.values(), described, strict=True))
    assert [page.button(key=f"open-{key}").label for key in CORRUPTIONS] == [one.title for one in CORRUPTIONS.values()]
    assert "**RandomRain**, severity 3: streaks of rain" in said(page)
    row = page.dataframe[0].value.iloc[0]
    photo = sample_photo("clear")
    pixels = photo.work["standard"]
    assert photo.truth is not None
    truth = resize_labels(photo.truth, *pixels.shape[:2])
    worse, bent = robustness_photo.worse_photo(photo, "rain", 3, 7)
    assert np.array_equal(worse.shown, corrupt(pixels, "rain", 3, 7)[0])
    assert bent is not None
    assert np.array_equal(bent, truth)
    ref = next(ref for ref in shelf() if ref.key == "fpn_convnextv2")
    segmenter = Segmenter(ref)
    labels = [segmenter.predict(shown).labels for shown in (pixels, worse.work["standard"])]
    miou = [metrics.miou(metrics.confusion_matrix(ids, truth, 11)) * 100 for ids in labels]
    assert (row["mIoU before"], row["mIoU after"]) == pytest.approx(miou, abs=0.3)
    assert miou[1] < miou[0] - 1, "the answer after is not the stored one of the clean sample"
    assert row["loses (%)"] == pytest.approx((1 - row["mIoU after"] / row["mIoU before"]) * 100)
    assert row["same (%)"] == pytest.approx((labels[0] == labels[1]).mean() * 100, abs=1)


def test_a_bent_scene_is_scored_against_its_bent_mask_and_not_compared_pixel_by_pixel() -> None:
    page = open_at(corruption="OpticalDistortion")
    assert "same (%)" not in page.dataframe[0].value.columns
    assert "Same: share" not in said(page)


def test_a_photo_of_the_readers_own_is_scored_against_its_mask_in_a_space_both_know() -> None:
    page = open_at(corruption="GaussianBlur", severity="3 strong")
    expected = page.dataframe[0].value
    name = SAMPLES[0].key
    send(page, "upload", ("mine.jpg", (FOLDER / f"{name}.jpg").read_bytes()))
    assert "mIoU before" not in page.dataframe[0].value.columns
    assert "with a mask of your photo, you also see the IoU that is lost" in said(page)
    upload = f"truth-upload-{page.session_state['photo']}"
    mask = (FOLDER / f"{name}.mask.png").read_bytes()
    send(page, upload, ("mask.png", mask))
    own = page.dataframe[0].value
    assert list(own.columns) == list(expected.columns)
    np.testing.assert_allclose(own["mIoU after"], expected["mIoU after"], atol=0.5)
    page.selectbox(key="truth-space").set_value("cityscapes-8")  # ids 0 to 10, of which it has 8
    settle(page)
    assert "flat" in page.dataframe[0].value.columns
    assert "of mask.png holds ids that Cityscapes, 8 groups" in said(page)


def test_evidence_stands_before_and_after() -> None:
    page = open_at(tab="Grad-CAM", **{"evidence-for": "road"})
    assert [kind.value for kind in page.caption if kind.value in ("before", "after")] == ["before", "after"]
    assert "one scale for both pictures of a model" in said(page)


def test_a_link_full_of_nonsense_opens_the_default() -> None:
    page = open_at(corruption="hail", severity="9", draw="-4", tab="x", part="y", models=["z"])
    assert page.pills(key="corruption").value == "fog"
    assert "RandomFog" in said(page)


def test_without_a_trained_model_the_page_says_which_command_makes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "shelf", lambda: [])
    page = AppTest.from_file(str(PAGE), default_timeout=RUN_S).run()
    assert "python -m trainers.train" in page.info[0].value


def measured(ref: Model, weaker: int = 0, **about: Any) -> Robustness:
    """Return an invented measurement of 24 images; ``weaker`` takes hits away under every corruption."""
    rng, n = np.random.default_rng(0), 24
    confusions = rng.integers(0, 20, (len(CONDITIONS), n, 11, 11)).astype(np.uint32)
    confusions += 400 * np.eye(11, dtype=np.uint32)
    confusions[1:] -= np.uint32(weaker + 100) * np.eye(11, dtype=np.uint32)
    told = {"data": "camvid", "split": "val", "every": 4, "weights_sha256": ref.sha256, "git_commit": "0123456789"}
    return Robustness(told | about, tuple(map(str, range(n))), confusions)


@pytest.fixture
def refs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Model]:
    """Return two models with invented measurements, the second the better, in folders that a test may change."""
    refs = [replace(ref, measured=tmp_path / ref.key) for ref in shelf()[:2]]
    for ref, weaker in zip(refs, (200, 0), strict=True):
        ref.measured.mkdir()
        robustness.save(ref.measured, measured(ref, weaker))
    monkeypatch.setattr(robustness_split, "shelf", lambda: refs)
    return refs


def open_split(**link: str | list[str]) -> AppTest:
    return open_at(part="On a whole split", **link)


def test_the_sentence_names_who_loses_least_by_how_much_and_whether_that_is_sure(refs: list[Model]) -> None:
    page = open_split()
    found = {ref.title: measured(ref, weaker) for ref, weaker in zip(refs, (200, 0), strict=True)}
    loss = mean_loss(found, block=5)
    best = refs[1].title
    assert next(iter(loss.relative_drop)) == best
    mean, low, high = loss.relative_drop[best]
    assert (
        f"**{best}** degrades least: over all 45 conditions it loses {mean:.0%} of its mIoU ({low:.0%} to {high:.0%})"
        in said(page)
    )
    assert "more than the choice of images would do, against every other model" in said(page)
    assert "One training seed each" in said(page)
    assert "every 4th frame" in said(page)
    assert "blocks of 5 neighbouring frames of one clip: too narrow" in said(page)
    shown = page.dataframe[0].value.set_index("model")
    table = drop_table(found, CAMVID.names)
    assert shown.loc[best, "relative_drop"] == pytest.approx(
        table[table["model"] == best]["relative_drop"].mean() * 100
    )


def test_equal_models_are_not_told_apart(refs: list[Model]) -> None:
    robustness.save(refs[0].measured, measured(refs[0], 0))
    assert "not distinguishable from the choice of images (" in said(open_split())


def test_matrices_follow_severity_and_corruption(refs: list[Model]) -> None:
    page = open_split(level="3", of="GlassBlur")
    table = drop_table({ref.title: measured(ref, w) for ref, w in zip(refs, (200, 0), strict=True)}, CAMVID.names)
    rows = table[(table["severity"] == 3) & (table["model"] == refs[0].title)].set_index("corruption")
    matrix = figure(page)["data"][0]
    assert matrix["x"] == [one.title for one in CORRUPTIONS.values()]
    assert "Clean minus corrupted (GlassBlur, severity 3)" in said(page)
    text = dict(zip(matrix["x"], matrix["text"][0], strict=True))
    assert text["GlassBlur"] == f"{rows.loc['glass_blur', 'relative_drop'] * 100:.0f}"
    assert [button.label for button in page.download_button] == ["CSV", "CSV"]


@pytest.mark.parametrize(
    ("about", "words"),
    [
        ({"weights_sha256": "0" * 64}, "is of other weights and left out"),
        ({"done": 7}, "is measured in 7 of 46 conditions; go on with"),
    ],
)
def test_what_is_not_of_these_weights_or_not_finished_is_left_out(
    refs: list[Model], about: dict[str, Any], words: str
) -> None:
    robustness.save(refs[1].measured, measured(refs[1], **about))
    page = open_split()
    assert words in said(page)
    assert page.dataframe[0].value["model"].tolist() == [refs[0].title]


def test_damaged_or_missing_measurements_are_told_and_the_other_stays(refs: list[Model]) -> None:
    (refs[0].measured / robustness.FILE).write_text("x")
    page = open_split()
    assert "cannot be read; run trainers.robustness again" in said(page)
    assert page.dataframe[0].value["model"].tolist() == [refs[1].title]
    (refs[0].measured / robustness.FILE).unlink()
    assert f"Not measured: {refs[0].title}" in said(open_split())
    (refs[1].measured / robustness.FILE).unlink()
    assert "No model has been measured under corruption here yet" in said(open_split())


def test_stored_figures_are_shown_without_torch() -> None:
    code = (
        "import json, sys\nfrom streamlit.testing.v1 import AppTest\n"
        f"page = AppTest.from_file({str(PAGE)!r}, default_timeout=120)\n"
        "page.query_params['part'] = 'On a whole split'\npage.run()\n"
        "print(json.dumps([len(page.exception), 'torch' in sys.modules, 'albumentations' in sys.modules]))"
    )
    env = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True, env=env)
    assert json.loads(done.stdout.strip().splitlines()[-1]) == [0, False, False]
