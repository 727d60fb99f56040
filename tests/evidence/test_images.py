"""Statistics over images: the right figures, the right pairing, and no claim where nothing differs."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from scipy import stats

from seglab.evidence.classes import DELTA_COLUMNS
from seglab.evidence.images import (
    ImageCounts,
    block_of,
    class_deltas_over_images,
    confused_most,
    counted_epochs,
    group_iou,
    group_pairs_over_images,
    image_counts,
    merge_classes,
    pair_delta,
    paired,
    row_shares,
    support,
    worst_images,
)
from seglab.measure.metrics import accuracy_per_class

NAMES = ("road", "sign", "car")
FEW = 400  # resamples


def drawn(seed: int, right: float = 0.8, images: int = 30, seeds: int = 2) -> ImageCounts:
    """Return counts of a model that is right on about that share of each class's pixels."""
    rng = np.random.default_rng(seed)
    confusions = np.zeros((seeds, images, 3, 3), np.uint32)
    for s, n, c in np.ndindex(seeds, images, 3):
        shares = np.full(3, (1 - right) / 2)
        shares[c] = right
        confusions[s, n, c] = rng.multinomial(1000, shares)
    return ImageCounts(10, tuple("abc"[:seeds]), tuple(f"frame{n:03d}" for n in range(images)), confusions)


def looped_iou(counts: ImageCounts, c: int) -> float:
    both = target = pred = 0
    for of_seed in counts.confusions:
        for confusion in of_seed:
            both += int(confusion[c, c])
            target += int(confusion[c].sum())
            pred += int(confusion[:, c].sum())
    return both / (target + pred - both)


def test_merged_classes_count_what_is_mixed_up_among_them_as_right() -> None:
    counts = drawn(3)
    merged = merge_classes(counts, [(0,), (1, 2)])
    assert merged.confusions.shape == (2, 30, 2, 2)
    total = counts.total
    assert merged.total[1, 1] == total[1:, 1:].sum()
    assert merged.total[0].tolist() == [total[0, 0], total[0, 1:].sum()]
    assert merge_classes(counts, [(2,)]).total.tolist() == [[total[2, 2]]]


def test_deltas_of_another_statistic_are_of_that_statistic() -> None:
    x, y = drawn(1, 0.9), drawn(2, 0.7)
    table = class_deltas_over_images(x, y, NAMES, 1, FEW, statistic=accuracy_per_class).set_index("class")
    for c, name in enumerate(NAMES):
        assert table["x"][name] == pytest.approx(x.total[c, c] / x.total[c].sum())
        assert table["low"][name] < table["delta"][name] < table["high"][name]


def test_a_delta_is_the_difference_of_ious_summed_over_seeds_and_images() -> None:
    x, y = drawn(1, 0.9), drawn(2, 0.7)
    table = class_deltas_over_images(x, y, NAMES, 1, FEW).set_index("class")
    assert tuple(table.reset_index().columns) == DELTA_COLUMNS
    for c, name in enumerate(NAMES):
        assert table["x"][name] == pytest.approx(looped_iou(x, c))
        assert table["delta"][name] == pytest.approx(looped_iou(x, c) - looped_iou(y, c))
        assert table["low"][name] < table["delta"][name] < table["high"][name]
    assert table["n"].tolist() == [30, 30, 30]


def test_exchanging_the_two_mirrors_every_interval_and_keeps_every_p() -> None:
    x, y = drawn(1, 0.81), drawn(2, 0.8)
    there = class_deltas_over_images(x, y, NAMES, 5, FEW).set_index("class")
    back = class_deltas_over_images(y, x, NAMES, 5, FEW).set_index("class").loc[there.index]
    np.testing.assert_allclose(there["low"], -back["high"])
    np.testing.assert_allclose(there["delta"], -back["delta"])
    np.testing.assert_allclose(there["p"], back["p"])


def test_a_model_against_itself_is_never_significant() -> None:
    x = drawn(3)
    table = class_deltas_over_images(x, x, NAMES, 1, FEW)
    assert (table[["delta", "low", "high"]] == 0).all(axis=None)
    assert (table["p_holm"] == 1).all()


def test_rows_come_with_the_largest_gain_first_and_holm_over_the_classes() -> None:
    x, y = drawn(1), drawn(2)
    better = x.confusions.copy()
    better[:, :, 1, 1] += better[:, :, 1, 0]
    better[:, :, 1, 0] = 0
    table = class_deltas_over_images(ImageCounts(10, x.seeds, x.stems, better), y, NAMES, 1, FEW)
    assert table["class"].iloc[0] == "sign"
    assert table["delta"].is_monotonic_decreasing
    assert (table["p_holm"] >= table["p"]).all()
    assert table["p_holm"].min() == pytest.approx(min(1, 3 * table["p"].min()))


def test_a_class_that_neither_has_is_left_out() -> None:
    x, y = drawn(1), drawn(2)
    for counts in (x, y):
        counts.confusions[:, :, 2] = 0
        counts.confusions[:, :, :, 2] = 0
    assert set(class_deltas_over_images(x, y, NAMES, 1, FEW)["class"]) == {"road", "sign"}


def test_blocks_widen_the_interval_where_neighbouring_images_are_alike() -> None:
    x, y = drawn(1, images=100, seeds=1), drawn(2, images=100, seeds=1)
    wave = (200 * np.sin(np.arange(100) / 12)).astype(np.int64)
    moved = x.confusions.astype(np.int64)
    moved[0, :, 0, 0] += wave
    moved[0, :, 0, 1] -= np.minimum(wave, moved[0, :, 0, 1])
    x = ImageCounts(10, x.seeds, x.stems, moved)
    widths = []
    for block in (1, 20):
        row = class_deltas_over_images(x, y, NAMES, block, 2000).set_index("class").loc["road"]
        widths.append(row["high"] - row["low"])
    assert widths[1] > 1.5 * widths[0]


def test_one_image_has_a_delta_and_no_interval() -> None:
    table = class_deltas_over_images(drawn(1, images=1), drawn(2, images=1), NAMES, 1, FEW)
    assert table["delta"].notna().all()
    assert table[["low", "high", "p", "p_holm"]].isna().all(axis=None)


def test_models_are_paired_by_the_seeds_that_both_have() -> None:
    x, y = drawn(1), drawn(2, seeds=1)
    of_x, of_y = paired(x, y)
    assert of_x.seeds == of_y.seeds == ("a",)
    np.testing.assert_array_equal(of_x.confusions, x.confusions[:1])
    strangers = ImageCounts(10, ("c",), y.stems, y.confusions)
    assert paired(x, strangers) == (x, strangers)


def test_counts_of_other_images_are_refused() -> None:
    x, y = drawn(1), drawn(2)
    other = ImageCounts(10, y.seeds, tuple(reversed(y.stems)), y.confusions)
    with pytest.raises(ValueError, match="other images"):
        class_deltas_over_images(x, other, NAMES, 1, FEW)


@pytest.mark.parametrize(
    ("x", "y", "asked", "found"),
    [
        ([10, 20, 160], [10, 160], 160, (160, 160)),
        ([10, 20, 160], [10, 160], 22, (10, 10)),
        ([10, 20], [10, 20], 15, (20, 20)),
        ([10, 48], [10, 26], None, (48, 26)),
        ([40, 48], [26], 16, (48, 26)),
        ([], [26], 26, None),
    ],
)
def test_counts_are_taken_at_the_nearest_common_epoch(
    x: list[int], y: list[int], asked: int | None, found: tuple[int, int] | None
) -> None:
    assert counted_epochs(x, y, asked) == found


def test_frames_of_a_clip_are_drawn_in_blocks_of_twenty_and_other_images_alone() -> None:
    assert [block_of(n, True) for n in (101, 24, 1)] == [20, 12, 1]
    assert block_of(500, False) == 1


def test_support_counts_pixels_and_images_of_the_target_once_not_by_seed() -> None:
    confusions = np.zeros((2, 2, 3, 3), np.uint32)
    confusions[:, 0, 0] = [3, 1, 0]
    confusions[:, 1, 0] = [4, 0, 0]
    confusions[:, 1, 1] = [1, 1, 0]
    table = support(ImageCounts(1, ("a", "b"), ("one", "two"), confusions), NAMES)
    assert table["pixels_frac"].tolist() == pytest.approx([0.8, 0.2, 0.0])
    assert table["images"].tolist() == [2, 1, 0]


def test_shares_of_a_row_add_up_to_one_and_an_absent_class_has_none() -> None:
    shares = row_shares(np.array([[6, 2, 0], [1, 0, 3], [0, 0, 0]]))
    np.testing.assert_allclose(shares[:2], [[0.75, 0.25, 0], [0.25, 0, 0.75]])
    assert np.isnan(shares[2]).all()
    assert confused_most(shares, 1) == [2, 0]
    assert confused_most(shares, 2) == [0, 1]


def test_the_difference_of_a_confusion_over_seeds_is_a_paired_t_test() -> None:
    x, y = drawn(1, 0.8, seeds=2), drawn(2, 0.78, seeds=2)
    delta, low, high, p, n = pair_delta(x, y, 1, 0, None)
    of_x, of_y = (np.array([seed[:, 1, 0].sum() / seed[:, 1].sum() for seed in counts.confusions]) for counts in (x, y))
    oracle = stats.ttest_rel(of_x, of_y)
    assert (delta, p, n) == (pytest.approx((of_x - of_y).mean()), pytest.approx(oracle.pvalue), 2)
    assert (low, high) == pytest.approx(tuple(oracle.confidence_interval()))


def test_the_difference_of_a_confusion_over_images_holds_the_pooled_difference() -> None:
    x, y = drawn(1, 0.8), drawn(2, 0.7)
    delta, low, high, p, n = pair_delta(x, y, 1, 0, 1, FEW)
    shares = [row_shares(counts.total)[1, 0] for counts in (x, y)]
    assert delta == pytest.approx(shares[0] - shares[1])
    assert low < delta < high < 0
    assert p == pytest.approx(2 / (FEW + 1))
    assert n == 30


def test_a_confusion_of_seeds_that_do_not_match_is_tested_unpaired() -> None:
    x, y = drawn(1, seeds=3), drawn(2)
    strangers = ImageCounts(10, ("d", "e"), y.stems, y.confusions)
    delta, low, high, p, n = pair_delta(x, strangers, 1, 0, None)
    of_x, of_y = (np.array([seed[:, 1, 0].sum() / seed[:, 1].sum() for seed in counts.confusions]) for counts in (x, y))
    oracle = stats.ttest_ind(of_x, of_y, equal_var=False)
    assert (delta, p, n) == (pytest.approx(of_x.mean() - of_y.mean()), pytest.approx(oracle.pvalue), 2)
    assert (low, high) == pytest.approx(tuple(oracle.confidence_interval()))


def test_a_confusion_of_one_image_has_no_interval() -> None:
    assert np.isnan(pair_delta(drawn(1, images=1), drawn(2, images=1), 1, 0, 1, FEW)[1:4]).all()


def test_the_worst_images_come_first_and_clean_ones_not_at_all() -> None:
    x, y = drawn(1), drawn(2)
    x.confusions[:, :, 1, 2] = 0
    x.confusions[:, 3, 1, 2], x.confusions[:, 7, 1, 2] = 40, 90
    table = worst_images(x, y, 1, 2)
    assert table["image"].tolist() == ["frame007", "frame003"]
    assert table["pixels"].tolist() == [90, 40]
    assert table["x"][0] == pytest.approx(180 / x.confusions[:, 7, 1].sum())


def test_groups_of_classes_are_compared_by_their_mean_iou_with_holm_over_the_pairs() -> None:
    variants = {"a": drawn(1, 0.9), "b": drawn(2, 0.8), "c": drawn(3, 0.7)}
    pairs = group_pairs_over_images(variants, {"two": [0, 2], "one": [1]}, 1, FEW)
    assert set(pairs) == {"two", "one"}
    table = pairs["two"]
    assert list(zip(table["a"], table["b"], strict=True)) == [("a", "b"), ("a", "c"), ("b", "c")]
    expected = np.mean([looped_iou(variants["a"], c) - looped_iou(variants["b"], c) for c in (0, 2)])
    assert table["delta"][0] == pytest.approx(expected)
    assert group_iou(variants["a"], [0, 2]) - group_iou(variants["b"], [0, 2]) == pytest.approx(expected)
    np.testing.assert_allclose(table["p_holm"], 3 * table["p"].to_numpy())


def test_a_group_leaves_out_classes_that_do_not_occur() -> None:
    variants = {"a": drawn(1, 0.9), "b": drawn(2, 0.8)}
    for counts in variants.values():
        counts.confusions[:, :, 2] = 0
        counts.confusions[:, :, :, 2] = 0
    pairs = group_pairs_over_images(variants, {"with": [0, 2], "without": [0], "none": [2]}, 1, FEW)
    pd.testing.assert_frame_equal(pairs["with"], pairs["without"])
    assert np.isnan(pairs["none"]["delta"][0])
    assert np.isnan(group_iou(variants["a"], [2]))


STEMS = ("one", "two")


def zeros(*shape: int, dtype: Any = np.uint32) -> NDArray[Any]:
    return np.zeros(shape, dtype)


@pytest.mark.parametrize(
    ("runs", "message"),
    [
        ({}, "one run at least"),
        ({"42": (STEMS, zeros(2, 4, 4))}, "seed 42"),
        ({"42": (STEMS, zeros(3, 3, 3))}, "seed 42"),
        ({"42": (STEMS, zeros(2, 3, 3, dtype=np.float32))}, "whole counts"),
        ({"42": (STEMS, zeros(2, 3, 3)), "7": (("two", "one"), zeros(2, 3, 3))}, "seed 7 was counted on other images"),
    ],
)
def test_counts_that_do_not_fit_are_refused_with_the_seed(runs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        image_counts(10, runs, 3)


def test_counts_of_runs_are_joined_by_seed() -> None:
    counts = image_counts(10, {"42": (STEMS, zeros(2, 3, 3)), "7": (STEMS, zeros(2, 3, 3) + 1)}, 3)
    assert (counts.seeds, counts.stems, counts.confusions.shape) == (("42", "7"), STEMS, (2, 2, 3, 3))
    assert counts.total.tolist() == [[2] * 3] * 3
