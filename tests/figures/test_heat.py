"""Evidence as colour: readable in grey, one scale for all, nothing painted where there is no evidence."""

import cv2
import numpy as np
import pytest

from seglab.figures.heat import difference_over, heat_alone, heat_over, limit, scale_bar

PHOTO = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)


def lightness(picture: np.ndarray) -> np.ndarray:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2LAB)[..., 0].astype(int)


def test_more_evidence_is_always_lighter_so_that_grey_and_every_colour_vision_read_it() -> None:
    bar = lightness(scale_bar(256, 1))[0]
    assert (np.diff(bar) >= -1).all()
    assert bar[-1] - bar[0] > 150
    for deficiency in (0, 1):  # without red, without green: what is left still rises
        assert np.corrcoef(np.delete(scale_bar(256, 1)[0], deficiency, 1).sum(1), np.arange(256))[0, 1] > 0.85


def test_the_photo_is_grey_below_the_colours_and_alone_without_evidence() -> None:
    plain = heat_over(PHOTO, None, 1, 0.9)
    assert (plain == plain[..., :1]).all()
    assert np.array_equal(heat_over(PHOTO, np.ones((4, 6), np.float32), 5, 0), plain)


def test_one_scale_paints_equal_densities_alike_and_clips_beyond_its_end() -> None:
    half, twice = (np.full((5, 5), value, np.float32) for value in (2.5, 50))
    flat = np.zeros_like(PHOTO)
    assert np.array_equal(heat_over(flat, half, 5, 1), heat_over(flat, 2 * half, 10, 1))
    assert np.array_equal(heat_over(flat, twice, 5, 1), heat_over(flat, twice / 10, 5, 1))
    assert np.array_equal(heat_alone(half, 5, 2)[0, 0], heat_over(flat, half, 5, 1)[0, 0])
    assert heat_alone(half, 5, 2).shape == (10, 10, 3)


def test_a_scale_ends_where_nearly_all_pixels_of_all_maps_are_below_and_never_below_the_average() -> None:
    spiky = np.zeros((100, 100), np.float32)
    spiky[0, 0] = 1000
    assert limit([spiky]) == 1
    assert limit([np.full((10, 10), 3, np.float32), np.full((10, 10), 7, np.float32)]) == pytest.approx(7)
    assert limit([]) == 1


def test_a_difference_is_orange_for_the_first_blue_for_the_second_and_the_photo_where_they_agree() -> None:
    grey = np.full((8, 8, 3), 128, np.uint8)
    a, b = np.zeros((8, 8), np.float32), np.zeros((8, 8), np.float32)
    a[:, :2], b[:, 6:] = 4, 4
    shown = difference_over(grey, a, b, 4, 1)
    assert shown[4, 0].tolist() == [230, 159, 0]
    assert shown[4, 7].tolist() == [0, 114, 178]
    assert shown[4, 4].tolist() == [128, 128, 128]
