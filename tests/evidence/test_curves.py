"""What curves say is what one works out by hand, and a careful reader's sentence follows from it."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from seglab.evidence.curves import (
    METRICS,
    Curves,
    all_crossings,
    curves_of,
    half_widths,
    is_reversed,
    pairwise,
    ranking,
    reversal,
    verdict,
    why_not_together,
)

NAN = float("nan")


def curves(**values: list[list[float]]) -> Curves:
    """Return curves of variants, seeds by rows and epochs 10, 20, … by columns."""
    arrays = {name: np.array(rows, np.float64) for name, rows in values.items()}
    seeds, epochs = next(iter(arrays.values())).shape
    return Curves("miou", "", np.arange(1, epochs + 1) * 10, tuple(str(s) for s in range(seeds)), arrays)


TURNING = curves(  # c leads at 10, d at 20; seeds agree well
    c=[[0.300, 0.500], [0.310, 0.501], [0.305, 0.502]],
    d=[[0.280, 0.520], [0.291, 0.522], [0.284, 0.521]],
)


def tidy(rows: list[tuple[str, int | None, int, str, str, float]]) -> pd.DataFrame:
    table = pd.DataFrame(rows, columns=["variant", "seed", "epoch", "metric", "class", "value"])
    return table.astype({"seed": "Int64", "variant": "category", "metric": "category", "class": "category"})


def test_curves_are_squares_of_seeds_and_epochs_with_gaps_where_a_run_has_none() -> None:
    found = curves_of(
        tidy(
            [
                ("b", 42, 1, "miou", "", 0.1),
                ("b", 42, 2, "miou", "", 0.2),
                ("a", 123, 2, "miou", "", 0.3),
                ("a", 42, 2, "miou", "", 0.4),
                ("a", 42, 2, "iou", "road", 0.9),
            ]
        ),
        "miou",
    )
    assert found.variants == ("a", "b")
    assert found.epochs.tolist() == [1, 2]
    assert found.seeds == ("42", "123")
    np.testing.assert_array_equal(found.values["a"], [[NAN, 0.4], [NAN, NAN]], "123 counts only where b has it too")
    np.testing.assert_array_equal(found.values["b"], [[0.1, 0.2], [NAN, NAN]])
    assert found.complete_epochs() == [2]


def test_a_class_of_miou_is_its_iou_and_figures_without_seeds_have_one_row() -> None:
    found = curves_of(tidy([("a", None, 10, "iou", "wall", 0.5), ("a", None, 160, "iou", "wall", 0.6)]), "miou", "wall")
    assert (found.title, found.seeds) == ("IoU of wall", ("",))
    np.testing.assert_array_equal(found.values["a"], [[0.5, 0.6]])


def test_no_rows_give_no_curves() -> None:
    found = curves_of(tidy([]), "miou")
    assert (found.variants, found.complete_epochs()) == ((), [])


def test_a_loss_is_no_metric_to_rank_recipes_by() -> None:
    assert not [key for key in METRICS if "loss" in key]


def test_bands_are_scipys_t_intervals_and_the_published_ones_are_narrower() -> None:
    values = TURNING.values["c"]
    mean, half, n = half_widths(values)
    low, high = stats.t.interval(0.95, 2, loc=values.mean(0), scale=stats.sem(values, axis=0))
    np.testing.assert_allclose(mean - half, low)
    np.testing.assert_allclose(mean + half, high)
    assert n.tolist() == [3, 3]
    published = half_widths(values, as_published=True)[1]
    np.testing.assert_allclose(half / published, stats.t.ppf(0.975, 2) / 1.96)


def test_one_seed_has_a_mean_and_no_band() -> None:
    mean, half, n = half_widths(np.array([[0.5, NAN]]))
    np.testing.assert_array_equal(mean, [0.5, NAN])
    assert np.isnan(half).all()
    assert n.tolist() == [1, 0]


def test_the_ranking_is_by_mean_and_says_how_far_behind_each_is_paired_by_seed() -> None:
    table = ranking(TURNING, 10)
    assert table["variant"].tolist() == ["c", "d"]
    assert table["rank"].tolist() == [1, 2]
    difference = TURNING.values["d"][:, 0] - TURNING.values["c"][:, 0]
    assert table["behind"][1] == pytest.approx(difference.mean())
    assert table["behind"][1] < 0
    assert table["behind_half_width"][1] == pytest.approx(stats.t.ppf(0.975, 2) * stats.sem(difference))
    assert ranking(TURNING, 20)["variant"].tolist() == ["d", "c"]


def test_a_variant_without_a_value_at_an_epoch_is_not_ranked() -> None:
    table = ranking(curves(a=[[0.5]], b=[[NAN]]), 10)
    assert table["variant"].tolist() == ["a"]


def test_pairs_are_paired_t_tests_with_holm_over_the_pairs_and_a_minus_b() -> None:
    three = curves(
        a=[[0.50], [0.52], [0.51]],
        b=[[0.49], [0.505], [0.502]],
        c=[[0.40], [0.41], [0.409]],
    )
    table = pairwise(three, 10).set_index(["a", "b"])
    assert list(table.index) == [("a", "b"), ("a", "c"), ("b", "c")]
    raw = [stats.ttest_rel(three.values[a][:, 0], three.values[b][:, 0]).pvalue for a, b in table.index]
    np.testing.assert_allclose(table["p"], raw)
    order = np.argsort(raw)
    expected = np.minimum(1, np.maximum.accumulate(np.array(raw)[order] * [3, 2, 1]))
    np.testing.assert_allclose(table["p_holm"].to_numpy()[order], expected)
    assert table.loc[("a", "c"), "delta"] == pytest.approx(0.1037, abs=1e-4)
    assert table.loc[("a", "c"), "p_better"] == 1
    row = table.loc[("a", "b")]
    assert row["low"] < row["delta"] < row["high"]


def test_a_pair_with_one_seed_has_a_delta_and_neither_interval_nor_p() -> None:
    row = pairwise(curves(a=[[0.5]], b=[[0.4]]), 10).iloc[0]
    assert row["delta"] == pytest.approx(0.1)
    assert np.isnan([row["low"], row["p"], row["p_holm"]]).all()


def test_a_reversal_is_found_and_named_with_its_leader_first() -> None:
    assert is_reversed(TURNING, 10, 20) == [("c", "d")]
    assert is_reversed(TURNING, 20, 10) == [("d", "c")]
    assert is_reversed(TURNING, 10, 10) == []
    assert all_crossings(TURNING)["c", "d"].epoch == 10


def test_the_sentence_on_a_reversal_says_whether_it_is_more_than_noise() -> None:
    said = reversal(TURNING, 10, 20)
    assert said == "c leads d at epoch 10 and trails it at epoch 20 (in both places more than noise)."
    noisy = curves(c=[[0.3, 0.5], [0.2, 0.6], [0.4, 0.4]], d=[[0.25, 0.52], [0.3, 0.51], [0.2, 0.53]])
    assert "not beyond noise in both places" in reversal(noisy, 10, 20)
    assert reversal(TURNING, 20, 20).endswith("no pair changes places.")


def test_the_verdict_claims_a_lead_only_where_seeds_alone_would_not_make_it() -> None:
    assert verdict(TURNING, 10, {"c": "C", "d": "D"}).startswith(
        "At epoch 10 C leads D by 2.0 points, more than seeds alone would do (paired by seed over three seeds, p < 0.001"
    )
    noisy = curves(a=[[0.30], [0.20], [0.25]], b=[[0.25], [0.24], [0.21]])
    assert "this is not distinguishable from noise (paired by seed over three seeds, p = 0." in verdict(noisy, 10)


def test_the_verdict_names_the_pairs_that_are_significant_when_the_leaders_is_not() -> None:
    three = curves(
        a=[[0.500], [0.520], [0.511]],
        b=[[0.501], [0.515], [0.512]],
        c=[[0.400], [0.416], [0.409]],
    )
    said = verdict(three, 10)
    assert "after Holm's correction for three pairs" in said
    assert said.endswith("Of the 3 pairs, significant after correction: a over c, b over c.")


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"a": [[0.5]], "b": [[0.48]]}, "At epoch 10 a leads b by 2.0 points, with one seed each: whether"),
        ({"a": [[0.5]], "b": [[NAN]]}, "One variant alone leads nobody"),
        ({"a": [[0.5032]], "b": [[0.5]]}, "At epoch 10 a leads b by 0.32 points"),
    ],
)
def test_the_verdict_promises_nothing_without_seeds(values: dict[str, Any], said: str) -> None:
    assert verdict(curves(**values), 10).startswith(said)


def runs(**changes: Any) -> dict[str, Any]:
    row = {
        "experiment": "one",
        "label_space": "camvid-11",
        "data_name": "camvid",
        "split": "val",
        "val_fingerprint": "f",
        "size_px": "128x96",
        "provenance": "trained",
    }
    return row | changes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"label_space": "cityscapes-19"}, "other classes"),
        ({"data_name": "cityscapes"}, "other data"),
        ({"split": "test"}, "another split"),
        ({"val_fingerprint": "g"}, "other images or masks"),
        ({"size_px": "480x360"}, "another image size"),
        ({"provenance": "published"}, "published figures stand alone"),
    ],
)
def test_experiments_that_must_not_share_an_axis_are_told_why(changes: dict[str, Any], reason: str) -> None:
    together = pd.DataFrame([runs(), runs(experiment="two", **changes)])
    assert reason in str(why_not_together(together))


def test_experiments_on_the_same_data_may_share_an_axis_and_so_may_one_alone() -> None:
    assert why_not_together(pd.DataFrame([runs(), runs(experiment="two")])) is None
    assert why_not_together(pd.DataFrame([runs(), runs(size_px="")])) is None


def test_what_is_not_recorded_is_not_taken_for_equal() -> None:
    imported = dict(provenance="imported", val_fingerprint="", data_name="imported", split="", size_px="")
    reason = why_not_together(pd.DataFrame([runs(**imported), runs(experiment="two", **imported)]))
    assert "is not recorded" in str(reason)


def test_two_published_experiments_share_no_axis_and_the_variants_of_one_do() -> None:
    published = pd.DataFrame([runs(provenance="published"), runs(experiment="two", provenance="published")])
    assert "stand alone" in str(why_not_together(published))
    variants = pd.DataFrame([runs(provenance="published", variant=name) for name in "ab"])
    assert why_not_together(variants, by="variant") is None
    mixed = pd.DataFrame([runs(variant="a"), runs(variant="b", size_px="480x360")])
    assert "another image size" in str(why_not_together(mixed, by="variant"))


def unfinished() -> Curves:
    """Return a grid in which seed 2 of variant a is there at epoch 10 only; b is better on both seeds at both epochs."""
    rows = [("a", 1, 10, 0.50), ("a", 2, 10, 0.80), ("a", 1, 20, 0.60)]
    rows += [("b", 1, 10, 0.52), ("b", 2, 10, 0.83), ("b", 1, 20, 0.63), ("b", 2, 20, 0.40)]
    return curves_of(tidy([(v, seed, epoch, "miou", "", x) for v, seed, epoch, x in rows]), "miou")


def test_an_unfinished_grid_is_ranked_on_the_seeds_that_every_variant_has() -> None:
    for epoch in (10, 20):
        assert ranking(unfinished(), epoch)["variant"].tolist() == ["b", "a"]
    assert is_reversed(unfinished(), 10, 20) == []
    assert verdict(unfinished(), 20).startswith("At epoch 20 b leads a by 3.0 points, with one seed each")


OF_A, OF_B = {1: 0.52, 2: 0.55, 3: 0.50}, {7: 0.40, 8: 0.44}


def strangers(of_a: dict[int, float], of_b: dict[int, float]) -> Curves:
    """Return two variants whose seeds have other names, at epoch 10."""
    rows = [(v, seed, 10, "miou", "", x) for v, of in (("a", of_a), ("b", of_b)) for seed, x in of.items()]
    return curves_of(tidy(rows), "miou")


def test_variants_without_a_common_seed_are_tested_unpaired() -> None:
    found = strangers(OF_A, OF_B)
    a, b = np.array(list(OF_A.values())), np.array(list(OF_B.values()))
    oracle = stats.ttest_ind(a, b, equal_var=False)
    row = pairwise(found, 10).iloc[0]
    assert (row["delta"], row["t"], row["p"]) == pytest.approx((a.mean() - b.mean(), oracle.statistic, oracle.pvalue))
    assert (row["low"], row["high"]) == pytest.approx(tuple(oracle.confidence_interval()))
    assert (row["n"], row["paired"]) == (2, False)
    order = ranking(found, 10)
    assert order["behind"][1] == pytest.approx(b.mean() - a.mean())
    assert order["behind_half_width"][1] == pytest.approx((row["high"] - row["low"]) / 2)
    published = ranking(found, 10, as_published=True)["behind_half_width"][1]
    assert published == pytest.approx(1.96 * (a.var(ddof=1) / 3 + b.var(ddof=1) / 2) ** 0.5)
    assert "(they share no seed, so unpaired: Welch's t over 3 and 2 seeds, p = 0.0" in verdict(found, 10)
    assert all_crossings(found)["a", "b"].sign == 1


def test_variants_of_one_seed_each_with_other_names_are_not_tested() -> None:
    found = strangers({1: 0.5}, {2: 0.4})
    assert verdict(found, 10) == (
        "At epoch 10 a leads b by 10.0 points by their means; they share no seed and one of them has only one, so no test is "
        "possible."
    )
    assert np.isnan(pairwise(found, 10)["p_holm"]).all()


def test_equal_seeds_alone_are_paired_beside_a_variant_that_shares_none() -> None:
    rows = [(v, s, 10, "miou", "", x) for v, s, x in [("a", 1, 0.5), ("a", 2, 0.6), ("b", 1, 0.4), ("b", 2, 0.52)]]
    rows += [("c", 8, 10, "miou", "", 0.3), ("c", 9, 10, "miou", "", 0.31)]
    table = pairwise(curves_of(tidy(rows), "miou"), 10).set_index(["a", "b"])
    assert table["paired"].to_dict() == {("a", "b"): True, ("a", "c"): False, ("b", "c"): False}
    assert table["p"]["a", "b"] == pytest.approx(stats.ttest_rel([0.5, 0.6], [0.4, 0.52]).pvalue)


def test_seeds_that_differ_by_exactly_the_same_prove_nothing() -> None:
    said = verdict(curves(a=[[0.52], [0.53]], b=[[0.50], [0.51]]), 10)
    assert said.startswith(
        "At epoch 10 a leads b by 2.0 points; every seed differs by exactly the same, so there is no"
    )
