"""``test.json``: what a run's weights score on held-out images, measured once, elsewhere, and used for no choice."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from seglab.records.fields import at, clean, number_at
from seglab.records.files import RunError

FILE = "test.json"
MAX_BYTES = 100_000


@dataclass(frozen=True)
class HeldOut:
    """Figures on held-out images; fractions."""

    miou: float
    iou: Mapping[str, float]  # by class
    images: int
    origin: str  # how they were measured, in a sentence's words


def load(folder: Path, weights_sha256: str) -> HeldOut | None:
    """Return the test figures of a run's weights; none where there is no such file.

    Args:
        folder: of the run.
        weights_sha256: of the weights that are shown; figures of others are refused.

    Raises:
        RunError: where the file cannot be used, or is about other weights; one sentence.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    if path.stat().st_size > MAX_BYTES:
        raise RunError(f"{FILE} is larger than {MAX_BYTES:,} bytes; it holds one figure a class")
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise RunError(f"{FILE} cannot be read as JSON; restore it or remove it") from None
    if at(record, "weights_sha256") != weights_sha256:
        raise RunError(f"{FILE} is about other weights; measure these on test, or remove it")
    miou, images, origin = number_at(record, "miou"), number_at(record, "images"), at(record, "origin")
    found = at(record, "iou")
    iou = (
        {clean(name, 60): number_at({"of": value}, "of") for name, value in found.items()}
        if isinstance(found, dict)
        else {}
    )
    fractions = [miou, *iou.values()]
    if not all(one is not None and 0 <= one <= 1 for one in fractions) or miou is None:
        raise RunError(f"expected miou and iou of each class in {FILE} as fractions from 0 to 1")
    if images is None or images < 1 or not isinstance(origin, str) or not origin.strip():
        raise RunError(f"expected images and origin in {FILE}: on how many images, and how it was measured")
    return HeldOut(miou, {name: one for name, one in iou.items() if one is not None}, int(images), clean(origin, 200))
