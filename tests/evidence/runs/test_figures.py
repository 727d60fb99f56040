"""What the records say in figures: as their sources print it, ranges as ranges, per class apart from the headline."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seglab.evidence.runs.figures import (
    published_classes,
    published_figures,
    replicates,
    replication,
    run_figures,
    same_for_all,
)
from seglab.records.runs import read_record

RESULTS = Path(__file__).resolve().parents[3] / "results"
PRINTED_ONLY = (
    Path(__file__).resolve().parents[2] / "printed"
)  # an ablation as its manuscript prints it: points without seeds
# Typed from the sources, as printed.
PRINTED = [
    (
        "deeplab-mask2former",
        "DeepLabV3+ ResNet-50",
        {"mIoU (%)": "59–66", "Pixel accuracy (%)": "91–94", "images per s": "5.6–5.9", "s/epoch": "520"},
    ),
    (
        "deeplab-mask2former",
        "Mask2Former Swin-Small",
        {"mIoU (%)": "75–78", "Pixel accuracy (%)": "94–95", "images per s": "6.3–6.5", "s/epoch": "465"},
    ),
    (
        "fpn-convnextv2",
        "FPN ConvNeXt V2-Large",
        {"mIoU (%)": "74", "inference ms": "34.96", "epochs": "7", "val loss": "0.71"},
    ),
    ("fpn-convnextv2", "FPN ResNet-50", {"mIoU (%)": "71", "inference ms": "21.1", "epochs": "12", "val loss": "0.65"}),
    (
        "architectures",
        "DeepLabV3+ ResNet-50",
        {"mIoU (%)": "63.9", "Pixel accuracy (%)": "87.2", "Dice (%)": "71.6", "minutes": "13.4"},
    ),
    ("architectures", "U-Net mini", {"mIoU (%)": "31.9", "Dice (%)": "40.7", "minutes": "6.1"}),
    ("architectures", "Fast-SCNN", {"mIoU (%)": "45", "epochs": "50", "minutes": ""}),
    ("loss-search", "FPN EfficientNetB7, 512x256", {"mIoU (%)": "81.19", "gain percent, architecture": "7–13"}),
    ("printed-points", "C: CE + Dice + boundary", {"mIoU (%)": "81.23 ± 0.10", "Trimap IoU (%)": "48.93 ± 0.02"}),
    (
        "boundary-ablation",
        "B: CE + Dice, seed 42",
        {"mIoU (%)": "81.43", "Boundary F1 (%)": "76.37", "hours per run (about)": "28"},
    ),
]


def records(name: str) -> list[dict[str, Any]]:
    root = PRINTED_ONLY / name if name.startswith("printed-") else RESULTS / f"published-{name}"
    return [read_record(path.parent) for path in sorted(root.glob("*/run.json"))]


@pytest.mark.parametrize(
    ("name", "recipe", "expected"), PRINTED, ids=lambda value: value if isinstance(value, str) else ""
)
def test_headline_figures_are_the_printed_ones(name: str, recipe: str, expected: dict[str, str]) -> None:
    row = published_figures(records(name)).set_index("recipe").loc[recipe]
    assert {key: row[key] for key in expected} == expected


def test_losses_of_different_kinds_are_not_put_side_by_side() -> None:
    assert not [name for name in published_figures(records("deeplab-mask2former")) if "loss" in name]
    assert "loss first (about)" in run_figures(records("deeplab-mask2former")[0])["figure"].tolist()


def test_figures_per_class_stand_apart() -> None:
    table = published_classes(records("fpn-convnextv2")).set_index("class")
    assert table.loc["vegetation", ["FPN ConvNeXt V2-Large", "FPN ResNet-50"]].tolist() == ["76.77", "38.29"]
    table = published_classes(records("printed-classes")).set_index("class")
    assert table.loc["truck", "B: CE + Dice"] == "80.24 ± 4.39"
    assert table.loc["rider", "A: CE"] == "", "not printed"
    assert (table["figure"] == "IoU (%)").all()
    assert published_classes(records("architectures")).empty


def test_what_all_recipes_share_can_be_told_once_but_never_a_metric() -> None:
    shared = same_for_all(published_figures(records("boundary-ablation")))
    assert shared["epochs"] == "160"
    assert shared["hours per run (about)"] == "28"
    assert same_for_all(published_figures(records("fpn-convnextv2"))) == {}, "both have a Dice of 91, which is a metric"
    assert same_for_all(published_figures(records("fpn-convnextv2")[:1])) == {}


def test_a_repeated_comparison_stands_beside_the_published_one_and_says_what_agrees() -> None:
    rows = [("road", 0.9, 0.8, 0.1, 0.05, 0.15), ("sky", 0.5, 0.6, -0.1, -0.2, 0.01), ("car", 0.7, 0.6, 0.1, 0.02, 0.2)]
    table = pd.DataFrame(rows, columns=["class", "x", "y", "delta", "low", "high"])
    x, y = {"car": 80.0, "road": 90.0, "sky": 70.5}, {"car": 85.0, "road": 88.0, "sky": 71.0}
    shown = replication(table, x, y)
    assert shown["class"].tolist() == ["car", "road", "sky"]
    assert shown["difference"].tolist() == pytest.approx([10, 10, -10])
    assert shown["published difference"].tolist() == pytest.approx([-5, 2, -0.5])
    assert replicates(table, x, y) == (
        "The published sign, and an interval without 0: road; the published sign, not told from 0: sky; "
        "the other sign, and an interval without 0: car; the other sign, not told from 0: none."
    )


def test_a_trained_run_shows_percent_with_two_digits() -> None:
    record = read_record(RESULTS / "camvid-architectures" / "fpn_convnextv2-seed42")
    table = run_figures(record)
    assert table.iloc[0].tolist() == ["mIoU (%)", "", "61.27"]
    assert table[table["class"] == "road"]["value"].tolist()[0] == "95.41"
    assert len(table) == len(record["metrics"])


HOSTILE = [
    {},
    {"metrics": [1]},
    {"metrics": {"miou": "good", "dice": None, "iou/road": True, "x" * 500: 10**400, "": 1}},
    {"metrics": {"miou": [0.1, 0.2, 0.3]}, "ranges": {"miou": ["low", {}]}, "figures": "many"},
    {"metrics": {"miou": 0.5}, "spread": {"values": {"160": [1], "a": {"miou": "wide"}}}},
    {"metrics": {"miou": 0.5}, "spread": {"values": [1]}, "title": {"a": 1}, "epochs": "all", "seconds_per_epoch": []},
    {"provenance": "published", "metrics": {"miou": 0.5}, "spread": {"values": {"160": {"miou": "wide"}}}},
    {"metrics": {f"m{i}": i for i in range(5_000)}},
]


@pytest.mark.parametrize("record", HOSTILE, ids=lambda record: str(record)[:40])
def test_odd_records_give_text(record: dict[str, Any]) -> None:
    for table in (run_figures(record), published_figures([record, record]), published_classes([record, record])):
        assert isinstance(table, pd.DataFrame)
        for column in table.columns:
            assert all(isinstance(one, str) and len(one) < 200 for one in table[column])
