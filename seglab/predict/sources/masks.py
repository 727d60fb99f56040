"""Masks that something else predicted: ``masks:DIR`` holds one PNG of class ids a photo, matched by the photo's stem.

``seglab.yaml`` in the folder says what the ids are (``label_space``, or ``classes`` in the order of the ids); without it the
answer holds the likely reading, and nothing is guessed. There is no model: a photo without a mask has no answer, and neither
latency nor Grad-CAM nor a corrupted photo can be asked.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import cast

import cv2
import numpy as np
from numpy.typing import NDArray

from seglab.images import ImageError, open_mask
from seglab.labels import SPACES, VOID, space
from seglab.predict.model import AnswerError, Facts, Model, WithoutNetwork
from seglab.predict.scores import WORKING_PIXELS
from seglab.predict.sources.sidecar import told_beside

PREFIX = "masks:"
MAX_MASKS = 100_000
_LOOKED_AT = 5  # masks that are opened to see whether the ids fit


@dataclass(frozen=True, eq=False)
class MaskSource(WithoutNetwork):
    """A folder of masks.

    Attributes:
        masks: files by the photo's stem.
        ids: ``(256,)`` table from the masks' ids to those of the model's label space, 255 for what is none.
        num_classes: of the label space.
    """

    masks: Mapping[str, Path]
    ids: NDArray[np.uint8]
    num_classes: int

    why = "masks of a folder have no network: they can be compared, nothing else"

    def labels(self, name: str, height: int, width: int) -> NDArray[np.uint8]:
        """Return ``(height, width)`` ids of the label space for a photo.

        Raises:
            AnswerError: where there is no mask of that photo.
            ImageError: where it cannot be read, or has another size than the photo.
        """
        path = self.masks.get(PurePath(name).stem)
        if path is None:
            raise AnswerError(
                f"there is no mask of {name[:80]} in the folder: it would be {PurePath(name).stem[:80]}.png"
            )
        labels: NDArray[np.uint8] = self.ids[open_mask(path, size=(height, width))]
        return labels

    def scores(self, name: str, height: int, width: int) -> NDArray[np.uint8]:
        """Return ``(C + 1, h, w)`` of ones and zeros, the last for what is no class, at the photo's size.

        Photos of more than :data:`WORKING_PIXELS` come smaller (nearest pixel): scores of all classes would fill the memory.
        """
        labels = self.labels(name, height, width)
        if (scale := (WORKING_PIXELS / labels.size) ** 0.5) < 1:
            width, height = max(1, round(width * scale)), max(1, round(height * scale))
            labels = cast(NDArray[np.uint8], cv2.resize(labels, (width, height), interpolation=cv2.INTER_NEAREST))
        rows = np.minimum(labels, self.num_classes)
        planes: NDArray[np.uint8] = np.equal(rows[None], np.arange(self.num_classes + 1)[:, None, None]).astype(
            np.uint8
        )
        return planes


def find(text: str) -> Model | None:
    """Return the model that a folder of masks stands for; none for what does not begin with ``masks:``.

    Raises:
        ValueError: where there is no such folder or no mask, or nobody says what the ids are.
    """
    if not text.startswith(PREFIX):
        return None
    folder = Path(text[len(PREFIX) :])
    if not folder.is_dir():
        raise ValueError(f"expected a folder of masks after {PREFIX}, found none at {str(folder)[:200]}")
    files = [path for path in sorted(folder.iterdir()) if path.suffix.lower() == ".png" and path.is_file()]
    if not files or len(files) > MAX_MASKS:
        raise ValueError(f"expected 1 to {MAX_MASKS} PNG masks in {folder.name}, found {len(files)}")
    told = told_beside(folder / "seglab.yaml")
    highest, some = _highest(files)
    if told.label_space is None and not told.classes:
        raise ValueError(_asks(folder, highest))
    count = len(told.classes) or space(str(told.label_space)).num_classes
    matched = told.matched(told.classes or space(str(told.label_space)).names)
    if highest >= count:
        raise ValueError(
            f"the masks in {folder.name} hold ids up to {highest} ({some}), seglab.yaml names {count} classes; "
            "255 alone is no class"
        )
    ids = np.full(256, VOID, np.uint8)
    ids[:count] = matched.ids
    total = hashlib.sha256(str(matched.ids).encode())
    for path in files:
        info = path.stat()
        total.update(f"{path.name} {info.st_size} {info.st_mtime_ns}".encode(errors="backslashreplace"))
    name = "".join(c for c in folder.resolve().name if c.isprintable())[:60].replace("<", "‹") or "masks"
    notes = [f"{len(files)} masks of photos with the same names; other photos have no answer"]
    notes += [f"none of {space(matched.space).title}: {', '.join(matched.other[:12])}"] if matched.other else []
    return Model(
        key="".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name.lower()).strip("-._")[:40]
        or "masks",
        title=f"{name} (masks)",
        label_space=matched.space,
        sha256=total.hexdigest(),
        network={"key": "masks"},
        facts=Facts(f"{PREFIX}{name}", "published", notes=tuple(notes)),
        source=MaskSource({path.stem: path for path in files}, ids, space(matched.space).num_classes),
        foreign=True,
    )


def _highest(files: list[Path]) -> tuple[int, str]:
    """Return the highest id that is not 255 in the first masks, and the file that holds it."""
    found = (-1, "")
    for path in files[:_LOOKED_AT]:
        try:
            ids = open_mask(path)
        except ImageError as error:
            raise ValueError(str(error)) from None
        found = max(found, (int(ids[ids != VOID].max(initial=0)), path.name))
    return found


def _asks(folder: Path, highest: int) -> str:
    fitting = sorted((one.num_classes, key) for key, one in SPACES.items() if one.num_classes > highest)
    likely = fitting[0][1] if fitting else "KEY"
    return (
        f"{folder.name} does not say what the ids of its masks are (up to {highest} in the first {_LOOKED_AT}). Put seglab.yaml "
        f"into it; likely, but to be checked by you: {{label_space: {likely}}}"
    )
