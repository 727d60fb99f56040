"""The published figures are records like any other, each with its source, and say no more than the source."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seglab.labels import SPACES
from seglab.records.files import RunError
from seglab.records.index import load_curves, load_runs
from seglab.records.runs import check_record, read_epochs, read_record

RESULTS = Path(__file__).resolve().parents[2] / "results"
PREFIX = "published-"
ABLATION = "published-boundary-ablation"
FOLDERS = sorted(path.parent for path in RESULTS.glob(f"{PREFIX}*/*/run.json"))
VARIANTS = ["a-ce", "b-ce-dice", "c-ce-dice-boundary", "d-ce-boundary"]
PRINTED_EPOCHS = {ABLATION: {10, 160}, f"{ABLATION}-corrected": {160}, f"{ABLATION}-classes": {160}}

# Typed from the sources a second time, in percent as printed.
POINTS: list[tuple[str, str, int, str, float]] = [
    (ABLATION, "a-ce", 10, "miou", 75.75),
    (ABLATION, "c-ce-dice-boundary", 10, "miou", 78.17),
    (ABLATION, "b-ce-dice", 10, "boundary_f1", 50.13),
    (ABLATION, "d-ce-boundary", 10, "trimap_iou", 40.78),
    (ABLATION, "d-ce-boundary", 160, "miou", 81.69),
    (ABLATION, "a-ce", 160, "boundary_f1", 58.45),
    (ABLATION, "b-ce-dice", 160, "trimap_iou", 49.02),
    (f"{ABLATION}-corrected", "b-ce-dice", 160, "boundary_f1", 76.39),
    (f"{ABLATION}-corrected", "c-ce-dice-boundary", 160, "trimap_iou", 53.87),
    (f"{ABLATION}-corrected", "a-ce", 160, "miou", 81.28),
    (f"{ABLATION}-classes", "d-ce-boundary", 160, "iou/wall", 61.64),
    (f"{ABLATION}-classes", "b-ce-dice", 160, "iou/truck", 80.24),
    (f"{ABLATION}-classes", "a-ce", 160, "iou/traffic light", 74.60),
    (f"{ABLATION}-classes", "c-ce-dice-boundary", 160, "iou/train", 81.73),
    (f"{ABLATION}-classes", "d-ce-boundary", 160, "iou/rider", 68.34),
]
SPREADS: list[tuple[str, str, str, float]] = [
    (ABLATION, "a-ce", "miou", 0.24),
    (ABLATION, "d-ce-boundary", "trimap_iou", 0.34),
    (f"{ABLATION}-corrected", "b-ce-dice", "miou", 0.74),
    (f"{ABLATION}-corrected", "c-ce-dice-boundary", "boundary_f1", 0.54),
    (f"{ABLATION}-classes", "b-ce-dice", "iou/truck", 4.39),
    (f"{ABLATION}-classes", "d-ce-boundary", "iou/bicycle", 0.20),
]
FIELDS: list[tuple[str, str, tuple[str, ...], Any]] = [
    ("published-deeplab-mask2former", "deeplabv3plus", ("ranges", "miou"), [0.59, 0.66]),
    ("published-deeplab-mask2former", "mask2former", ("ranges", "images_per_s"), [6.3, 6.5]),
    ("published-deeplab-mask2former", "mask2former", ("recipe", "lr"), 5.6844e-5),
    ("published-fpn-convnextv2", "fpn_convnextv2", ("metrics", "miou"), 0.74),
    ("published-fpn-convnextv2", "fpn_resnet", ("figures", "inference_ms"), 21.10),
    ("published-fpn-convnextv2", "fpn_resnet", ("figures", "percent_correct/vegetation"), 38.29),
    ("published-fpn-convnextv2", "fpn_convnextv2", ("figures", "percent_correct/street furniture"), 94.16),
    ("published-architectures", "unet_vgg16", ("metrics", "dice"), 0.633),
    ("published-architectures", "mobiledet_seg", ("metrics", "miou"), 0.502),
    ("published-architectures", "unet_mini", ("figures", "minutes"), 6.1),
    ("published-architectures", "fast_scnn", ("metrics", "miou"), 0.45),
    ("published-architectures", "deeplabv3plus-corruption", ("metrics", "miou"), 0.831),
    ("published-architectures", "deeplabv3plus-no-corruption", ("figures", "hours"), 3.9),
    ("published-loss-search", "unet-baseline", ("metrics", "miou"), 0.55),
    ("published-loss-search", "fpn_efficientnetb7", ("metrics", "miou"), 0.8119),
    ("published-loss-search", "fpn_efficientnetb7", ("figures", "gain_percent/resolution"), 4.3),
    (ABLATION, "a-ce", ("seconds_per_epoch",), 623),
]


@pytest.fixture(scope="module")
def runs() -> pd.DataFrame:
    return load_runs(RESULTS)


def record(experiment: str, variant: str) -> dict[str, Any]:
    return read_record(RESULTS / experiment / variant)


def test_the_seven_experiments_are_there() -> None:
    found = {folder.parent.name.removeprefix(PREFIX) for folder in FOLDERS}
    ablation = {"boundary-ablation", "boundary-ablation-corrected", "boundary-ablation-classes"}
    assert found == ablation | {"deeplab-mask2former", "fpn-convnextv2", "architectures", "loss-search"}
    for name in PRINTED_EPOCHS:
        assert [folder.name for folder in FOLDERS if folder.parent.name == name] == VARIANTS


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_a_published_record_is_valid_and_names_its_source(folder: Path) -> None:
    read = read_record(folder)
    assert (read["experiment"], read["variant"]) == (folder.parent.name, folder.name)
    assert (read["provenance"], read["seed"], read["status"]) == ("published", None, "finished")
    assert "\n" not in read["citation"].strip() != ""
    assert read["note"], "what a reader must be told"
    assert read.get("metrics") or read.get("ranges")
    assert read["label_space"] in SPACES or read["classes"], "a space of its own names its classes"


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda f: f"{f.parent.name}/{f.name}")
def test_points_are_fractions_of_known_classes_at_epochs_that_the_source_prints(folder: Path) -> None:
    read, lines = read_record(folder), read_epochs(folder)
    assert {line["epoch"] for line in lines} == PRINTED_EPOCHS.get(folder.parent.name, set())
    for line in lines:
        for key, value in line.items():
            if key != "epoch":
                assert 0 < value < 1
            if "/" in key:
                assert key.partition("/")[2] in SPACES[read["label_space"]].names
    if lines:
        assert read["metrics"] == {key: value for key, value in lines[-1].items() if key != "epoch"}
    for epoch, values in (read.get("spread") or {"values": {}})["values"].items():
        assert values.keys() <= next(line for line in lines if line["epoch"] == int(epoch)).keys()


@pytest.mark.parametrize(("experiment", "variant", "epoch", "key", "percent"), POINTS)
def test_a_point_is_the_printed_one(experiment: str, variant: str, epoch: int, key: str, percent: float) -> None:
    metric, _, name = key.partition("/")
    curves = load_curves(RESULTS, experiment, metric)
    found = curves[(curves["variant"] == variant) & (curves["epoch"] == epoch) & (curves["class"] == name)]
    assert found["value"].tolist() == [pytest.approx(percent / 100, abs=1e-9)]


@pytest.mark.parametrize(("experiment", "variant", "key", "points"), SPREADS)
def test_a_spread_is_the_printed_one(experiment: str, variant: str, key: str, points: float) -> None:
    spread = record(experiment, variant)["spread"]
    assert spread["n"] == 3
    assert spread["values"]["160"][key] == pytest.approx(points / 100, abs=1e-9)


def test_each_spread_says_how_it_was_made() -> None:
    methods = {name: record(name, "b-ce-dice")["spread"]["method"] for name in PRINTED_EPOCHS}
    assert methods == {
        ABLATION: "1.96·SE over three seeds, as published",
        f"{ABLATION}-corrected": "Student-t, n = 3",
        f"{ABLATION}-classes": "standard deviation over three seeds",
    }


@pytest.mark.parametrize(("experiment", "variant", "path", "expected"), FIELDS)
def test_a_field_is_the_printed_one(experiment: str, variant: str, path: tuple[str, ...], expected: object) -> None:
    value: Any = record(experiment, variant)
    for key in path:
        value = value[key]
    assert value == expected


def test_what_a_reader_must_be_told_is_told() -> None:
    for variant in VARIANTS:
        note = record(ABLATION, variant)["note"]
        assert "road" in note
        assert "2.2 times" in note
        assert f"{ABLATION}-corrected" in note
        assert "80 of the 500 images" in record(f"{ABLATION}-classes", variant)["note"]
    assert "one axis" in record("published-deeplab-mask2former", "mask2former")["note"]


def test_published_runs_share_no_experiment_with_other_runs_and_have_no_problem(runs: pd.DataFrame) -> None:
    published = runs[runs["provenance"] == "published"]
    others = runs[runs["provenance"] != "published"]
    assert len(published) == len(FOLDERS)
    assert not set(published["experiment"]) & set(others["experiment"])
    assert published["problem"].isna().all()
    assert published["seed"].isna().all()
    assert (published["citation"] != "").all()
    assert published.set_index("run").loc[f"{ABLATION}/a-ce", "size_px"] == "2048x1024"


@pytest.mark.parametrize("provenance", ["trained", "imported"])
def test_only_published_figures_may_have_no_seed(provenance: str) -> None:
    read = record(ABLATION, "a-ce")
    assert check_record(read, "here") is read
    with pytest.raises(RunError, match="only published figures may have none"):
        check_record(read | {"provenance": provenance}, "here")
    for seed in (True, "42", 1.5, 2**63):
        with pytest.raises(RunError, match="expected seed as a whole number"):
            check_record(read | {"seed": seed}, "here")
