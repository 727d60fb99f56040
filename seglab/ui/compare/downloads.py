"""What the Compare page gives away: label PNG, overlay and GeoJSON of each model, all in one archive, or a report."""

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.images import blend, encode_png, safe_stem
from seglab.labels import VOID
from seglab.predict.files import geojson_bytes, zip_files
from seglab.predict.model import Model, beside_test
from seglab.predict.report import Entry, report
from seglab.ui.asking import Settings
from seglab.ui.compare.panels import Result, facts, labels_at, seen_view
from seglab.ui.photos import ShownPhoto


def downloads(photo: ShownPhoto, results: list[Result], chosen: Settings) -> None:
    """Offer everything; files are made when asked for, with the opacity of that moment."""
    stem, view = safe_stem(photo.name), seen_view()
    st.download_button(
        "Everything of this photo (zip)",
        partial(_zip, photo, results, chosen, stem, view),
        f"{stem}.seglab.zip",
        "application/zip",
        on_click="ignore",
        type="primary",
        icon=":material/folder_zip:",
        key="download-zip",
    )
    st.download_button(
        "Report (HTML)",
        partial(_report, photo, results, chosen, view),
        f"{stem}.report.html",
        "text/html",
        on_click="ignore",
        icon=":material/summarize:",
        key="download-report",
        help="One file with photo, masks, agreement, latency and where the models come from. Opens offline, prints on two pages.",
    )
    st.caption(
        f"All at the photo's own size, {photo.width} by {photo.height}. Label PNGs hold 8-bit ids of "
        f"{chosen.space.title}; GeoJSON holds polygons per class in pixel coordinates (y down)."
    )
    for r in results:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{r.model.title}**", width=240)
            for label, suffix, mime in (
                ("Label PNG", "labels.png", "image/png"),
                ("Overlay", "overlay.png", "image/png"),
                ("GeoJSON", "geojson", "application/geo+json"),
            ):
                st.download_button(
                    label,
                    partial(_one, photo, r, chosen, suffix, view),
                    f"{stem}.{r.model.key}.{suffix}",
                    mime,
                    on_click="ignore",
                    key=f"download-{r.model.key}-{suffix}",
                )


def _report(photo: ShownPhoto, results: list[Result], chosen: Settings, view: Mapping[str, Any]) -> bytes:
    entries = [
        Entry(
            r.model.title,
            facts(r.model, r.answer),
            r.labels,
            {"decode": photo.decode_ms, **r.answer.latency_ms} if r.answer.latency_ms else {},
            r.answer.engine or "stored answer",
            origin(r.model),
        )
        for r in results
    ]
    return report(
        photo.name,
        (photo.height, photo.width),
        photo.shown,
        entries,
        chosen.space.key,
        palette=chosen.palette,
        opacity=view["opacity"] / 100,
        hidden=view["hidden"],
        note=beside_test(r.model for r in results),
    )


def origin(model: Model) -> dict[str, str]:
    """Return where a model comes from, in words."""
    facts, miou = model.facts, model.facts.metrics.get("miou")
    return {
        "run": facts.origin,
        "provenance": facts.provenance,
        "val mIoU": "" if miou is None else f"{miou * 100:.1f} %",
        "test mIoU": f"{facts.test.miou * 100:.1f} % on {facts.test.images} images" if facts.test else facts.no_test,
        "val measured on": f"{facts.data or '?'} {facts.split or '?'}, {_told(facts.images)} images",
        "epochs": _told(facts.epochs),
        "trained on": facts.device or "?",
        "commit": facts.commit[:10] or "?",
        "weights": model.sha256[:12],
    }


def _told(number: int | None) -> str:
    return "?" if number is None else str(number)


def _one(photo: ShownPhoto, result: Result, chosen: Settings, suffix: str, view: Mapping[str, Any]) -> bytes:
    labels, _ = labels_at(photo, result.model, result.answer, chosen, (photo.height, photo.width))
    return _file(suffix, labels, photo.reread, chosen, view)


def _file(
    suffix: str,
    labels: NDArray[np.uint8],
    pixels: Callable[[], NDArray[np.uint8]],
    chosen: Settings,
    view: Mapping[str, Any],
) -> bytes:
    """Return one download of a label map; an overlay is as the reader sees it, hidden classes included."""
    if suffix == "labels.png":
        return encode_png(labels)
    if suffix == "overlay.png":
        seen = np.where(np.isin(labels, view["hidden"]), VOID, labels).astype(np.uint8) if view["hidden"] else labels
        return encode_png(blend(pixels(), seen, chosen.space.lut(chosen.palette), view["opacity"] / 100))
    return geojson_bytes(labels, chosen.space.key)


def _zip(photo: ShownPhoto, results: list[Result], chosen: Settings, stem: str, view: Mapping[str, Any]) -> bytes:
    files: dict[str, bytes] = {}
    summary = []
    pixels = cache(photo.reread)
    for r in results:
        labels, _ = labels_at(photo, r.model, r.answer, chosen, (photo.height, photo.width))
        for suffix in ("labels.png", "overlay.png", "geojson"):
            files[f"{stem}.{r.model.key}.{suffix}"] = _file(suffix, labels, pixels, chosen, view)
        counts = np.bincount(labels.ravel(), minlength=256)
        shares = {name: round(float(counts[i] / labels.size), 6) for i, name in enumerate(chosen.space.names)}
        summary.append(
            {
                "photo": photo.name,
                "model": r.model.key,
                "run": r.model.facts.origin,
                "weights_sha256": r.model.sha256,
                "engine": r.answer.engine or "stored answer",
                "label_space": chosen.space.key,
                "detail": chosen.detail,
                "latency_ms": dict(r.answer.latency_ms or {}),
                "share_frac": shares,
            }
        )
    files["summary.json"] = json.dumps(summary, indent=2, ensure_ascii=False).encode()
    return zip_files(files)
