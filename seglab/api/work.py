"""What the REST service computes for one request: in the models' thread, from bytes to bytes."""

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seglab.data.corruptions import CORRUPTIONS, SEVERITIES, Severity, corrupt, parameters
from seglab.images import ImageError, blend, data_url, encode_jpeg, encode_png, open_photo, resize, resize_labels
from seglab.labels import space
from seglab.predict.files import geojson_bytes
from seglab.predict.model import AnswerError, Model

if TYPE_CHECKING:
    from seglab.predict.segmenter import Segmenter

log = logging.getLogger(__name__)
Draw = tuple[str, Severity, int]  # corruption, severity, seed


@dataclass(frozen=True)
class Options:
    """How a photo is to be answered."""

    label_space: str | None
    opacity: float
    max_side: int  # of the pictures, in pixels


def predict(segmenter: "Segmenter", model: Model, data: bytes, name: str, options: Options, form: str) -> bytes:
    """Return the answer to one photo: JSON, a PNG of class ids, or GeoJSON.

    Raises:
        ImageError: where the photo cannot be used.
        ValueError: where the model's labels do not roll up to the label space.
    """
    if form == "application/json":
        return json.dumps(answer(segmenter, model, data, name, options)).encode()
    prediction = segmenter.predict(open_photo(data, name).pixels, options.label_space, name=name)
    if form == "image/png":
        return encode_png(prediction.labels)
    return geojson_bytes(prediction.labels, prediction.label_space)


def answer(segmenter: "Segmenter", model: Model, data: bytes, name: str, options: Options) -> dict[str, Any]:
    """Return :class:`seglab.api.schema.Answer` as plain values.

    Raises:
        ImageError: where the photo cannot be used.
        ValueError: where the model's labels do not roll up to the label space.
    """
    photo = open_photo(data, name)
    prediction = segmenter.predict(photo.pixels, options.label_space, name=name)
    start = time.perf_counter()
    target = space(prediction.label_space)
    small = shrink(photo.pixels, options.max_side)
    overlay = blend(small, resize_labels(prediction.labels, *small.shape[:2]), target.lut(), options.opacity)
    shares = prediction.share_frac()
    classes = [
        {"id": i, "name": name, "colour": "#{:02x}{:02x}{:02x}".format(*colour), "share_frac": shares[name]}
        for i, (name, colour) in enumerate(zip(target.names, target.palette(), strict=True))
        if shares[name] > 0
    ]
    found = {
        "model": model.key,
        "title": model.title,
        "run": model.facts.origin,
        "weights_sha256": model.sha256,
        "label_space": prediction.label_space,
        "width": photo.width,
        "height": photo.height,
        "original": data_url(encode_jpeg(small), "image/jpeg"),
        "mask": data_url(encode_png(prediction.labels), "image/png"),
        "overlay": data_url(encode_jpeg(overlay), "image/jpeg"),
        "classes": sorted(classes, key=lambda one: -float(shares[str(one["name"])])),
        "engine": prediction.engine,
    }
    spent = {"decode": photo.decode_ms, **prediction.latency_ms, "encode": (time.perf_counter() - start) * 1000}
    return found | {"latency_ms": {step: round(ms, 1) for step, ms in spent.items()}}


def batch_item(segmenter: "Callable[[], Segmenter]", model: Model, data: bytes, name: str, options: Options) -> bytes:
    """Return :class:`seglab.api.schema.BatchItem` as JSON; whatever upsets one image becomes its error."""
    try:
        return json.dumps(
            {"name": name, "answer": answer(segmenter(), model, data, name, options), "error": None}
        ).encode()
    except (ImageError, AnswerError) as error:
        said = str(error)
    except Exception as error:
        log.exception("an image of a batch failed")
        said = f"the service failed at this image ({type(error).__name__}); its log has more"
    return json.dumps({"name": name, "answer": None, "error": said}).encode()


def draw(samples: int, corruption: str | None, severity: Severity | None, seed: int) -> list[Draw]:
    """Return so many corruptions, what is not given drawn: equal seeds give equal draws."""
    dice = random.Random(seed)
    keys = list(CORRUPTIONS)
    found: list[Draw] = []
    for _ in range(samples):
        key, level, its_seed = dice.choice(keys), dice.choice(SEVERITIES), dice.randrange(2**31)
        found.append((corruption or key, severity or level, its_seed))
    return found


def corrupted(pixels: NDArray[np.uint8], drawn: Draw) -> bytes:
    """Return :class:`seglab.api.schema.Corrupted` of a photo as JSON."""
    key, severity, seed = drawn
    settings = parameters(key, severity, min(pixels.shape[:2]))
    found = {
        "corruption": key,
        "title": CORRUPTIONS[key].title,
        "severity": severity,
        "parameters": {k: list(v) if isinstance(v, tuple) else v for k, v in settings.items()},
        "seed": seed,
        "image": data_url(encode_jpeg(corrupt(pixels, key, severity, seed)[0]), "image/jpeg"),
    }
    return json.dumps(found).encode()


def shrink(pixels: NDArray[np.uint8], max_side: int) -> NDArray[np.uint8]:
    """Return a photo with its longer side at most so long; never enlarged."""
    height, width = pixels.shape[:2]
    scale = max_side / max(height, width)
    return pixels if scale >= 1 else resize(pixels, max(1, round(height * scale)), max(1, round(width * scale)))
