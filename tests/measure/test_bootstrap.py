"""The paired bootstrap over images equals a plain loop, and its intervals cover what the docstring says."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from seglab.measure import bootstrap, metrics
from seglab.measure.bootstrap import Statistic, bootstrap_mean, paired_bootstrap
from tests.measure.test_statistics import within

Array = NDArray[np.float64]


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
        monkeypatch.setattr(bootstrap, "_CHUNK", chunk)
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


def test_the_bootstrap_of_a_mean_covers_95_percent_of_independent_images_and_leaves_nans_out() -> None:
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(300):
        values = rng.normal(0.4, 0.2, 60)
        values[rng.random(60) < 0.2] = np.nan
        mean, low, high = bootstrap_mean(values, resamples=400, seed=int(rng.integers(1000)))
        assert mean == pytest.approx(np.nanmean(values))
        hits += low <= 0.4 <= high
    assert within(hits / 300, 0.94, 300)
    assert bootstrap_mean(np.array([0.3, np.nan, 0.3]), block=2) == pytest.approx((0.3, 0.3, 0.3))
    assert np.isnan(bootstrap_mean(np.full(4, np.nan))).all()
    with pytest.raises(ValueError, match="expected a block of 1 to"):
        bootstrap_mean(np.ones(4), block=4)


def test_the_bootstrap_of_a_mean_draws_the_same_blocks_as_that_of_confusions() -> None:
    values = np.random.default_rng(1).integers(0, 100, 23)
    confusions = values[:, None, None].astype(np.uint32)
    nothing = np.zeros_like(confusions)
    _, low, high, _ = paired_bootstrap(confusions, nothing, lambda c: c[:, 0, 0] / 23, resamples=500, block=4)
    assert bootstrap_mean(values.astype(float), resamples=500, block=4)[1:] == pytest.approx((low, high))
