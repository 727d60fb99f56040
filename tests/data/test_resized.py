"""A resized data set keeps the classes, the order and the identity of its files."""

from pathlib import Path

import numpy as np
import pytest

from seglab.data import DataSet, Resized
from seglab.data.camvid import CamVid
from seglab.data.cityscapes import Cityscapes
from tests.tiny import HEIGHT, WIDTH


class Counted(CamVid):
    """Counts how often a sample is read."""

    read = 0

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:  # type: ignore[type-arg]
        self.read += 1
        return super().__getitem__(index)


@pytest.mark.parametrize("size_px", [(32, 48), (17, 23), (96, 128), (1, 1)])
def test_samples_have_the_size_asked_for_and_ids_of_the_original_alone(camvid: Path, size_px: tuple[int, int]) -> None:
    original = CamVid(camvid, "train")
    data = Resized(original, size_px)
    assert len(data) == len(original) == 6
    for index in range(6):
        image, mask = data[index]
        assert (image.shape, mask.shape) == ((*size_px, 3), size_px)
        assert image.dtype == mask.dtype == np.uint8
        assert set(np.unique(mask)) <= set(np.unique(original[index][1]))


def test_each_label_is_that_of_the_pixel_at_its_place(camvid: Path) -> None:
    original = CamVid(camvid, "train")
    _, mask = Resized(original, (HEIGHT // 4, WIDTH // 3))[0]
    assert np.array_equal(mask, original[0][1][2::4, 1::3])


def test_images_are_averaged_over_areas(camvid: Path) -> None:
    original = CamVid(camvid, "train")
    image, _ = Resized(original, (HEIGHT // 4, WIDTH // 4))[1]
    mean = original[1][0].reshape(HEIGHT // 4, 4, WIDTH // 4, 4, 3).mean((1, 3))
    assert abs(image - mean).max() <= 0.5


def test_the_size_of_the_files_changes_nothing(camvid: Path) -> None:
    original = CamVid(camvid, "train")
    image, mask = Resized(original, (HEIGHT, WIDTH))[3]
    assert np.array_equal(image, original[3][0])
    assert np.array_equal(mask, original[3][1])


def test_names_order_and_fingerprint_are_those_of_the_files(camvid: Path, cityscapes: Path) -> None:
    originals: list[DataSet] = [CamVid(camvid, "val"), Cityscapes(cityscapes, "train")]
    for original in originals:
        data = Resized(original, (16, 16))
        for name in ("name", "split", "label_space", "stems"):
            assert getattr(data, name) == getattr(original, name)
        assert data.fingerprint() == original.fingerprint()


def test_every_file_is_read_once(camvid: Path) -> None:
    original = Counted(camvid, "train")
    data = Resized(original, (16, 16))
    assert original.read == 0
    first = [data[i] for i in range(6)]
    assert all(a is b for a, b in zip(data[5], first[5], strict=True))
    assert original.read == 6
