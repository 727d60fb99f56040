"""Tables of mean maps: hand-worked means, no interval for few images, NaN for what never happens."""

import numpy as np
import pytest

from seglab.evidence.pointing import coactivation_table, pointing_table
from seglab.measure.bootstrap import bootstrap_mean
from seglab.records.cams import GRID, MeanCams

NAMES = ("road", "car")


def record(energy: np.ndarray, peak: np.ndarray | None = None, coactivation: np.ndarray | None = None) -> MeanCams:
    n = len(energy)
    return MeanCams(
        {"layer": "decoder", "method": "gradcam"},
        tuple(map(str, range(n))),
        np.ones((2, *GRID), np.float32),
        np.array([n, n]),
        energy,
        np.linspace(0.1, 0.2, 2 * n).reshape(n, 2),
        energy if peak is None else peak,
        np.full((n, 2, 2), np.nan) if coactivation is None else coactivation,
    )


def test_a_row_is_the_mean_over_the_images_in_which_the_class_counts() -> None:
    energy = np.array([[0.2, np.nan], [0.4, np.nan], [np.nan, np.nan], [0.9, np.nan], [0.5, np.nan], [0.5, np.nan]])
    table = pointing_table({"M": record(energy)}, NAMES, one_clip=False)
    assert table[["class", "model", "images"]].to_numpy().tolist() == [["road", "M", 5]]
    row = table.iloc[0]
    assert row["inside"] == pytest.approx(0.5)
    assert row["chance"] == pytest.approx(np.delete(np.linspace(0.1, 0.2, 12).reshape(6, 2)[:, 0], 2).mean())
    assert (row["inside_low"], row["inside_high"]) == pytest.approx(bootstrap_mean(energy[:, 0])[1:])


def test_frames_of_one_clip_are_drawn_in_blocks() -> None:
    energy = np.repeat(np.linspace(0.1, 0.9, 5), 20)[:, None] * np.ones(2)
    widths = []
    for one_clip in (False, True):
        row = pointing_table({"M": record(energy)}, NAMES, one_clip).iloc[0]
        widths.append(row["inside_high"] - row["inside_low"])
    assert widths[1] > 2 * widths[0]


def test_few_images_have_no_interval() -> None:
    row = pointing_table({"M": record(np.full((4, 2), 0.3))}, NAMES, one_clip=False).iloc[0]
    assert row["inside"] == pytest.approx(0.3)
    assert np.isnan([row["inside_low"], row["inside_high"], row["peak_low"]]).all()


def test_models_stand_beside_each_other_class_by_class() -> None:
    table = pointing_table(
        {"A": record(np.full((6, 2), 0.3)), "B": record(np.full((6, 2), 0.6))}, NAMES, one_clip=False
    )
    assert table[["class", "model"]].to_numpy().tolist() == [["road", "A"], ["road", "B"], ["car", "A"], ["car", "B"]]
    assert pointing_table({"A": record(np.full((6, 2), np.nan))}, NAMES, one_clip=False).empty


def test_coactivation_is_the_mean_over_the_images_that_have_it() -> None:
    some = np.full((3, 2, 2), np.nan)
    some[0, 0], some[2, 0] = (0.2, 0.4), (0.6, 0.0)
    table = coactivation_table(record(np.ones((3, 2)), coactivation=some), NAMES)
    assert table.loc["road"].tolist() == pytest.approx([0.4, 0.2])
    assert table.loc["car"].isna().all()
