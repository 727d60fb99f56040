"""Cityscapes in its own layout: ``leftImg8bit/<split>/<city>/*.png`` and ``gtFine/<split>/<city>/*.png``.

Masks may be ``*_gtFine_labelIds.png`` (raw ids) or ``*_gtFine_labelTrainIds.png``; a table maps them to 19 classes or 8
groups. Cityscapes cannot be redistributed: users bring it. Source: Cordts et al., CVPR 2016.
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from seglab import labels
from seglab.data.dataset import Sample, fingerprint_files
from seglab.data.files import check_ids, read_pair, tagged_stems

_IMAGE = "_leftImg8bit"
_RAW, _TRAIN = "cityscapes-labelids", "cityscapes-19"  # what the ids of the two kinds of masks are of


class Cityscapes:
    """One split of Cityscapes.

    Args:
        root: folder that holds ``leftImg8bit`` and ``gtFine``.
        split: ``train``, ``val`` or ``test``.
        label_space: one that raw ids and train ids map to, such as ``cityscapes-19`` or ``cityscapes-8``.
        turned: turn images, and their masks with them, as the images' EXIF says.

    Raises:
        ValueError: where the layout or a mask is missing.
    """

    name = "cityscapes"

    def __init__(self, root: Path, split: str, label_space: str = _TRAIN, turned: bool = False) -> None:
        if not _reached(label_space):
            known = " or ".join(key for key in labels.SPACES if _reached(key))
            raise ValueError(f"expected {known} for Cityscapes, got {label_space!r}")
        images = Path(root) / "leftImg8bit" / split
        if not images.is_dir():
            raise ValueError(f"expected Cityscapes under {root}, found no folder {images}; pass --data DIR")
        self.split, self.label_space, self.turned = split, label_space, turned
        self.pairs: list[tuple[str, Path, Path]] = []
        for image in sorted(images.glob(f"*/*{_IMAGE}.*")):
            stem = image.stem.removesuffix(_IMAGE)
            folder = Path(root) / "gtFine" / split / image.parent.name
            found = [folder / f"{stem}_gtFine_{kind}.png" for kind in ("labelIds", "labelTrainIds")]
            mask = next((m for m in found if m.is_file()), None)
            if mask is None:
                raise ValueError(f"expected a mask {found[0].name} or {found[1].name} in {folder}, found neither")
            self.pairs.append((stem, image, mask))
        if not self.pairs:
            raise ValueError(f"expected images named *{_IMAGE}.png in the city folders of {images}, found none")
        self.stems = [stem for stem, _, _ in self.pairs]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> Sample:
        _, image_path, mask_path = self.pairs[index]
        image, mask = read_pair(image_path, mask_path, self.turned)
        if mask_path.stem.endswith("labelTrainIds"):
            check_ids(mask, labels.space(_TRAIN).num_classes, mask_path)
            return image, labels.remap(mask, _TRAIN, self.label_space)
        check_ids(mask, 34, mask_path)
        return image, labels.remap(mask, _RAW, self.label_space)

    @cached_property
    def unturned(self) -> Sequence[str]:
        """Stems of images that their EXIF would turn, and that are read as stored."""
        return [] if self.turned else tagged_stems(self.pairs)

    def fingerprint(self) -> str:
        """Return the split's fingerprint: SHA-256 over sorted stems and file hashes."""
        return fingerprint_files(self.pairs, self.turned)


def _reached(label_space: str) -> bool:
    """Whether both kinds of masks can be told in a label space."""
    return labels.rolls_up(_RAW, label_space) and labels.rolls_up(_TRAIN, label_space)


def open_split(root: Path, split: str, label_space: str, recordings: Sequence[str], turned: bool) -> Cityscapes:
    """Open a split as recipes ask for it.

    Raises:
        ValueError: for recordings, which this data set does not name, or where :class:`Cityscapes` cannot be opened.
    """
    if recordings:
        raise ValueError(
            f"expected no recordings for Cityscapes, got {', '.join(recordings)}; leave data.recordings out"
        )
    return Cityscapes(root, split, label_space, turned)
