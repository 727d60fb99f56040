"""Training samples depend on seed, epoch and place alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from seglab.data.camvid import CamVid
from seglab.losses.distance import signed_distance_maps
from seglab.models import MEAN, STD
from tests import tiny
from trainers.training.loading import TrainingData, epoch_batches, eval_batches, normalise


def samples(root: Path, seed: int = 42, map_classes: int = 0, **options: object) -> TrainingData:
    recipe = tiny.recipe(data=options)
    return TrainingData(CamVid(root, "train"), recipe.data, seed, map_classes)


def batches(data: TrainingData, epoch: int) -> list[bytes]:
    return [image.numpy().tobytes() + target.numpy().tobytes() for image, target, _ in epoch_batches(data, epoch, 2)]


def test_an_epoch_can_be_repeated_and_differs_from_the_next(camvid: Path) -> None:
    first = batches(samples(camvid), 3)
    assert len(first) == 3
    assert batches(samples(camvid), 3) == first
    assert not set(batches(samples(camvid), 4)) & set(first)
    assert not set(batches(samples(camvid, seed=43), 3)) & set(first)


def test_loader_processes_do_not_change_the_draws(camvid: Path) -> None:
    assert batches(samples(camvid, workers=2), 1) == batches(samples(camvid, workers=0), 1)


def test_frames_read_from_disk_equal_frames_kept_in_memory(camvid: Path) -> None:
    kept, read = samples(camvid), samples(camvid)
    assert kept.kept is not None
    read.kept = None
    assert batches(read, 1) == batches(kept, 1)


def test_whole_frames_are_seen_once_an_epoch(camvid: Path) -> None:
    data = samples(camvid, crop_px=[0, 0], augment=[])
    seen = torch.cat([image for image, _, _ in epoch_batches(data, 1, 2)])
    frames = torch.cat([image for _, image, _ in eval_batches(CamVid(camvid, "train"))])
    assert sorted(f.sum().item() for f in seen) == sorted(f.sum().item() for f in frames)


def test_images_are_normalised_and_targets_are_ids(camvid: Path) -> None:
    for image, target, maps in epoch_batches(samples(camvid), 1, 2):
        assert image.shape == (2, 3, 32, 64)
        assert image.dtype == torch.float32
        assert target.shape == (2, 32, 64)
        assert target.dtype == torch.int64
        assert set(target.unique().tolist()) <= {*range(11), 255}
        assert maps is None


@pytest.mark.parametrize("workers", [0, 2])
def test_distance_maps_are_those_of_the_augmented_target_and_change_no_draw(camvid: Path, workers: int) -> None:
    without = list(epoch_batches(samples(camvid), 1, 2))
    batches_with_maps = list(epoch_batches(samples(camvid, map_classes=11, workers=workers), 1, 2))
    assert len(batches_with_maps) == len(without)
    for (image, target, maps), (same_image, same_target, _) in zip(batches_with_maps, without, strict=True):
        assert torch.equal(image, same_image)
        assert torch.equal(target, same_target)
        assert maps is not None
        assert (maps.dtype, maps.shape) == (torch.int8, (2, 11, 32, 64))
        for one, ids in zip(maps, target, strict=True):
            assert np.array_equal(one, signed_distance_maps(ids.numpy().astype(np.uint8), 11))


def test_normalising_by_hand() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (1, 4, 5, 3)).astype(np.uint8)
    expected = ((pixels[0] / 255 - MEAN) / STD).transpose(2, 0, 1)
    np.testing.assert_allclose(normalise(torch.from_numpy(pixels))[0].numpy(), expected, atol=1e-5)


def test_scenes_are_mixed_in_at_their_share_and_at_the_frames_size(camvid: Path) -> None:
    data = samples(camvid, scenes_frac=0.5, scenes=2, crop_px=[0, 0], augment=[])
    frames = {data.sample(i)[0].tobytes() for i in range(len(data))}
    asked = [key for epoch in range(50) for batch in _keys(data, epoch) for key in batch]
    assert 0.4 < np.mean([index < 0 for _, _, index in asked]) < 0.6
    for position in range(8):
        image, target = data[(1, position, -1)]
        assert image.numpy().tobytes() not in frames
        assert image.shape == (64, 96, 3)
        assert target.shape == (64, 96)


def _keys(data: TrainingData, epoch: int) -> list[list[tuple[int, int, int]]]:
    """Return what an epoch would ask of the data, without loading it."""
    asked: list[list[tuple[int, int, int]]] = []

    class Listener(TrainingData):
        def __init__(self) -> None:
            self.__dict__.update(data.__dict__)

        def __getitem__(self, key: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
            asked.append([key])
            return torch.zeros(1, 1, 3, dtype=torch.uint8), torch.zeros(1, 1, dtype=torch.uint8)

    list(epoch_batches(Listener(), epoch, 2))
    return asked


def test_class_frequency_is_the_share_of_valid_pixels(camvid: Path) -> None:
    data = samples(camvid)
    masks = np.stack([CamVid(camvid, "train")[i][1] for i in range(6)])
    expected = [(masks == c).sum() / (masks != 255).sum() for c in range(11)]
    np.testing.assert_allclose(data.class_frequency(11), expected)


def test_fewer_images_than_a_batch_are_refused(camvid: Path) -> None:
    with pytest.raises(ValueError, match="expected at least one batch of 7 images, got 6 images; lower batch_size"):
        next(epoch_batches(samples(camvid), 1, 7))


def test_a_worker_says_nothing_of_a_trainer_that_hung_up_and_all_else() -> None:
    code = (
        "import sys; from trainers.training.loading import _start_worker; _start_worker(0); "
        "sys.excepthook({0}, {0}('from the test'), None)"
    )
    told = [
        subprocess.run([sys.executable, "-c", code.format(kind)], capture_output=True, text=True, check=True).stderr
        for kind in ("ConnectionResetError", "EOFError", "ValueError")
    ]
    assert ["from the test" in text for text in told] == [False, False, True]
