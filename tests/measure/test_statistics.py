"""Statistics equal SciPy, hand-worked cases and plain loops, and their intervals cover what they promise."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from seglab.measure.statistics import (
    crossings,
    holm,
    paired_t_test,
    probability_of_improvement,
    t_interval,
    unpaired_t_test,
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


@pytest.mark.parametrize(("n", "m"), [(2, 2), (3, 3), (3, 8), (2, 20)])
def test_the_unpaired_t_test_equals_scipys(n: int, m: int) -> None:
    rng = np.random.default_rng(n * m)
    a, b = rng.normal(0.7, 0.02, n), rng.normal(0.69, 0.005, m)
    expected = stats.ttest_ind(a, b, equal_var=False)
    delta, half, t, p = unpaired_t_test(np.append(a, NAN), b)
    assert (delta, t, p) == pytest.approx((a.mean() - b.mean(), expected.statistic, expected.pvalue), rel=1e-9)
    assert (delta - half, delta + half) == pytest.approx(tuple(expected.confidence_interval()), rel=1e-9)


def test_the_unpaired_t_test_claims_nothing_without_noise_to_test_against() -> None:
    assert unpaired_t_test([0.7], [0.6, 0.61])[0] == pytest.approx(0.095)
    for a, b in (([0.7], [0.6, 0.61]), ([0.7, 0.7], [0.6, 0.6])):
        assert np.isnan(unpaired_t_test(a, b)[1:]).all()
    assert np.isnan(unpaired_t_test([NAN], [0.6, 0.61])).all()
    with pytest.raises(ValueError, match="95 % is written"):
        unpaired_t_test([0.1, 0.2], [0.3, 0.4], 95)


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
