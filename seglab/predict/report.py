"""A comparison as one HTML file: photo, masks, legend, agreement, latency, where each model comes from.

It opens offline and prints on two pages.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import jinja2
import numpy as np
from numpy.typing import NDArray

from seglab.images import blend, data_url, encode_jpeg
from seglab.labels import VOID, Palette, space
from seglab.measure.agreement import distinct_answers, pairwise_agreement

_TEMPLATE = Path(__file__).with_name("report.html")


@dataclass(frozen=True)
class Entry:
    """One model's part of a report."""

    title: str
    caption: str
    labels: NDArray[np.uint8]  # (H, W) at the picture's size
    latency_ms: Mapping[str, float]
    engine: str
    origin: Mapping[str, str]  # the same keys for all entries


def report(
    name: str,
    size_px: tuple[int, int],
    pixels: NDArray[np.uint8],
    entries: Sequence[Entry],
    label_space: str,
    *,
    palette: Palette = "native",
    opacity: float = 0.55,
    hidden: Sequence[int] = (),
    note: str = "",
) -> bytes:
    """Return the report as UTF-8 HTML.

    Args:
        name: of the photo.
        size_px: the photo's own height and width.
        pixels: ``(H, W, 3)`` uint8 RGB as it is to be shown.
        entries: one or more models.
        label_space: of the labels.
        palette: of the colours.
        opacity: of the overlays.
        hidden: class ids that the overlays leave out.
        note: what a reader of the models' figures must know, as :func:`seglab.predict.model.beside_test` says it.

    Raises:
        ValueError: without an entry, or where labels are not of the picture's size.
    """
    if not entries or any(one.labels.shape != pixels.shape[:2] for one in entries):
        raise ValueError(f"expected one or more models with labels of {pixels.shape[:2]}")
    target = space(label_space)
    colours = ["#{:02x}{:02x}{:02x}".format(*colour) for colour in target.palette(palette)]
    shown = []
    for one in entries:
        seen = np.where(np.isin(one.labels, hidden), VOID, one.labels).astype(np.uint8) if hidden else one.labels
        counts = np.bincount(one.labels.ravel(), minlength=256)[: target.num_classes]
        shown.append(
            {
                "title": one.title,
                "caption": one.caption,
                "overlay": data_url(encode_jpeg(blend(pixels, seen, target.lut(palette), opacity))),
                "shares": (counts / one.labels.size).tolist(),
                "latency_ms": dict(one.latency_ms),
                "engine": one.engine,
                "origin": dict(one.origin),
            }
        )
    labels = [one.labels for one in entries]
    page = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(
        _TEMPLATE.read_text("utf-8")
    )
    text = page.render(
        photo=name,
        height=size_px[0],
        width=size_px[1],
        space=target.title,
        opacity=round(opacity * 100),
        date=date.today().isoformat(),
        original=data_url(encode_jpeg(pixels)),
        entries=shown,
        rows=(len(entries) + 2) // 2,
        legend=list(zip(target.names, colours, strict=True)),
        steps=list(dict.fromkeys(step for one in entries for step in one.latency_ms)),
        agree=f"{float((distinct_answers(labels) == 1).mean()):.1%}",
        note=note,
        matrix=pairwise_agreement(labels).tolist(),
    )
    return text.encode()
