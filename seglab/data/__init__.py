"""Data sets by the name that a recipe gives them, procedural scenes, and what is done to images before a model sees them.

``dataset`` is the contract; a layout is one file (``camvid``, ``cityscapes``) whose ``open_split`` :data:`LAYOUTS` names.
``files`` reads images and masks as they are stored, ``transforms`` augments, ``corruptions`` spoils, ``scenes/`` draws
streets with exact masks.
May import ``labels`` and ``images``; no torch.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from seglab.data import camvid, cityscapes
from seglab.data.dataset import DataSet, Resized, Sample, Subset, tags_note

__all__ = ["LAYOUTS", "DataSet", "Resized", "Sample", "Subset", "clip_note", "open_data", "tags_note"]


class Layout(Protocol):
    """How a data set lies on disk."""

    def __call__(self, root: Path, split: str, label_space: str, recordings: Sequence[str], turned: bool) -> DataSet:
        """Open a split; raises ValueError where it is not there, or cannot be had as asked."""
        ...


LAYOUTS: Mapping[str, Layout] = {"camvid": camvid.open_split, "cityscapes": cityscapes.open_split}


def clip_note(data: object, split: object) -> str:
    """Return what a split's images are where they are neighbouring frames, which are not independent; empty elsewhere."""
    return "one clip of one street" if (data, split) == ("camvid", "val") else ""


def open_data(
    name: str, root: Path, split: str, label_space: str, recordings: Sequence[str] = (), turned: bool = False
) -> DataSet:
    """Open a data set by the name a recipe gives it.

    Raises:
        ValueError: for an unknown name, a folder without the expected layout, or what the data set does not have.
    """
    if name not in LAYOUTS:
        raise ValueError(f"expected a data set out of {', '.join(LAYOUTS)}; got {name!r}")
    return LAYOUTS[name](root, split, label_space, recordings, turned)
