"""The sample scenes of the first screen, and the bundled models' answers to the first of them, stored ahead of time.

Samples are procedural scenes (:mod:`seglab.data.scenes`) with seeds that no training run uses, chosen by the criterion of
:mod:`seglab.predict.choosing`. Answers are stored as scores
in 1/255 under a name that carries the weights' hash, so that an answer of other weights is never shown.
"""

import io
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.images import Photo, encode_jpeg, encode_png, open_mask, open_photo
from seglab.labels import space
from seglab.predict.choosing import CANDIDATES, choose
from seglab.predict.scores import to_labels
from seglab.records.files import write_atomic
from seglab.records.store import RESULTS

FOLDER = RESULTS / "first-screen"
SIZE_PX = (600, 960)  # height, width
LABEL_SPACE = "camvid-11"
FIRST_SEED = 10_000  # no training run uses any from here on


@dataclass(frozen=True)
class Sample:
    """A scene that ships with the project."""

    key: str
    title: str
    seed: int
    time_of_day: str
    weather: str


SAMPLES: tuple[Sample, ...] = (
    Sample("clear", "Clear day", 10_001, "day", "clear"),
    Sample("overcast", "Overcast", 10_101, "day", "overcast"),
    Sample("rain", "Rain at dusk", 10_220, "dusk", "rain"),
    Sample("golden", "Golden hour", 10_301, "golden hour", "clear"),
)


def sample(key: str) -> Sample:
    """Look up a sample.

    Raises:
        ValueError: for an unknown key; the message lists the valid ones.
    """
    for one in SAMPLES:
        if one.key == key:
            return one
    raise ValueError(f"expected a sample out of {', '.join(s.key for s in SAMPLES)}, got {key!r}")


def load_sample(key: str, folder: Path = FOLDER) -> tuple[Photo, NDArray[np.uint8], str]:
    """Return a sample's photo, its exact mask (ids of camvid-11, 255 void) and a sentence that describes it."""
    one = sample(key)
    photo = open_photo(folder / f"{key}.jpg")
    mask = open_mask(folder / f"{key}.mask.png", size=photo.pixels.shape[:2])
    text = (folder / f"{key}.txt").read_text(encoding="utf-8").strip()
    return Photo(one.title, photo.pixels, photo.format, photo.sha256, photo.decode_ms), mask, text


def stored_scores(photo_sha256: str, weights_sha256: str, folder: Path = FOLDER) -> NDArray[np.uint8] | None:
    """Return the stored ``(C, h, w)`` scores, in 1/255, of exactly these weights on exactly this photo.

    None where they are absent or damaged: the model is then asked.
    """
    try:
        with np.load(_answer(photo_sha256, weights_sha256, folder), allow_pickle=False) as file:
            scores: NDArray[np.uint8] = file["scores"]
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile, zlib.error):
        return None
    return scores if scores.ndim == 3 and scores.dtype == np.uint8 else None


def _answer(photo_sha256: str, weights_sha256: str, folder: Path) -> Path:
    return folder / f"{photo_sha256[:12]}-{weights_sha256[:12]}.npz"


def make_samples(folder: Path = FOLDER) -> None:
    """Draw the samples and store photo, mask and description."""
    from seglab.data.scenes import SceneOptions, make_scene

    folder.mkdir(parents=True, exist_ok=True)
    for one in SAMPLES:
        options = SceneOptions(time_of_day=one.time_of_day, weather=one.weather)  # type: ignore[arg-type]
        scene = make_scene(one.seed, *SIZE_PX, options)
        write_atomic(folder / f"{one.key}.jpg", encode_jpeg(scene.image, 92))
        write_atomic(folder / f"{one.key}.mask.png", encode_png(scene.mask))
        write_atomic(folder / f"{one.key}.txt", scene.description.encode() + b"\n")


def choose_samples(models: Mapping[str, Any]) -> Iterator[str]:
    """Yield a line for each seed tried for each sample, by :mod:`seglab.predict.choosing`; draws and asks the models."""
    from seglab.data.scenes import SceneOptions, make_scene

    names = space(LABEL_SPACE).names
    table = np.arange(len(names), dtype=np.uint8)
    for number, one in enumerate(SAMPLES):
        options = SceneOptions(time_of_day=one.time_of_day, weather=one.weather)  # type: ignore[arg-type]

        def answered(seed: int, options: SceneOptions = options) -> tuple[dict[str, Any], NDArray[np.uint8]]:
            scene = make_scene(seed, *SIZE_PX, options)
            labels = {}
            for key, model in models.items():
                scores, _ = model.scores(scene.image)
                labels[key], _ = to_labels(scores, *SIZE_PX, table, len(names))
            return labels, scene.mask

        for seed, said in choose(answered, FIRST_SEED + number * CANDIDATES):
            yield f"{one.key}: seed {seed}: {said}"


def precompute_samples(models: Mapping[str, Any], folder: Path = FOLDER) -> int:
    """Store each model's scores of the first sample; drop what older weights left. Returns how many were stored."""
    photo, _, _ = load_sample(SAMPLES[0].key, folder)
    written = set()
    for model in models.values():
        scores, _ = model.scores(photo.pixels)
        data = io.BytesIO()
        np.savez_compressed(data, scores=np.rint(scores.astype(np.float32) * 255).astype(np.uint8))
        path = _answer(photo.sha256, model.weights_sha256, folder)
        write_atomic(path, data.getvalue())
        written.add(path)
    for old in set(folder.glob("*.npz")) - written:
        old.unlink()
    return len(models)
