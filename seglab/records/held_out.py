"""``test.json``: what a run's weights score on held-out images, measured once, elsewhere, and used for no choice."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seglab.labels import SPACES
from seglab.records.fields import at, clean, number_at
from seglab.records.files import RunError
from seglab.records.runs import Record

FILE = "test.json"
MAX_BYTES = 100_000


@dataclass(frozen=True)
class HeldOut:
    """Figures on held-out images; fractions."""

    miou: float
    iou: Mapping[str, float]  # by class
    images: int
    origin: str  # how they were measured, in a sentence's words


def load(folder: Path, weights_sha256: str, data: str, classes: Sequence[str]) -> HeldOut | None:
    """Return the test figures of a run's weights; none where there is no such file.

    Args:
        folder: of the run.
        weights_sha256: of the weights that are shown; figures of others are refused.
        data: the data set's name, as the run's record has it.
        classes: of the run's label space.

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
    if not isinstance(record, dict):
        raise RunError(f"expected an object in {FILE}")
    if at(record, "weights_sha256") != weights_sha256:
        raise RunError(f"{FILE} is about other weights; measure these on test, or remove it")
    known = {"weights_sha256", "data", "split", "images", "size_px", "miou", "iou", "origin"}
    if other := sorted(set(record) - known):
        raise RunError(
            f"{FILE} has a field {clean(other[0], 40)}, which nothing reads; it holds {', '.join(sorted(known))}"
        )
    if record.get("split") != "test" or record.get("data") != data:
        raise RunError(f"expected figures of the test split of {clean(data, 40)} in {FILE}")
    miou, images, origin = number_at(record, "miou"), number_at(record, "images"), at(record, "origin")
    found = at(record, "iou")
    if not isinstance(found, dict) or sorted(found) != sorted(classes):
        raise RunError(f"expected iou in {FILE} as one figure for each of {', '.join(classes)}")
    iou = {name: number_at({"of": found[name]}, "of") for name in classes}
    if miou is None or not all(one is not None and 0 <= one <= 1 for one in (miou, *iou.values())):
        raise RunError(f"expected miou and iou of each class in {FILE} as fractions from 0 to 1")
    if images is None or images < 1 or images != int(images) or not isinstance(origin, str) or not origin.strip():
        raise RunError(f"expected images and origin in {FILE}: on how many images, and how it was measured")
    return HeldOut(miou, {name: one for name, one in iou.items() if one is not None}, int(images), clean(origin, 200))


def of_run(run: Record) -> tuple[HeldOut | None, str]:
    """Return a run's test figures, or none and why in a few words."""
    key = at(run.fields, "label_space")
    classes = SPACES[key].names if key in SPACES else ()
    try:
        found = load(run.folder, str(at(run.fields, "weights.sha256")), str(at(run.fields, "data.name")), classes)
    except RunError as error:
        return None, f"not shown: {error}"
    return found, "" if found else "not measured"
