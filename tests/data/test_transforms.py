"""Augmentation is repeatable, keeps image and mask together and never invents a label."""

import numpy as np
import pytest
from numpy.typing import NDArray

from seglab.data.transforms import STAGES, CropOptions, augment, flip, scale_crop
from seglab.labels import VOID
from tests.tiny import UNLABELLED, street

Image = NDArray[np.uint8]
GREY = (124, 116, 104)


def frame(seed: int = 0) -> tuple[Image, Image]:
    image, mask = street(seed)
    mask[mask == UNLABELLED] = VOID
    return image, mask


def painted(ids: Image) -> Image:
    """Return an image whose red channel is the mask, so that the two can be compared after any warp."""
    return np.repeat(ids[..., None], 3, axis=2)


@pytest.mark.parametrize("stages", [[name] for name in STAGES] + [list(STAGES)], ids="-".join)
@pytest.mark.parametrize("crop", [None, CropOptions(48, 80, (0.5, 2.0), 0.5, (8,))], ids=["frame", "crop"])
def test_the_same_generator_gives_the_same_bytes(stages: list[str], crop: CropOptions | None) -> None:
    for seed in range(8):
        first, second = (augment(*frame(), np.random.default_rng(seed), stages, crop) for _ in range(2))
        assert first[0].tobytes() == second[0].tobytes()
        assert first[1].tobytes() == second[1].tobytes()


def test_another_generator_gives_another_crop() -> None:
    crop = CropOptions(48, 80, (0.5, 2.0))
    results = {augment(*frame(), np.random.default_rng(s), list(STAGES), crop)[0].tobytes() for s in range(10)}
    assert len(results) == 10


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_changes_something_for_some_draws_and_never_its_input(stage: str) -> None:
    image, mask = frame()
    before = image.copy(), mask.copy()
    changed = False
    for seed in range(30):
        out, _ = STAGES[stage](image, mask, np.random.default_rng(seed))
        changed |= out.tobytes() != image.tobytes()
    assert changed
    assert np.array_equal(image, before[0])
    assert np.array_equal(mask, before[1])


@pytest.mark.parametrize("stage", [name for name in STAGES if name not in ("flip", "corruption")])
def test_a_stage_that_changes_colours_leaves_labels_and_shape_alone(stage: str) -> None:
    image, mask = frame()
    for seed in range(10):
        out, labels = STAGES[stage](image, mask, np.random.default_rng(seed))
        assert out.shape == image.shape
        assert out.dtype == np.uint8
        assert np.array_equal(labels, mask)


def test_a_flip_mirrors_image_and_mask_together_half_of_the_time() -> None:
    image, mask = frame()
    mirrored = 0
    for seed in range(40):
        out, labels = flip(image, mask, np.random.default_rng(seed))
        if np.array_equal(out, image):
            assert np.array_equal(labels, mask)
        else:
            mirrored += 1
            assert np.array_equal(out, image[:, ::-1])
            assert np.array_equal(labels, mask[:, ::-1])
    assert 10 < mirrored < 30


@pytest.mark.parametrize("scale", [(0.3, 0.6), (1.0, 1.0), (1.5, 3.0)])
def test_a_crop_has_the_asked_size_and_only_labels_of_the_frame(scale: tuple[float, float]) -> None:
    image, mask = frame()
    for seed in range(10):
        out, labels = scale_crop(image, mask, np.random.default_rng(seed), CropOptions(40, 56, scale))
        assert out.shape == (40, 56, 3)
        assert labels.shape == (40, 56)
        assert out.dtype == labels.dtype == np.uint8
        assert set(np.unique(labels).tolist()) <= {*np.unique(mask).tolist(), VOID}


def test_what_lies_outside_the_frame_is_grey_and_void() -> None:
    image, mask = np.full((64, 96, 3), 255, np.uint8), np.zeros((64, 96), np.uint8)
    outside = 0
    for seed in range(10):
        out, labels = scale_crop(image, mask, np.random.default_rng(seed), CropOptions(96, 128, (0.8, 1.0)))
        void = labels == VOID
        outside += void.sum()
        assert (labels[~void] == 0).all()
        border = np.any(out != 255, axis=2)
        assert (out[void & border].min(0) >= GREY).all()
        assert (out[void] != 255).any()
        inner = np.zeros_like(void)
        inner[2:-2, 2:-2] = np.lib.stride_tricks.sliding_window_view(void, (5, 5)).all((2, 3))
        assert (out[inner] == GREY).all()
    assert outside


def test_a_crop_that_fits_stays_inside_the_frame() -> None:
    image, mask = street(0, 200, 300)
    for seed in range(20):
        _, labels = scale_crop(image, mask % 11, np.random.default_rng(seed), CropOptions(64, 64, (1.0, 2.0)))
        assert (labels == VOID).sum() <= 2 * 64  # at most a rounded row or column at the border


def test_image_and_mask_are_cut_at_the_same_place() -> None:
    ids = (np.add.outer(np.arange(128) // 16, np.arange(192) // 16) % 2 * 10).astype(np.uint8)
    for seed in range(10):
        out, labels = scale_crop(painted(ids * 20), ids, np.random.default_rng(seed), CropOptions(64, 96, (0.8, 1.6)))
        valid = labels != VOID
        sharp = valid & np.isin(out[..., 0], (0, 200))  # away from interpolated edges
        assert sharp.mean() > 0.5
        assert np.array_equal(out[..., 0][sharp], labels[sharp] * 20)


def test_crops_of_rare_classes_show_the_class_more_often() -> None:
    mask = np.zeros((256, 384), np.uint8)
    mask[200:206, 20:26] = 9
    seen = []
    for share in (0.0, 1.0):
        options = CropOptions(48, 64, (1.0, 1.0), share, (9,))
        crops = [scale_crop(painted(mask), mask, np.random.default_rng(s), options)[1] for s in range(40)]
        seen.append(sum((crop == 9).any() for crop in crops))
    assert seen[0] < 8
    assert seen[1] == 40


def test_a_frame_without_the_rare_class_is_cropped_anyway() -> None:
    image, mask = frame()
    out, _ = scale_crop(image, mask, np.random.default_rng(0), CropOptions(32, 32, (1.0, 1.0), 1.0, (10,)))
    assert out.shape == (32, 32, 3)


def test_an_unknown_stage_is_answered_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="out of flip, photometric, blur, noise, jpeg, corruption, got 'rotate'"):
        augment(*frame(), np.random.default_rng(0), ["flip", "rotate"], None)
