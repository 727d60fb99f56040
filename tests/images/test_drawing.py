"""Resizing and painting do what the plain formula does, and what is encoded is read back."""

import numpy as np
import pytest

from seglab import images
from seglab.images import drawing, open_mask, open_photo
from tests.hostile import IDS, near, scene


def test_resizing_averages_areas_and_never_invents_labels() -> None:
    checker = np.indices((40, 60)).sum(0)[..., None].repeat(3, 2).astype(np.uint8) % 2 * 200
    assert (images.resize(checker, 20, 30) == 100).all()
    assert images.resize(checker, 80, 90).shape == (80, 90, 3)
    assert images.resize(checker, 40, 60) is checker
    for size in ((20, 31), (97, 180)):
        small = images.resize_labels(IDS * 60, *size)
        assert small.shape == size
        assert set(np.unique(small)) <= {0, 60, 120, 180}
    np.testing.assert_array_equal(images.resize_labels(images.resize_labels(IDS, 96, 128), 48, 64), IDS)


@pytest.mark.parametrize("opacity", [0, 0.25, 0.5, 0.7, 1])
def test_blend_is_the_plain_formula_and_leaves_void_alone(opacity: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(drawing, "_STRIP_PX", 7 * 64)  # several strips, the last one short
    rng = np.random.default_rng(1)
    pixels, lut = rng.integers(0, 256, (48, 64, 3)).astype(np.uint8), rng.integers(0, 256, (256, 3)).astype(np.uint8)
    labels = rng.integers(0, 256, (48, 64)).astype(np.uint8)
    labels[:3] = 255
    a = round(256 * opacity)
    naive = np.empty_like(pixels)
    for y in range(48):
        for x in range(64):
            for c in range(3):
                photo, colour = int(pixels[y, x, c]), int(lut[labels[y, x], c])
                naive[y, x, c] = photo if labels[y, x] == 255 else (photo * (256 - a) + colour * a + 128) // 256
    before = pixels.copy()
    np.testing.assert_array_equal(images.blend(pixels, labels, lut, opacity), naive)
    np.testing.assert_array_equal(pixels, before)


def test_blend_names_what_does_not_fit() -> None:
    lut = np.zeros((256, 3), np.uint8)
    with pytest.raises(ValueError, match=r"\(48, 64\), got \(48, 63\)"):
        images.blend(scene(), IDS[:, 1:], lut, 0.5)
    with pytest.raises(ValueError, match=r"opacity from 0 to 1, got 1\.5"):
        images.blend(scene(), IDS, lut, 1.5)


def test_what_we_encode_we_read_back() -> None:
    np.testing.assert_array_equal(open_mask(images.encode_png(IDS)), IDS)
    np.testing.assert_array_equal(open_photo(images.encode_png(scene())).pixels, scene())
    assert near(open_photo(images.encode_jpeg(scene(), 95)).pixels, scene(), 60)
    with pytest.raises(ValueError, match=r"expected \(H, W\)"):
        images.encode_png(np.zeros((4, 4), np.float32))  # type: ignore[arg-type]
