"""Per-class deltas over seeds: the right pairing, Holm over the classes, and sentences that claim no more than that."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seglab.evidence.classes import ClassCurves, class_curves_of, class_deltas, class_verdict, points
from seglab.evidence.curves import pairwise, ranking
from seglab.labels import space
from seglab.records.index import load_curves
from tests.synthetic import write_experiment

CLASSES = ("road", "sign", "car")


def curves(**values: list[list[float]]) -> ClassCurves:
    """Return one epoch of ``(C, S)`` values by variant."""
    seeds = tuple(str(s) for s in range(len(next(iter(values.values()))[0])))
    cubes = {name: np.array(cube, np.float64)[:, :, None] for name, cube in values.items()}
    return ClassCurves("miou", CLASSES, np.array([160]), seeds, cubes)


NEAR = curves(
    a=[[0.90, 0.91, 0.92], [0.30, 0.33, 0.31], [0.60, 0.62, 0.61]],
    b=[[0.91, 0.90, 0.93], [0.20, 0.235, 0.205], [0.65, 0.66, 0.67]],
)


def test_tidy_rows_become_a_cube_by_variant_class_seed_and_epoch(tmp_path: Path) -> None:
    write_experiment(tmp_path, epochs=5, counts_at=())
    table = load_curves(tmp_path, "camvid-boundary-ablation")
    found = class_curves_of(table, "miou", space("camvid-11").names)
    assert (found.classes, found.seeds) == (space("camvid-11").names, ("42", "123", "456"))
    rows = table[(table["metric"] == "iou") & (table["class"] == "sign") & (table["variant"] == "a-ce")]
    for seed, epoch, value in zip(rows["seed"], rows["epoch"], rows["value"], strict=True):
        at = found.classes.index("sign"), found.seeds.index(str(seed)), epoch - 1
        assert found.values["a-ce"][at] == value


def test_no_rows_make_no_variants() -> None:
    table = pd.DataFrame({name: [] for name in ("variant", "seed", "epoch", "metric", "class", "value")})
    found = class_curves_of(table.astype({"epoch": "int64"}), "miou")
    assert (found.variants, found.classes) == ((), ())


def test_a_variant_is_read_at_one_epoch_or_at_its_last() -> None:
    cube = np.arange(6.0).reshape(1, 1, 6)
    short = cube.copy()
    short[..., 3:] = np.nan
    both = ClassCurves("miou", ("road",), np.arange(1, 7), ("42",), {"long": cube, "short": short})
    assert both.epochs_of("long", "short") == [1, 2, 3]
    assert {v: float(x[0, 0, 0]) for v, x in both.at(2).values.items()} == {"long": 1, "short": 1}
    assert {v: float(x[0, 0, 0]) for v, x in both.at(None).values.items()} == {"long": 5, "short": 2}
    assert both.at(5).variants == ("long",)


def test_the_mean_over_classes_is_a_curve_like_any_other() -> None:
    mean = NEAR.of(["sign", "car"])
    assert mean.title == "IoU of sign + car"
    np.testing.assert_allclose(mean.values["a"][:, 0], [0.45, 0.475, 0.46])
    assert ranking(mean, 160)["variant"][0] == "a"
    assert len(pairwise(mean, 160)) == 1


def test_a_mean_with_a_class_missing_is_no_figure() -> None:
    partly = curves(a=[[0.9], [np.nan], [0.5]], b=[[0.9], [0.4], [0.5]])
    assert np.isnan(partly.of(["sign", "car"]).values["a"]).all()
    with pytest.raises(ValueError, match="one of the classes"):
        partly.of(["tree"])


def test_a_delta_is_a_paired_t_test_with_holm_over_the_classes() -> None:
    table = class_deltas(NEAR, "a", "b").set_index("class")
    ps = {}
    for c, name in enumerate(CLASSES):
        of_a, of_b = (NEAR.values[v][c, :, 0] for v in "ab")
        oracle = stats.ttest_rel(of_a, of_b)
        interval = oracle.confidence_interval()
        assert table["delta"][name] == pytest.approx((of_a - of_b).mean())
        assert (table["low"][name], table["high"][name]) == pytest.approx((interval.low, interval.high))
        assert table["p"][name] == pytest.approx(oracle.pvalue)
        ps[name] = oracle.pvalue
    order = sorted(ps, key=ps.__getitem__)
    assert table["p_holm"][order[0]] == pytest.approx(3 * ps[order[0]])
    assert table["p_holm"][order[1]] == pytest.approx(max(3 * ps[order[0]], 2 * ps[order[1]]))


def test_exchanging_the_two_mirrors_the_table() -> None:
    there = class_deltas(NEAR, "a", "b")
    back = class_deltas(NEAR, "b", "a").iloc[::-1].reset_index(drop=True)
    np.testing.assert_allclose(there["delta"], -back["delta"])
    np.testing.assert_allclose(there["low"], -back["high"])
    assert there["class"].tolist() == back["class"].tolist() == ["sign", "road", "car"]


def test_only_seeds_that_both_have_count() -> None:
    gaps = curves(
        a=[[0.9, np.nan, 0.7], [0.5, 0.5, np.nan], [np.nan] * 3], b=[[0.8, 0.1, 0.7], [0.4, np.nan, 0.3], [0.5] * 3]
    )
    table = class_deltas(gaps, "a", "b").set_index("class")
    assert table["n"].to_dict() == {"road": 2, "sign": 1}
    assert table["x"]["road"] == pytest.approx(0.8)
    assert np.isnan(table.loc["sign", ["low", "high", "p"]].astype(float)).all()


def test_variants_that_share_no_seed_are_compared_unpaired() -> None:
    apart = curves(a=[[0.9, 0.8, np.nan, np.nan]] * 3, b=[[np.nan, np.nan, 0.7, 0.6]] * 3)
    row = class_deltas(apart, "a", "b").iloc[0]
    oracle = stats.ttest_ind([0.9, 0.8], [0.7, 0.6], equal_var=False)
    assert (row["x"], row["y"], row["n"]) == (pytest.approx(0.85), pytest.approx(0.65), 2)
    assert row["p"] == pytest.approx(oracle.pvalue)
    assert (row["low"], row["high"]) == pytest.approx(tuple(oracle.confidence_interval()))


def test_the_verdict_names_what_is_beyond_noise_and_nothing_else() -> None:
    said = class_verdict(class_deltas(NEAR, "a", "b"), "A", "B", "seeds")
    assert said == (
        "A against B, more than seeds alone would do (after Holm's correction over 3 classes): "
        "it gains on sign +10.00 and pays with car −5.00."
    )


def test_the_verdict_of_noise_is_that_no_class_pays() -> None:
    noise = curves(a=[[0.9, 0.8, 0.7]] * 3, b=[[0.8, 0.9, 0.65]] * 3)
    said = class_verdict(class_deltas(noise, "a", "b"), "A", "B", "seeds")
    assert "no class gains or pays more than seeds alone would do" in said


def test_one_seed_and_printed_figures_claim_nothing() -> None:
    one = class_deltas(curves(a=[[0.9], [0.5], [0.4]], b=[[0.8], [0.6], [0.4]]), "a", "b")
    assert "cannot be told from noise with one seed each" in class_verdict(one, "A", "B", "seeds")
    assert "no test can be repeated" in class_verdict(one, "A", "B", "seeds", tests=False)
    assert "no class with a figure in common" in class_verdict(one.iloc[:0], "A", "B", "seeds")


def test_the_verdict_over_frames_of_one_clip_says_that_it_is_too_sure() -> None:
    table = class_deltas(NEAR, "a", "b")
    assert "intervals from one clip are too narrow" in class_verdict(table, "A", "B", "images", one_clip=True)
    assert "one clip" not in class_verdict(table, "A", "B", "seeds", one_clip=True)


def test_differences_are_said_in_signed_points() -> None:
    assert [points(x) for x in (0.0231, -0.0005, float("nan"))] == ["+2.31", "−0.05", ""]
