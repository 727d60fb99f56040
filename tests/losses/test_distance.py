"""Distance maps are, bit for bit, those of SciPy's exact Euclidean transform."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt

from seglab.losses.distance import signed_distance_maps

VOID = 255
Ids = NDArray[np.uint8]


def reference(target: Ids, num_classes: int, clip_px: int = 127) -> NDArray[np.int8]:
    """Return the definition: two transforms a class, rounded half to even; absent or filling, 0."""
    maps = np.zeros((num_classes, *target.shape), np.int8)
    for c in range(num_classes):
        mask = target == c
        if mask.any() and not mask.all():
            signed = np.rint(distance_transform_edt(~mask) - distance_transform_edt(mask))
            maps[c] = np.clip(signed, -clip_px, clip_px)
    return maps


def same(target: Ids, num_classes: int, clip_px: int = 127) -> NDArray[np.int8]:
    """Check the maps of a target against the reference and return them."""
    before = target.copy()
    maps = signed_distance_maps(target, num_classes, clip_px=clip_px)
    assert maps.dtype == np.int8
    assert np.array_equal(maps, reference(target, num_classes, clip_px))
    assert np.array_equal(target, before)
    return maps


def blocks(rng: np.random.Generator, height: int, width: int, num_classes: int, side: int, void: float = 0.0) -> Ids:
    """Return random squares of ``side`` px, of whose pixels a share is void."""
    small = rng.integers(0, num_classes, (-(-height // side), -(-width // side)))
    target = small.repeat(side, 0).repeat(side, 1)[:height, :width]
    return np.where(rng.random((height, width)) < void, VOID, target).astype(np.uint8)


@pytest.mark.parametrize("seed", range(60))
def test_random_maps_have_scipys_distances(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 80, 2)
    num_classes, side = int(rng.integers(1, 8)), int(rng.integers(1, 40))
    same(blocks(rng, height, width, num_classes, side, rng.choice([0, 0.001, 0.05, 0.5])), num_classes)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", [(1, 1), (1, 2), (2, 1), (1, 97), (97, 1), (2, 150), (150, 3), (3, 64), (4, 65)])
def test_maps_a_pixel_high_or_wide_and_tiles_edges_have_scipys_distances(shape: tuple[int, int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    same(blocks(rng, *shape, num_classes=3, side=int(rng.integers(1, 30)), void=0.1), 3)


@pytest.mark.parametrize("seed", range(20))
def test_a_few_far_pixels_are_found_from_everywhere(seed: int) -> None:
    rng = np.random.default_rng(seed)
    target = np.zeros((90, 130), np.uint8)
    for c in (1, 2, VOID):
        target[rng.integers(0, 90, 3), rng.integers(0, 130, 3)] = c
    same(target, 3)


def test_distances_of_a_row_by_hand() -> None:
    row = np.array([[0, 0, 1, 1, 1, VOID, VOID]], np.uint8)
    maps = signed_distance_maps(row, 3)
    assert maps[0].tolist() == [[-2, -1, 1, 2, 3, 4, 5]]
    assert maps[1].tolist() == [[2, 1, -1, -2, -1, 1, 2]]
    assert not maps[2].any()


def test_distances_around_a_corner_are_euclidean_and_rounded() -> None:
    target = np.zeros((6, 6), np.uint8)
    target[0, 0] = 1
    outside = signed_distance_maps(target, 2)[1]
    roots = np.sqrt(np.arange(6)[:, None] ** 2 + np.arange(6) ** 2)
    assert np.array_equal(outside, np.where(roots > 0, np.rint(roots), -1).astype(np.int8))
    assert outside[1].tolist()[:4] == [1, 1, 2, 3]


def test_an_absent_class_and_one_that_fills_the_image_are_zero_everywhere() -> None:
    assert not same(np.full((5, 7), 2, np.uint8), 4).any()
    assert not same(np.full((5, 7), VOID, np.uint8), 4).any()
    one = np.zeros((5, 7), np.uint8)
    one[2, 3] = 2
    maps = same(one, 4)
    assert [bool(plane.any()) for plane in maps] == [True, False, True, False]


def test_an_ignored_pixel_is_outside_every_class() -> None:
    target = np.zeros((9, 9), np.uint8)
    target[4, 4] = VOID
    maps = same(target, 1)
    assert maps[0, 4, 4] == 1
    assert maps[0, 4, 3] == -1


@pytest.mark.parametrize("shape", [(2, 400), (400, 2), (1, 300), (300, 1)])
def test_distances_beyond_the_clip_are_the_clip_on_both_sides(shape: tuple[int, int]) -> None:
    target = np.zeros(shape, np.uint8)
    target.reshape(-1)[: target.size // 2] = 1
    if shape[1] > shape[0]:
        target[:] = np.arange(shape[1]) < shape[1] // 2
    maps = same(target, 2)
    assert (maps.min(), maps.max()) == (-127, 127)
    target[0, 0] = 2
    assert (same(target, 3)[2] == 127).sum() > target.size // 2


@pytest.mark.parametrize("clip_px", [1, 2, 5, 8, 9, 126, 127])
def test_any_clip_cuts_the_same_distances(clip_px: int) -> None:
    rng = np.random.default_rng(clip_px)
    for side in (1, 7, 60):
        maps = same(blocks(rng, 70, 150, 3, side, 0.01), 3, clip_px)
        assert abs(maps.astype(int)).max() <= clip_px


def test_views_that_are_not_contiguous_have_the_distances_of_their_copies() -> None:
    target = blocks(np.random.default_rng(0), 60, 80, 4, 9, 0.02)
    for view in (target[:, ::-1], target[::-1], target[::2, ::3], target.T, target[5:40, 7:30]):
        assert not (view.flags.c_contiguous and view.base is None)
        same(view, 4)


@pytest.mark.parametrize("ignored", [0, 3, 9])
def test_another_ignored_id_is_no_class(ignored: int) -> None:
    target = blocks(np.random.default_rng(0), 30, 40, 3, 5)
    target[:4] = ignored
    maps = signed_distance_maps(target, 4, ignore_index=ignored)
    expected = reference(np.where(target == ignored, VOID, target).astype(np.uint8), 4)
    assert np.array_equal(maps, expected)


def test_an_empty_map_has_empty_distances() -> None:
    assert signed_distance_maps(np.zeros((0, 5), np.uint8), 3).shape == (3, 0, 5)


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (np.zeros((2, 3), np.int64), r"expected a target \(H, W\) of uint8, got \(2, 3\) of int64"),
        (np.zeros((2, 3, 1), np.uint8), r"expected a target \(H, W\) of uint8, got \(2, 3, 1\) of uint8"),
        (np.zeros(3, np.uint8), r"expected a target \(H, W\)"),
        (np.array([[0, 4, 254]], np.uint8), r"expected class ids below 4 or 255, got \[4, 254\]"),
    ],
)
def test_a_target_that_is_no_label_map_is_refused(target: Ids, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        signed_distance_maps(target, 4)


@pytest.mark.parametrize("clip_px", [0, -1, 128])
def test_a_clip_that_int8_cannot_hold_is_refused(clip_px: int) -> None:
    with pytest.raises(ValueError, match=f"expected clip_px of 1 to 127 .*, got {clip_px}"):
        signed_distance_maps(np.zeros((2, 2), np.uint8), 2, clip_px=clip_px)
