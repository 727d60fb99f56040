"""Statistics equal SciPy, hand-worked cases and plain loops, and their intervals cover what they promise."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from seglab import metrics, statistics
from seglab.statistics import (
    Statistic,
    crossings,
    holm,
    paired_bootstrap,
    paired_t_test,
    probability_of_improvement,
    t_interval,
)

NAN = math.nan
Array = NDArray[np.float64]


def within(share: float, expected: float, n: int, sigmas: float = 4) -> bool:
    """Say whether a share of n trials is one that a chance of ``expected`` explains."""
    return abs(share - expected) <= sigmas * math.sqrt(expected * (1 - expected) / n)


# Over seeds: intervals and tests


@pytest.mark.parametrize("n", [2, 3, 5, 30])
@pytest.mark.parametrize("confidence", [0.5, 0.9, 0.95, 0.999])
def test_the_t_interval_equals_scipys(n: int, confidence: float) -> None:
    values = np.random.default_rng(n).normal(0.7, 0.02, n)
    mean, half = t_interval(values, confidence)
    low, high = stats.t.interval(confidence, n - 1, values.mean(), stats.sem(values))
    assert (mean - half, mean + half) == pytest.approx((low, high), rel=1e-9)


def test_at_three_seeds_the_t_interval_is_4_303_standard_errors() -> None:
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 4.302653 / math.sqrt(3)), rel=1e-6)


def test_at_three_seeds_the_t_interval_covers_95_percent_and_1_96_standard_errors_81_percent() -> None:
    trials, rng = 4000, np.random.default_rng(0)
    values = rng.normal(0.7, 0.02, (trials, 3))
    t_covers = np.mean([abs(mean - 0.7) <= half for mean, half in map(t_interval, values)])
    normal_covers = np.mean(np.abs(values.mean(1) - 0.7) <= 1.96 * values.std(1, ddof=1) / math.sqrt(3))
    assert within(float(t_covers), 0.95, trials)
    assert within(float(normal_covers), 2 * stats.t.cdf(1.96, 2) - 1, trials)
    assert round(2 * stats.t.cdf(1.96, 2) - 1, 2) == 0.81


def test_nan_values_are_left_out_of_the_t_interval() -> None:
    assert t_interval([0.1, NAN, 0.3, 0.4]) == t_interval([0.1, 0.3, 0.4])


def test_one_value_has_a_mean_and_no_interval_and_none_has_neither() -> None:
    assert t_interval([NAN, 0.7])[0] == 0.7
    assert math.isnan(t_interval([NAN, 0.7])[1])
    assert np.isnan([t_interval([]), t_interval([NAN])]).all()


@pytest.mark.parametrize("confidence", [0.0, 1.0, 95.0, NAN])
def test_a_confidence_that_is_not_a_share_is_refused(confidence: float) -> None:
    with pytest.raises(ValueError, match="expected confidence between 0 and 1"):
        t_interval([1.0, 2.0], confidence)


@pytest.mark.parametrize("n", [2, 3, 10])
@pytest.mark.parametrize("shift", [0.0, 0.03, -10.0])
def test_the_paired_t_test_equals_scipys(n: int, shift: float) -> None:
    rng = np.random.default_rng(n)
    a, b = rng.normal(0.7 + shift, 0.02, n), rng.normal(0.7, 0.02, n)
    expected = stats.ttest_rel(a, b)
    assert paired_t_test(a, b) == pytest.approx(((a - b).mean(), expected.statistic, expected.pvalue), rel=1e-9)


def test_the_paired_t_test_rejects_a_true_null_five_times_in_a_hundred() -> None:
    trials, rng = 4000, np.random.default_rng(1)
    pairs = rng.normal(0.7, 0.02, (trials, 2, 3))
    assert within(float(np.mean([paired_t_test(a, b)[2] < 0.05 for a, b in pairs])), 0.05, trials)


def test_the_paired_t_test_is_of_a_minus_b() -> None:
    delta, t, p = paired_t_test([0.8, 0.7, 0.9], [0.6, 0.6, 0.6])
    back = paired_t_test([0.6, 0.6, 0.6], [0.8, 0.7, 0.9])
    assert delta == pytest.approx(0.2)
    assert t > 0
    assert back == pytest.approx((-delta, -t, p))


def test_a_pair_with_a_nan_is_left_out_of_the_paired_t_test() -> None:
    assert paired_t_test([1.0, NAN, 2.0, 4.0, 9.0], [0.0, 5.0, 2.0, NAN, 7.0]) == paired_t_test([1, 2, 9], [0, 2, 7])


def test_fewer_than_two_pairs_have_no_test() -> None:
    delta, *rest = paired_t_test([0.75, NAN], [0.5, 0.4])
    assert delta == 0.25
    assert np.isnan(rest).all()
    assert np.isnan(paired_t_test([], [])).all()
    assert np.isnan(paired_t_test([NAN], [1.0])).all()


def test_identical_pairs_have_no_t_and_a_p_of_one() -> None:
    delta, t, p = paired_t_test([0.1, 0.2, 0.3], [0.1, 0.2, 0.3])
    assert (delta, p) == (0.0, 1.0)
    assert math.isnan(t)


def test_a_constant_difference_has_an_infinite_t_and_a_p_of_zero() -> None:
    b = [0.0, 0.0, 0.0]  # 0.1 three times: its mean is not 0.1 in floating point
    assert paired_t_test([0.1] * 3, b) == (0.1, math.inf, 0.0)
    assert paired_t_test(b, [0.1] * 3) == (-0.1, -math.inf, 0.0)


def test_seeds_that_do_not_pair_up_are_refused() -> None:
    with pytest.raises(ValueError, match="got 2 and 3"):
        paired_t_test([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match=r"expected b of one dimension, got shape \(1, 2\)"):
        paired_t_test([1, 2], [[1, 2]])


def test_holm_equals_a_case_worked_by_hand() -> None:
    # sorted .005 .01 .02 .03 .04 .2, times 6 5 4 3 2 1 = .03 .05 .08 .09 .08 .2; the fifth takes the fourth's .09
    adjusted = holm([0.2, 0.01, 0.04, 0.005, 0.03, 0.02])
    np.testing.assert_allclose(adjusted, [0.2, 0.05, 0.09, 0.03, 0.09, 0.08], rtol=1e-12)


def test_holm_never_exceeds_one_and_ties_stay_tied() -> None:
    assert holm([0.6, 0.9, 0.6]).tolist() == [1.0, 1.0, 1.0]
    np.testing.assert_allclose(holm([0.02, 0.02]), [0.04, 0.04], rtol=1e-12)
    assert holm([0.3]).tolist() == [0.3]
    assert holm([]).shape == (0,)


def test_a_nan_stays_nan_and_does_not_enlarge_holms_family() -> None:
    np.testing.assert_array_equal(holm([NAN, 0.5, NAN, 0.02]), [NAN, 0.5, NAN, 0.04])
    assert np.isnan(holm([NAN, NAN])).all()


@pytest.mark.parametrize("seed", range(20))
def test_holm_keeps_the_order_of_the_p_values_and_lies_between_them_and_bonferroni(seed: int) -> None:
    p = np.random.default_rng(seed).uniform(0, 0.3, 6)
    adjusted = holm(p)
    assert (np.diff(adjusted[np.argsort(p)]) >= 0).all()
    assert ((p <= adjusted) & (adjusted <= np.minimum(6 * p, 1))).all()
    assert adjusted.min() == 6 * p.min()


def test_holm_keeps_the_family_wise_error_below_five_percent() -> None:
    trials = 2000
    p = np.random.default_rng(2).uniform(size=(trials, 6))
    assert np.mean([holm(family).min() <= 0.05 for family in p]) <= 0.05 + 4 * math.sqrt(0.05 * 0.95 / trials)


@pytest.mark.parametrize("p", [-0.1, 1.2, math.inf])
def test_what_is_no_p_value_is_refused(p: float) -> None:
    with pytest.raises(ValueError, match="expected p values from 0 to 1"):
        holm([0.1, p, NAN])


# Over images: the paired bootstrap


def accuracy(confusion: NDArray[np.int64]) -> Array:
    return np.trace(confusion, axis1=1, axis2=2) / confusion.sum((1, 2))


def mean_iou(confusion: NDArray[np.int64]) -> Array:
    return np.nanmean(metrics.iou_per_class(confusion), axis=-1)


def some_confusions(seed: int, n: int = 23, c: int = 4) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return two models' confusions; the second is a little worse, and class c - 1 is in no image."""
    rng = np.random.default_rng(seed)
    a = rng.integers(0, 50, (2, n, c, c)).astype(np.uint32) + 60 * np.eye(c, dtype=np.uint32)
    a[1] += 9
    a[:, :, -1] = a[:, :, :, -1] = 0
    return a[0], a[1]


def two_class(right: Array, pixels: int = 10_000) -> NDArray[np.int64]:
    """Return ``(N, 2, 2)`` of images in which this share of the pixels is right."""
    hits = np.round(np.clip(right, 0, 1) * pixels).astype(np.int64)
    return np.stack([hits, pixels - hits, 0 * hits, 0 * hits], -1).reshape(-1, 2, 2)


def slow_bootstrap(
    models: tuple[NDArray[np.uint32], NDArray[np.uint32]], statistic: Statistic, starts: NDArray[np.int64], block: int
) -> tuple[float, float, float, float]:
    """Add up image by image, in plain loops, the blocks that begin at ``starts`` (R, blocks)."""
    n, deltas = len(models[0]), []
    for images in [range(n), *([start + i for start in row for i in range(block)][:n] for row in starts.tolist())]:
        a, b = (statistic(sum(model[i].astype(np.int64) for i in images)[None])[0] for model in models)
        deltas.append(float(a - b))
    full, deltas = deltas[0], deltas[1:]
    low, high = np.percentile(deltas, [2.5, 97.5])
    below, above = sum(d <= 0 for d in deltas), sum(d >= 0 for d in deltas)
    return full, float(low), float(high), min(1.0, 2 * min(below + 1, above + 1) / (len(deltas) + 1))


@pytest.mark.parametrize("block", [1, 4, 12, 22])
@pytest.mark.parametrize("statistic", [accuracy, mean_iou])
def test_the_bootstrap_equals_a_plain_loop_over_the_same_blocks(block: int, statistic: Statistic) -> None:
    models = some_confusions(3)
    starts = np.random.default_rng(5).integers(0, 23 - block + 1, (300, math.ceil(23 / block)))
    expected = slow_bootstrap(models, statistic, starts, block)
    assert paired_bootstrap(*models, statistic, 300, block, seed=5) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("block", [1, 5])
def test_how_resamples_are_chunked_changes_nothing(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = paired_bootstrap(*some_confusions(0), accuracy, 200, block)
    for chunk in (1, 23 * 7):
        monkeypatch.setattr(statistics, "_CHUNK", chunk)
        assert paired_bootstrap(*some_confusions(0), accuracy, 200, block) == whole


def test_the_seed_of_the_bootstrap_decides_its_result() -> None:
    first, again, other = (paired_bootstrap(*some_confusions(0), accuracy, 200, seed=seed) for seed in (1, 1, 2))
    assert first == again
    assert first[0] == other[0]
    assert first[1:3] != other[1:3]


def test_the_bootstrap_is_of_a_minus_b() -> None:
    a, b = some_confusions(0)
    delta, low, high, p = paired_bootstrap(a, b, accuracy, 500)
    assert delta > 0
    assert low <= delta <= high
    assert paired_bootstrap(b, a, accuracy, 500) == pytest.approx((-delta, -high, -low, p))


def test_the_delta_is_that_of_all_images_summed() -> None:
    a, b = two_class(np.array([0.9, 0.1])), two_class(np.array([0.4, 0.4]))
    a[0] *= 3  # a large image
    assert paired_bootstrap(a, b, accuracy, 10)[0] == pytest.approx(0.7 - 0.4)


def test_both_models_see_the_same_resampled_images() -> None:
    right = np.random.default_rng(0).uniform(0.2, 0.7, 50)  # images differ wildly, the gap between the models hardly
    delta, low, high, _ = paired_bootstrap(two_class(right + 0.1), two_class(right), accuracy, 500)
    np.testing.assert_allclose([delta, low, high], 0.1, atol=1e-4)


def test_the_p_of_a_bootstrap_is_never_zero_and_that_of_equal_models_is_one() -> None:
    right = np.full(10, 0.5)
    assert paired_bootstrap(two_class(right + 0.1), two_class(right), accuracy, 99)[3] == 2 / 100
    assert paired_bootstrap(two_class(right), two_class(right), accuracy, 99) == (0, 0, 0, 1)
    assert paired_bootstrap(two_class(right + 0.1), two_class(right), accuracy, 1)[3] == 1  # not 2


def test_many_statistics_at_once_equal_one_call_each() -> None:
    models = some_confusions(1)
    models[0][:5, 2, :] = models[0][:5, :, 2] = models[1][5:, 2, :] = models[1][5:, :, 2] = 0
    together = paired_bootstrap(*models, metrics.iou_per_class, 300, 3)
    assert [np.shape(part) for part in together] == [(4,)] * 4
    for k in range(4):
        alone = paired_bootstrap(*models, lambda c, k=k: metrics.iou_per_class(c)[:, k], 300, 3)
        assert all(isinstance(part, float) for part in alone)
        np.testing.assert_array_equal([np.asarray(part)[k] for part in together], alone)


def test_a_single_column_of_statistics_stays_a_column() -> None:
    together = paired_bootstrap(*some_confusions(1), lambda c: accuracy(c)[:, None], 50)
    assert [np.shape(part) for part in together] == [(1,)] * 4


def test_a_class_that_no_image_has_is_nan_throughout() -> None:
    absent = np.stack(paired_bootstrap(*some_confusions(1), metrics.iou_per_class, 50))[:, 3]
    assert np.isnan(absent).all()


def test_resamples_without_the_class_are_left_out() -> None:
    a = np.zeros((4, 2, 2), np.int64)
    a[:, 0, 0], b = 10, np.zeros((4, 2, 2), np.int64)
    b[:, 0, 0] = 10
    a[0, 1], b[0, 1] = [2, 8], [6, 4]  # class 1 is in one image of four: (3/4)^4 = 32 % of resamples lack it
    starts = np.random.default_rng(0).integers(0, 4, (200, 4))
    counted = int((starts == 0).any(1).sum())
    assert 100 < counted < 170
    result = paired_bootstrap(a, b, lambda c: metrics.iou_per_class(c)[:, 1], 200)
    assert result == pytest.approx((0.4, 0.4, 0.4, 2 / (counted + 1)))


def test_sums_of_counts_are_exact_up_to_two_to_the_53() -> None:
    seen: list[NDArray[np.int64]] = []

    def record(confusion: NDArray[np.int64]) -> Array:
        seen.append(confusion)
        return accuracy(confusion)

    a = np.full((8, 2, 2), 2**50 - 1, np.uint64)
    paired_bootstrap(a, a, record, 5, 3)
    assert all(part.dtype == np.int64 and (part == 8 * (2**50 - 1)).all() for part in seen)
    with pytest.raises(ValueError, match=r"below 2\*\*53"):
        paired_bootstrap(a + np.uint64(1), a, accuracy)


def coverage(rho: float, blocks: tuple[int, ...], n: int = 200, trials: int = 300) -> list[float]:
    """Return, per block length, how often the interval holds the true delta when images follow an AR(1) of rho."""
    rng, hits = np.random.default_rng(4), np.zeros(len(blocks))
    for _ in range(trials):
        noise = rng.normal(0, 0.03, (2, n))
        for i in range(1, n):
            noise[:, i] = rho * noise[:, i - 1] + math.sqrt(1 - rho**2) * noise[:, i]
        a, b = two_class(0.72 + noise[0]), two_class(0.70 + noise[1])
        for k, block in enumerate(blocks):
            _, low, high, _ = paired_bootstrap(a, b, accuracy, 400, block)
            hits[k] += low <= 0.02 <= high
    return [float(share) for share in hits / trials]


def test_of_independent_images_the_bootstrap_covers_95_percent() -> None:
    assert 0.9 <= coverage(0.0, (1,))[0] <= 0.98


def test_of_alike_neighbours_single_images_cover_far_too_little_and_blocks_mend_most_of_it() -> None:
    single, blocks = coverage(0.9, (1, 20))
    assert single < 0.5
    assert 0.75 < blocks < 0.95


def test_five_blocks_in_a_clip_cover_less_than_they_promise_as_the_docstring_says() -> None:
    for rho, blocks_cover, single_covers in ((0.0, 0.84, 0.93), (0.9, 0.69, 0.31)):
        single, blocks = coverage(rho, (1, 20), n=101)
        assert within(blocks, blocks_cover, 300)
        assert within(single, single_covers, 300)


SQUARES = np.ones((4, 3, 3), np.int64)


@pytest.mark.parametrize(
    ("a", "b", "options", "message"),
    [
        (SQUARES[0], SQUARES[0], {}, r"expected confusions_a of shape \(N, C, C\), got \(3, 3\)"),
        (SQUARES, SQUARES[:, :2], {}, r"expected confusions_b of shape \(N, C, C\), got \(4, 2, 3\)"),
        (SQUARES[:0], SQUARES[:0], {}, r"got \(0, 3, 3\)"),
        (SQUARES, SQUARES[1:], {}, r"one shape, got \(4, 3, 3\) and \(3, 3, 3\)"),
        (SQUARES / 9, SQUARES, {}, "integer counts, got float64"),
        (SQUARES, -SQUARES, {}, "expected confusions_b of counts, got -1"),
        (SQUARES, SQUARES, {"block": 4}, "block of 1 to N - 1 = 3 images, got 4"),
        (SQUARES, SQUARES, {"block": 0}, "block of 1 to N - 1 = 3 images, got 0"),
        (SQUARES[:1], SQUARES[:1], {}, "at least two images, got 1"),
        (SQUARES, SQUARES, {"resamples": 0}, "at least one resample, got 0"),
        (SQUARES, SQUARES, {"statistic": metrics.miou}, r"one row per confusion, got shape \(\)"),
        (SQUARES, SQUARES, {"statistic": lambda c: c}, r"got shape \(1, 3, 3\)"),
    ],
)
def test_what_cannot_be_resampled_is_refused(
    a: NDArray[np.int64], b: NDArray[np.int64], options: dict[str, object], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        paired_bootstrap(a, b, **({"statistic": accuracy} | options))


# Over seeds: how often, and since when


def test_the_probability_of_improvement_counts_pairs_and_half_of_the_ties() -> None:
    assert probability_of_improvement([3, 1], [0, 1, 2]) == (3 + 1.5) / 6
    assert probability_of_improvement([2, 3], [0, 1]) == 1
    assert probability_of_improvement([1, 1], [1]) == 0.5


def test_the_probability_of_improvement_is_mann_whitneys_u_as_a_share() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 6, 9).astype(float), rng.integers(0, 6, 5).astype(float)
    share = probability_of_improvement(a, b)
    assert share == pytest.approx(stats.mannwhitneyu(a, b).statistic / 45)
    assert probability_of_improvement(b, a) == pytest.approx(1 - share)


def test_the_probability_of_improvement_leaves_nans_out() -> None:
    assert probability_of_improvement([NAN, 3, 1], [0, 1, NAN, 2]) == probability_of_improvement([3, 1], [0, 1, 2])
    assert math.isnan(probability_of_improvement([NAN], [1.0]))
    assert math.isnan(probability_of_improvement([1.0], []))


def lead(difference: list[list[float]], epochs: list[int] | None = None) -> tuple[int | None, int, list[int]]:
    """Return the crossing of curves whose a - b is this (S, E)."""
    a = np.array(difference)
    found = crossings(range(1, a.shape[1] + 1) if epochs is None else epochs, a, np.zeros_like(a))
    return found.epoch, found.sign, found.agreeing.tolist()


def test_the_crossing_is_the_last_epoch_with_another_sign() -> None:
    assert lead([[-1, 2, -1, 3, 3], [-1, 2, -2, -1, 1]], [10, 20, 30, 40, 50]) == (30, 1, [0, 2, 0, 1, 2])


def test_a_lead_that_holds_from_the_first_epoch_has_no_crossing() -> None:
    assert lead([[1, 2, 1], [-0.5, 1, 1]]) == (None, 1, [1, 2, 2])
    assert lead([[1.0], [1.0]]) == (None, 1, [2])


def test_the_sign_of_a_crossing_is_that_of_a_minus_b() -> None:
    a, b = np.array([[0.1, 0.6]]), np.array([[0.2, 0.5]])
    assert (crossings([1, 2], a, b).sign, crossings([1, 2], b, a).sign) == (1, -1)
    assert crossings([1, 2], b, a).agreeing.tolist() == [0, 1]


def test_a_mean_of_zero_breaks_a_lead() -> None:
    assert lead([[1, 1, 1], [1, -1, 1]]) == (2, 1, [2, 1, 2])


def test_a_final_tie_has_sign_zero_and_the_seeds_that_tie_agree() -> None:
    assert lead([[1, 1, 0], [1, -1, 0]]) == (1, 0, [0, 0, 2])
    assert lead([[1, 0], [-1, 0]]) == (None, 0, [0, 2])


def test_an_epoch_without_a_pair_of_values_is_passed_over() -> None:
    assert lead([[-1, NAN, 1, NAN], [-1, NAN, 1, NAN]]) == (1, 1, [0, 0, 2, 0])
    a, b = np.array([[1.0, NAN], [1.0, 9.0]]), np.array([[0.0, 5.0], [0.0, NAN]])
    found = crossings([1, 2], a, b)
    assert (found.epoch, found.sign, found.agreeing.tolist()) == (None, 1, [2, 0])


def test_a_seed_with_a_nan_never_agrees_and_the_others_decide() -> None:
    assert lead([[1, 1], [NAN, 1], [1, NAN]]) == (None, 1, [2, 2])


def test_without_anything_to_judge_by_nobody_leads() -> None:
    assert lead([[], []]) == (None, 0, [])
    assert lead([[NAN, NAN]]) == (None, 0, [0, 0])
    assert crossings([1, 2], np.empty((0, 2)), np.empty((0, 2))).agreeing.tolist() == [0, 0]


@pytest.mark.parametrize("seed", range(10))
def test_the_sign_of_an_epoch_is_that_of_the_paired_t_tests_delta(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 3, 12))
    a[rng.random(a.shape) < 0.2] = NAN
    deltas = [paired_t_test(x, y)[0] for x, y in zip(a.T, b.T, strict=True)]
    signs = [(epoch, np.sign(delta)) for epoch, delta in enumerate(deltas, 1) if not math.isnan(delta)]
    found = crossings(range(1, 13), a, b)
    assert found.sign == signs[-1][1]
    assert found.epoch == max((epoch for epoch, sign in signs if sign != found.sign), default=None)


def test_curves_that_do_not_fit_their_epochs_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(S, 2\), got \(1, 3\)"):
        crossings([1, 2], np.zeros((1, 3)), np.zeros((1, 3)))
    with pytest.raises(ValueError, match=r"got \(2, 2\) and \(1, 2\)"):
        crossings([1, 2], np.zeros((2, 2)), np.zeros((1, 2)))
    with pytest.raises(ValueError, match="epochs that increase"):
        crossings([1, 1], np.zeros((1, 2)), np.zeros((1, 2)))
