"""Scores come back to a photo's size as one plain interpolation would bring them."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from seglab.labels import remap_table
from seglab.predict import scores
from seglab.predict.scores import WORKING_PIXELS, shrink_to_work, to_labels, working_size

Scores = NDArray[np.float32]
IDENTITY = remap_table("camvid-11", "camvid-11")
GROUPS = remap_table("camvid-11", "cityscapes-8")


def random_scores(height: int, width: int, seed: int = 0) -> Scores:
    """Return ``(11, h, w)`` scores that sum to 1 over the classes."""
    raw = np.random.default_rng(seed).random((11, height, width), dtype=np.float32) ** 4
    return raw / raw.sum(0)


def naive(small: Scores, height: int, width: int) -> Scores:
    """Interpolate all scores at once, as a photo of this size would allow."""
    return torch.nn.functional.interpolate(
        torch.from_numpy(small)[None], size=(height, width), mode="bilinear", align_corners=False
    )[0].numpy()


@pytest.mark.parametrize("strip", [1, 137, 10**9], ids=["one row", "odd strips", "one strip"])
@pytest.mark.parametrize(
    ("small", "large"),
    [((8, 12), (61, 97)), ((9, 7), (64, 7)), ((7, 9), (7, 64)), ((5, 5), (5, 5)), ((1, 1), (3, 5)), ((1, 16), (4, 64))],
)
def test_labels_and_confidence_equal_a_full_interpolation(
    monkeypatch: pytest.MonkeyPatch, strip: int, small: tuple[int, int], large: tuple[int, int]
) -> None:
    monkeypatch.setattr(scores, "STRIP_PIXELS", strip)
    given = random_scores(*small)
    labels, confidence = to_labels(given, *large, IDENTITY, 11)
    full = naive(given, *large)
    best = np.sort(full, axis=0)
    clear = best[-1] - best[-2] > 1e-5  # elsewhere two classes are level and either may win
    assert labels.dtype == confidence.dtype == np.uint8
    assert labels.shape == confidence.shape == large
    assert clear.mean() > 0.99
    assert np.array_equal(labels[clear], full.argmax(0)[clear])
    assert np.abs(confidence.astype(int) - full.max(0) * 255).max() < 0.51


@pytest.mark.parametrize("strip", [1, 10**9])
def test_a_rolled_up_label_is_its_class_mapped_and_its_confidence_the_groups_summed_score(
    monkeypatch: pytest.MonkeyPatch, strip: int
) -> None:
    monkeypatch.setattr(scores, "STRIP_PIXELS", strip)
    given = random_scores(8, 12)
    labels, confidence = to_labels(given, 61, 97, GROUPS, 7)
    full = naive(given, 61, 97)
    expected = GROUPS[full.argmax(0).astype(np.uint8)]
    assert (labels == expected).mean() > 0.999
    summed = np.stack([full[GROUPS[:11] == g].sum(0) for g in range(7)])
    right = np.take_along_axis(summed, labels[None].astype(int), 0)[0]
    assert np.abs(confidence.astype(int) - right * 255).max() < 0.51


def test_a_class_wins_by_its_own_score_even_where_another_group_sums_to_more() -> None:
    given = np.zeros((11, 1, 1), np.float32)
    given[[0, 3, 4]] = np.float32([0.4, 0.3, 0.3])[:, None, None]  # sky; road and pavement are both flat
    labels, confidence = to_labels(given, 2, 2, GROUPS, 7)
    assert set(labels.ravel().tolist()) == {6}
    assert set(confidence.ravel().tolist()) == {102}


def test_half_precision_scores_give_the_same_labels() -> None:
    given = random_scores(16, 24).astype(np.float16)
    half = to_labels(given, 50, 70, IDENTITY, 11)
    full = to_labels(given.astype(np.float32), 50, 70, IDENTITY, 11)
    assert all(np.array_equal(a, b) for a, b in zip(half, full, strict=True))


def test_certain_scores_have_full_confidence() -> None:
    given = np.zeros((11, 4, 6), np.float32)
    given[5] = 1
    labels, confidence = to_labels(given, 40, 60, IDENTITY, 11)
    assert set(labels.ravel().tolist()) == {5}
    assert set(confidence.ravel().tolist()) == {255}


def test_a_panorama_wider_than_opencvs_short_integers_is_labelled() -> None:
    labels, _ = to_labels(random_scores(2, 64), 2, 40_000, IDENTITY, 11)
    assert labels.shape == (2, 40_000)


@pytest.mark.parametrize("detail", ["standard", "high"])
@pytest.mark.parametrize(
    ("height", "width"),
    [(360, 480), (1, 1), (16, 16), (6000, 8000), (8000, 6000), (884, 56_000), (56_000, 884), (512, 512)],
)
def test_a_working_size_keeps_the_aspect_enlarges_nothing_and_fits_memory(
    height: int, width: int, detail: scores.Detail
) -> None:
    h, w = working_size(height, width, detail)
    assert 1 <= h <= height
    assert 1 <= w <= width
    assert min(h, w) <= (512 if detail == "standard" else 1024)
    assert h * w <= WORKING_PIXELS * 1.01
    assert abs(h / height - w / width) <= 0.5 / min(height, width) * 2


def test_high_detail_works_at_twice_the_size() -> None:
    assert working_size(3000, 4000) == (512, 683)
    assert working_size(3000, 4000, "high") == (1024, 1365)
    assert working_size(700, 900, "high") == (700, 900)


def test_a_small_photo_is_worked_on_as_it_is_and_a_large_one_is_averaged() -> None:
    small = np.random.default_rng(0).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    assert shrink_to_work(small) is small
    stripes = np.zeros((1024, 2048, 3), np.uint8)
    stripes[::2] = 200
    assert shrink_to_work(stripes).shape == (512, 1024, 3)
    assert set(np.unique(shrink_to_work(stripes)).tolist()) == {100}
