"""Numbers beside the maps: hand-worked cases, plain loops, and NaN where there is nothing to point with."""

import numpy as np
import pytest

from seglab.explain.pointing import coactivation, density, energy_inside, overlap, peak_inside

LEFT = np.array([[True, False], [True, False]])


def some_map(seed: int, shape: tuple[int, int] = (6, 7)) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_energy_is_the_positive_share_inside() -> None:
    assert energy_inside(np.array([[3.0, 1.0], [-9.0, 4.0]]), LEFT) == 3 / 8
    assert energy_inside(np.array([[3.0, 1.0], [-9.0, 4.0]]), ~LEFT) == 5 / 8


@pytest.mark.parametrize("seed", range(5))
def test_energy_equals_a_plain_loop_and_an_even_map_has_the_regions_share_of_the_area(seed: int) -> None:
    evidence, region = some_map(seed), some_map(seed + 50) > 0
    inside = total = 0.0
    for value, is_in in zip(evidence.flat, region.flat, strict=True):
        total += max(float(value), 0)
        inside += max(float(value), 0) * bool(is_in)
    assert energy_inside(evidence, region) == pytest.approx(inside / total)
    assert energy_inside(np.ones((6, 7)), region) == pytest.approx(region.mean())


def test_the_peak_hits_or_misses() -> None:
    assert peak_inside(np.array([[3.0, 1.0], [-9.0, 2.0]]), LEFT) == 1
    assert peak_inside(np.array([[3.0, 1.0], [-9.0, 4.0]]), LEFT) == 0


def test_overlap_is_1_for_equal_shapes_0_for_apart_and_blind_to_scale_and_size() -> None:
    evidence = np.maximum(some_map(1), 0)
    assert overlap(evidence, 7 * evidence) == pytest.approx(1)
    assert overlap(np.array([[1.0, 0.0]]), np.array([[0.0, 5.0]])) == 0
    assert overlap(np.array([[1.0, 1.0]]), np.array([[3.0, 1.0]])) == 0.75
    assert overlap(np.ones((8, 12)), np.ones((2, 3))) == pytest.approx(1)
    assert overlap(some_map(1), some_map(2)) == pytest.approx(overlap(some_map(2), some_map(1)))


def test_without_positive_evidence_nothing_is_said() -> None:
    none = -np.ones((2, 2))
    assert np.isnan([energy_inside(none, LEFT), peak_inside(none, LEFT), overlap(none, np.ones((2, 2)))]).all()
    assert np.isnan(coactivation(none, np.zeros((2, 2), np.uint8), 3)).all()
    assert density(none) is None


def test_coactivation_shares_the_evidence_among_the_classes_and_leaves_the_ignored_out() -> None:
    labels = np.array([[0, 2], [255, 2]], np.uint8)
    assert coactivation(np.array([[1.0, 2.0], [4.0, 1.0]]), labels, 3).tolist() == [1 / 8, 0, 3 / 8]
    assert coactivation(np.array([[1.0, 2.0], [-4.0, 1.0]]), labels, 3).sum() == 1


def test_a_density_has_a_mean_of_one_and_no_negative_values() -> None:
    shown = density(1000 * some_map(3))
    assert shown is not None
    assert shown.mean() == pytest.approx(1, rel=1e-6)
    assert shown.min() == 0
