"""Training samples: every draw depends on (seed, epoch, index) alone, so any epoch can be repeated or resumed."""

from collections.abc import Iterator
from functools import cache
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from seglab.data import DataSet, Sample
from seglab.data.transforms import CropOptions, augment
from seglab.losses.distance import signed_distance_maps
from seglab.models import MEAN, STD
from trainers.training.recipe import DataOptions

PRELOAD_BYTES = 2**30


@cache
def say_once(sentence: str) -> None:
    """Print a sentence, the first time that this process comes to it; nothing where it is empty."""
    if sentence:
        print(sentence, flush=True)


class TrainingData(Dataset[tuple[Tensor, ...]]):
    """Augmented crops of a data set, some of them of procedural scenes.

    Items are addressed by ``(epoch, position, index)``; index -1 asks for a procedural scene. With ``map_classes`` C each
    comes with its ``(C, H, W)`` int8 distance maps, made here after augmentation.
    """

    def __init__(self, data: DataSet, options: DataOptions, seed: int, map_classes: int = 0) -> None:
        self.data, self.options, self.seed, self.map_classes = data, options, seed, map_classes
        height, width = options.crop_px
        self.crop = (
            CropOptions(height, width, options.scale, options.rare_frac, options.rare_classes) if height else None
        )
        first = data[0][0]
        self.kept: list[Sample] | None = None
        if first.nbytes * 4 / 3 * len(data) < PRELOAD_BYTES:
            self.kept = [data[i] for i in range(len(data))]
        self.scenes: list[Sample] = []
        if options.scenes_frac > 0:
            from seglab.data.scenes import make_scene

            made = (make_scene(s, first.shape[0], first.shape[1]) for s in range(options.scenes))
            self.scenes = [(scene.image, scene.mask) for scene in made]

    def sample(self, index: int) -> Sample:
        """Return a data set sample, from memory where it fits."""
        return self.kept[index] if self.kept is not None else self.data[index]

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, key: tuple[int, int, int]) -> tuple[Tensor, ...]:
        epoch, position, index = key
        rng = np.random.default_rng([self.seed, epoch, position])
        if index < 0:
            image, mask = self.scenes[int(rng.integers(len(self.scenes)))]
        else:
            image, mask = self.sample(index)
        image, mask = augment(image, mask, rng, self.options.augment, self.crop)
        arrays = [np.ascontiguousarray(image), np.ascontiguousarray(mask)]
        if self.map_classes:
            arrays.append(signed_distance_maps(arrays[1], self.map_classes))
        return tuple(map(torch.from_numpy, arrays))

    def class_frequency(self, num_classes: int) -> NDArray[np.float64]:
        """Return the ``(C,)`` share of valid pixels by class."""
        counts = np.zeros(256, np.int64)
        for i in range(len(self.data)):
            counts += np.bincount(self.sample(i)[1].ravel(), minlength=256)
        return counts[:num_classes] / max(1, counts[:num_classes].sum())


def _start_worker(_: int) -> None:
    import multiprocessing
    import signal
    import sys

    gone, tell = (EOFError, ConnectionError, multiprocessing.AuthenticationError), sys.excepthook

    def unless_the_trainer_left(kind: type[BaseException], *about: Any) -> None:
        if not issubclass(kind, gone):  # a trainer that is interrupted while it is handed a batch hangs up
            tell(kind, *about)

    sys.excepthook = unless_the_trainer_left
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the trainer's to answer
    cv2.setNumThreads(0)
    torch.set_num_threads(1)


def epoch_batches(data: TrainingData, epoch: int, batch_size: int) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
    """Yield ``(image (N, 3, H, W) normalised float32, target (N, H, W) int64, maps)`` of one epoch, the last part dropped.

    ``maps`` is ``(N, C, H, W)`` int8, or none where the data makes none.
    """
    order_rng = np.random.default_rng([data.seed, epoch])
    order = order_rng.permutation(len(data))
    if data.scenes:
        order = np.where(order_rng.random(len(order)) < data.options.scenes_frac, -1, order)
    keys = [(epoch, position, int(index)) for position, index in enumerate(order)]
    batches = [keys[i : i + batch_size] for i in range(0, len(keys) - batch_size + 1, batch_size)]
    if not batches:
        raise ValueError(
            f"expected at least one batch of {batch_size} images, got {len(keys)} images; lower batch_size"
        )
    loader = DataLoader(
        data,
        batch_sampler=batches,
        num_workers=data.options.workers,
        worker_init_fn=_start_worker,
        prefetch_factor=None if data.options.workers == 0 else 4,
    )
    for image, target, *maps in loader:
        yield normalise(image), target.long(), maps[0] if maps else None


def normalise(image: Tensor) -> Tensor:
    """Turn ``(N, H, W, 3)`` uint8 RGB into ``(N, 3, H, W)`` float32, normalised."""
    mean, std = torch.tensor(MEAN) * 255, torch.tensor(STD) * 255
    return ((image.float() - mean) / std).permute(0, 3, 1, 2).contiguous()


def eval_batches(data: DataSet) -> Iterator[tuple[str, Tensor, NDArray[np.uint8]]]:
    """Yield ``(stem, image (1, 3, H, W) normalised, mask (H, W))`` in the order of the split."""
    for index, stem in enumerate(data.stems):
        image, mask = data[index]
        yield stem, normalise(torch.from_numpy(image)[None]), mask
