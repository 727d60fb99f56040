"""Data sets: each is a sequence of ``(image (H, W, 3) uint8 RGB, mask (H, W) uint8, 255 ignored)``."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Sample = tuple[NDArray[np.uint8], NDArray[np.uint8]]


class SegmentationData(Protocol):
    """What the trainers need of a data set."""

    name: str
    split: str
    label_space: str

    @property
    def stems(self) -> Sequence[str]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Sample: ...
    def fingerprint(self) -> str: ...


def fingerprint_files(pairs: Sequence[tuple[str, Path, Path]]) -> str:
    """Return the SHA-256 over sorted stems and the hashes of their image and mask files."""
    total = hashlib.sha256()
    for stem, image, mask in sorted(pairs):
        total.update(stem.encode())
        for path in (image, mask):
            total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def open_data(name: str, root: Path, split: str, label_space: str, recordings: Sequence[str] = ()) -> SegmentationData:
    """Open a data set by the name a recipe gives it.

    Raises:
        ValueError: for an unknown name, or a folder without the expected layout.
    """
    from seglab.data.camvid import CamVid
    from seglab.data.cityscapes import Cityscapes

    if name == "camvid":
        return CamVid(root, split, recordings=recordings)
    if name == "cityscapes":
        return Cityscapes(root, split, label_space=label_space)
    raise ValueError(f"expected a data set out of camvid, cityscapes; got {name!r}")
