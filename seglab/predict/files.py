"""Several models' answers to one photo: where they agree, and the files a user takes home."""

import io
import json
import zipfile
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from seglab.images import blend, encode_png
from seglab.labels import VOID, Palette, space
from seglab.measure.agreement import Labels

if TYPE_CHECKING:
    from seglab.predict.segmenter import Prediction

MIN_POLYGON_AREA_PX = 12


def geojson(labels: Labels, label_space: str) -> dict[str, Any]:
    """Return the label map as a GeoJSON FeatureCollection: one MultiPolygon per class that occurs.

    Coordinates are pixel centres, x to the right and y down, origin at the upper left pixel; outlines are simplified to
    within one pixel. Regions whose outline encloses less than 12 px, such as a pole one pixel wide, are left out;
    ``area_px`` counts them.
    """
    names = space(label_space).names
    features = []
    for class_id in sorted(set(np.unique(labels).tolist()) - {VOID}):
        mask = (labels == class_id).astype(np.uint8)
        contours, hierarchy = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
        polygons: dict[int, list[list[list[int]]]] = {}
        holes: list[tuple[int, list[list[int]]]] = []
        for index, contour in enumerate(contours):
            points = cv2.approxPolyDP(contour, 1.0, True)[:, 0]
            if len(points) < 3 or cv2.contourArea(points) < MIN_POLYGON_AREA_PX:
                continue
            parent = int(hierarchy[0][index][3])
            ring = _ring(points, counterclockwise=parent < 0)
            if parent < 0:
                polygons[index] = [ring]
            else:
                holes.append((parent, ring))
        for parent, ring in holes:
            if parent in polygons:
                polygons[parent].append(ring)
        features.append(
            {
                "type": "Feature",
                "properties": {"class_id": class_id, "class": names[class_id], "area_px": int(mask.sum())},
                "geometry": {"type": "MultiPolygon", "coordinates": list(polygons.values())},
            }
        )
    h, w = labels.shape
    return {
        "type": "FeatureCollection",
        "properties": {"label_space": label_space, "height_px": h, "width_px": w, "coordinates": "pixel, y down"},
        "features": features,
    }


def _ring(points: NDArray[np.int32], *, counterclockwise: bool) -> list[list[int]]:
    """Close a ring and turn it the way GeoJSON asks: outer counterclockwise, holes clockwise."""
    x, y = points[:, 0].astype(np.int64), points[:, 1].astype(np.int64)
    area = int((x * np.roll(y, -1) - np.roll(x, -1) * y).sum())
    ring: list[list[int]] = points[:: 1 if (area > 0) == counterclockwise else -1].tolist()
    return [*ring, ring[0]]


def summary_row(photo: str, model: str, run: str, prediction: "Prediction", decode_ms: float) -> dict[str, Any]:
    """Return what ``summary.json`` says of one photo and model."""
    latency = {"decode": round(decode_ms, 1), **prediction.latency_ms}
    latency["total"] = round(sum(latency.values()), 1)
    height, width = prediction.labels.shape
    return {
        "photo": photo,
        "model": model,
        "run": run,
        "engine": prediction.engine,
        "label_space": prediction.label_space,
        "height_px": height,
        "width_px": width,
        "latency_ms": latency,
        "share_frac": {name: round(value, 6) for name, value in prediction.share_frac().items()},
        "mean_confidence": round(float(prediction.confidence.mean()) / 255, 4),
    }


def mask_files(
    stem: str,
    model: str,
    pixels: NDArray[np.uint8],
    prediction: "Prediction",
    *,
    opacity: float = 0.55,
    palette: Palette = "native",
) -> dict[str, bytes]:
    """Return one model's files by name: label PNG (8-bit ids), overlay PNG."""
    lut = space(prediction.label_space).lut(palette)
    return {
        f"{stem}.{model}.labels.png": encode_png(prediction.labels),
        f"{stem}.{model}.overlay.png": encode_png(blend(pixels, prediction.labels, lut, opacity)),
    }


def geojson_bytes(labels: Labels, label_space: str) -> bytes:
    """Return :func:`geojson` as a file's content."""
    return json.dumps(geojson(labels, label_space), separators=(",", ":")).encode()


def zip_files(files: Mapping[str, bytes]) -> bytes:
    """Pack files into one zip; images are stored as they are, text is compressed."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            kind = zipfile.ZIP_STORED if name.endswith(".png") else zipfile.ZIP_DEFLATED
            archive.writestr(name, data, compress_type=kind)
    return buffer.getvalue()
