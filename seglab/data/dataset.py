"""The contract of a data set, and what can be made of any: a part of it, or it at one size."""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

Sample = tuple[NDArray[np.uint8], NDArray[np.uint8]]


class DataSet(Protocol):
    """One split: a sequence of ``(image (H, W, 3) uint8 RGB, mask (H, W) uint8 ids, 255 ignored)``."""

    name: str
    split: str
    label_space: str

    @property
    def stems(self) -> Sequence[str]: ...
    @property
    def unturned(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Sample: ...
    def fingerprint(self) -> str: ...


def fingerprint_files(pairs: Sequence[tuple[str, Path, Path]], turned: bool = False) -> str:
    """Return the SHA-256 over sorted stems and the hashes of their image and mask files; ``turned`` data are other data."""
    total = hashlib.sha256(b"turned" if turned else b"")
    for stem, image, mask in sorted(pairs):
        total.update(stem.encode())
        for path in (image, mask):
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def tags_note(data: DataSet) -> str:
    """Return a sentence on images that EXIF would turn and that are read as stored; empty where there are none."""
    if not data.unturned:
        return ""
    return (
        f"note: EXIF would turn {len(data.unturned)} of the {len(data)} images in {data.name} {data.split}; they are read as "
        "stored, as their masks are (data.turned turns both)"
    )


class Subset:
    """So many samples of a data set, evenly spread; its fingerprint names them and the whole set's files.

    Args:
        data: any data set of this package.
        images: how many; all where there are fewer.
    """

    def __init__(self, data: DataSet, images: int) -> None:
        self.data = data
        self.name, self.split, self.label_space = data.name, data.split, data.label_space
        self.kept = np.unique(np.linspace(0, len(data) - 1, min(images, len(data))).round().astype(int))
        self.stems = [data.stems[i] for i in self.kept]

    @cached_property
    def unturned(self) -> Sequence[str]:
        """Those of the data set's that are kept."""
        kept = set(self.stems)
        return [stem for stem in self.data.unturned if stem in kept]

    def __len__(self) -> int:
        return len(self.kept)

    def __getitem__(self, index: int) -> Sample:
        return self.data[int(self.kept[index])]

    def fingerprint(self) -> str:
        """Return a hash of the data set's fingerprint and the stems that are kept."""
        return hashlib.sha256("\n".join([self.data.fingerprint(), *self.stems]).encode()).hexdigest()


class Resized:
    """A data set at one working size, read once and kept in memory; its fingerprint is that of the files.

    Args:
        data: any data set of this package.
        size_px: height and width of its samples; images by area, masks by nearest neighbour.
        full_masks: leave the masks at their own size.
    """

    def __init__(self, data: DataSet, size_px: tuple[int, int], full_masks: bool = False) -> None:
        self.data, self.size_px, self.full_masks = data, size_px, full_masks
        self.name, self.split, self.label_space, self.stems = data.name, data.split, data.label_space, data.stems

    @property
    def unturned(self) -> Sequence[str]:
        """Those of the data set."""
        return self.data.unturned

    @cached_property
    def samples(self) -> list[Sample]:
        """Every sample, resized."""
        return [self._resized(*self.data[i]) for i in range(len(self.data))]

    def _resized(self, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> Sample:
        size = self.size_px[::-1]
        small = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
        labels = mask if self.full_masks else cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST_EXACT)
        return np.asarray(small, np.uint8), np.asarray(labels, np.uint8)

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> Sample:
        return self.samples[index]

    def fingerprint(self) -> str:
        """Return the fingerprint of the data set's files."""
        return self.data.fingerprint()
