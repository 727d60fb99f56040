"""The Grad-CAM page: maps of every model for what is present, in words where there are none, and from a link."""

import io
import json
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from seglab.explain.gradcam import Explainer, as_image, class_mean
from seglab.explain.pointing import energy_inside
from seglab.labels import space
from seglab.models import spec
from seglab.predict.networks import load_run
from seglab.predict.samples import SAMPLES, load_sample
from seglab.predict.shelf import shelf
from seglab.ui import explaining as cam_work
from seglab.ui import models
from seglab.ui.gradcam import maps as gradcam_maps
from seglab.ui.photos import sample_photo
from tests.pages.conftest import APP, ROOT, RUN_S, said, settle

PAGE = ROOT / "pages" / "gradcam.py"
TABS = ("Maps", "Why here?", "Difference", "Blank the evidence", "Downloads")
TWO = ["FPN-ConvNeXtV2-atto", "DeepLabV3+ ResNet-10-T"]  # as a link names them: by what the browser shows
CAMVID = space("camvid-11")


def open_at(**link: str | list[str]) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=RUN_S)
    for name, value in ({"models": TWO} | link).items():
        page.query_params[name] = value
    return settle(page)


def figures(page: AppTest) -> Any:
    return page.dataframe[0].value.set_index(["class", "model"])


def test_the_page_opens_on_a_row_of_maps_with_their_figures() -> None:
    page = open_at()
    assert page.get_by_key("about").value == ["car"]
    ref = next(ref for ref in shelf() if ref.key == "fpn_convnextv2")
    look = Explainer(load_run(ref.measured), next(iter(spec(ref.key).cam_layers.values()))).look(
        as_image(sample_photo("clear").work["standard"])
    )
    region = look.labels == CAMVID.names.index("car")
    evidence = look.enlarge(look.cam(class_mean(CAMVID.names.index("car"), region)))
    row = figures(page).loc[("car", ref.title)]
    assert row["evidence inside (%)"] == pytest.approx(energy_inside(evidence, region) * 100, rel=1e-3)
    assert row["area (%)"] == pytest.approx(region.mean() * 100, rel=1e-3)
    assert row["times chance"] > 3
    assert f"**{ref.title}** · car: {row['evidence inside (%)']:.0f}% of the evidence on" in said(page)
    assert "one scale for these 2 models" in said(page)


@pytest.mark.parametrize("tab", TABS)
def test_every_tab_opens_from_a_link(tab: str) -> None:
    page = open_at(tab=tab, about=["road"])
    assert page.session_state["tab"] == tab
    assert page.get_by_key("about").value == ["road"]


def test_a_link_reproduces_layer_method_scale_and_classes() -> None:
    page = open_at(depth="Deep", method="HiResCAM", scale="each map its own", about=["road", "sky"], opacity="30")
    assert [kind.value for kind in page.markdown if kind.value.startswith("####")] == ["#### Road", "#### Sky"]
    assert said(page).count("colours end at") == 4
    assert page.slider(key="opacity").value == 30
    assert len(figures(page)) == 4
    other = open_at(about=["road", "sky"])
    assert figures(page)["evidence inside (%)"].tolist() != figures(other)["evidence inside (%)"].tolist()


@pytest.mark.parametrize("at", ["0-0-2000-5", "a-b-c-d", "1-2-3", "500-500-100-100", "<script>", "9" * 5000])
def test_a_link_full_of_nonsense_opens_the_default(at: str) -> None:
    page = open_at(tab="Why here?", at=at, about=["unicorn"], depth="x", method="y", models=["z"])
    assert "Nothing is marked yet" in said(page)


CAR = CAMVID.names.index("car")  # the first sample has one


def test_a_mark_in_the_link_is_explained_by_what_each_model_predicts_there() -> None:
    mask = load_sample(SAMPLES[0].key)[1]
    y, x = (int(np.median(at) * 1000 / size) for at, size in zip(np.nonzero(mask == CAR), mask.shape, strict=True))
    page = open_at(tab="Why here?", at=f"{x}-{y}-{x}-{y}")
    assert said(page).count("explains car at the mark") == 2
    page.selectbox(key="here-class").set_value("car")
    assert said(settle(page)).count("explains car at the mark") == 2


def test_a_model_that_does_not_see_a_class_or_has_no_evidence_says_so_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.zeros((4, 4), np.uint8)
    assert cam_work.asked(cam_work.Question("car"), labels, CAMVID.names) == ("car", None)
    assert cam_work.asked(cam_work.Question("rider"), labels, CAMVID.names) == ("rider", None)
    name, region = cam_work.asked(cam_work.Question(None, (0, 0, 400, 400)), labels, CAMVID.names)
    assert (name, region.sum() if region is not None else 0) == ("sky", 4)
    none = cam_work.CamAnswer(labels, "car", 0, -np.ones((2, 2), np.float32), "decoder", 1.0, cam_work.Question("car"))
    monkeypatch.setattr(cam_work.CamBench, "_map", lambda *_: none)
    monkeypatch.setattr(cam_work.CamBench, "seen", lambda *_: labels)
    cam_work.cam_bench.clear()
    try:
        assert said(open_at()).count("no positive evidence for car at this layer") == 2
    finally:
        cam_work.cam_bench.clear()


def test_a_model_that_fails_says_why_and_the_other_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    mapped = cam_work.CamBench._map

    def fails(self: Any, model: Any, *rest: Any) -> Any:
        if model.key == "fpn_convnextv2":
            raise RuntimeError("out of <b>luck</b>")
        return mapped(self, model, *rest)

    monkeypatch.setattr(cam_work.CamBench, "_map", fails)
    cam_work.cam_bench.clear()
    try:
        page = open_at()
        assert "failed: out of <b>luck</b>" in said(page)
        assert "% of the evidence on" in said(page)
    finally:
        cam_work.cam_bench.clear()


def test_the_difference_of_two_models_says_how_far_they_coincide() -> None:
    page = open_at(tab="Difference")
    assert "The evidence of the two for car coincides to **" in said(page)
    page.selectbox(key="second").set_value(page.selectbox(key="first").value)
    assert "a map minus itself is nothing" in said(settle(page))
    assert "This needs two models" in said(open_at(tab="Difference", models=TWO[:1]))


def test_blanking_is_done_on_demand_and_drawn_for_every_model() -> None:
    page = open_at(tab="Blank the evidence")
    assert not page.get("plotly_chart")
    page.button[-1].click()
    settle(page)
    spec_ = json.loads(page.get("plotly_chart")[0].proto.spec)
    assert len(spec_["data"]) == 4
    assert [text["text"] for text in spec_["layout"]["annotations"]] == sorted(TWO)


def test_the_raw_values_come_with_where_they_are_from() -> None:
    photo = sample_photo("clear")
    refs = [ref for ref in shelf() if ref.key == "fpn_convnextv2"]
    labels = np.zeros(photo.work["standard"].shape[:2], np.uint8)
    raw = np.arange(6, dtype=np.float32).reshape(2, 3)
    answers = [(refs[0], cam_work.CamAnswer(labels, "sky", 0, raw, "decoder", 2.5, cam_work.Question("sky")), None)]
    view = gradcam_maps.View(photo, refs, "Decoder", "gradcam", 0.5, True)
    with np.load(io.BytesIO(gradcam_maps._raw(view, {"sky": answers})), allow_pickle=False) as file:
        about = json.loads(str(file["about"]))
        assert np.array_equal(file["sky/fpn_convnextv2"], raw)
        assert about["maps"][0]["layer"] == "decoder"
    assert about["maps"][0]["weights_sha256"] == refs[0].sha256
    assert (about["maps"][0]["run"], about["maps"][0]["score"]) == ("camvid-architectures/fpn_convnextv2-seed42", 2.5)


def test_without_a_trained_model_the_page_says_which_command_makes_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "shelf", lambda: [])
    page = AppTest.from_file(str(PAGE), default_timeout=RUN_S).run()
    assert "python -m trainers.train" in page.info[0].value


def test_a_photo_given_on_compare_is_offered_here_and_can_be_removed(own_cache: Any) -> None:
    from tests.pages.test_compare import street

    page = AppTest.from_file(str(APP), default_timeout=RUN_S)
    page.query_params["models"] = TWO[:1]
    settle(page)
    page.file_uploader(key="upload").upload("street.jpg", street(1))
    settle(page)
    page.switch_page("pages/gradcam.py")
    settle(page)
    assert "street.jpg" in page.pills(key="photo").options
    page.button(key="remove-earlier").click()
    settle(page)
    assert "street.jpg" not in page.pills(key="photo").options


def test_a_photo_survives_a_look_at_the_other_part() -> None:
    from tests.pages.test_compare import street

    page = open_at(models=TWO[:1])
    page.file_uploader(key="upload").upload("mine.jpg", street(2))
    settle(page)
    for part in ("On average", "This photo"):
        page.session_state["part"] = part
        settle(page)
    assert "mine.jpg" in page.pills(key="photo").options
    page.button(key="remove-earlier").click()
    assert "mine.jpg" not in settle(page).pills(key="photo").options


def test_a_class_of_the_link_is_offered_though_the_first_model_does_not_see_it() -> None:
    page = open_at(about=["bicyclist"], depth="Deep", photo="Sample: Golden hour")
    assert page.get_by_key("about").value == ["bicyclist"]
    page.session_state["depth"] = "Decoder"
    assert settle(page).get_by_key("about").value == ["bicyclist"]
