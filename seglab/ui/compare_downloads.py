"""What the Compare page gives away: label PNG, overlay and GeoJSON of each model, all in one archive, or a report."""

import json
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.comparison import geojson_bytes, zip_files
from seglab.images import blend, encode_png, safe_stem
from seglab.labels import VOID
from seglab.report import Entry, report
from seglab.ui.compare import Result, Settings, facts, labels_at, seen_view
from seglab.ui.photos import ShownPhoto
from seglab.ui.workbench import ModelRef


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
    )


def origin(model: ModelRef) -> dict[str, str]:
    """Return where a model comes from, in words."""
    record = model.record
    data, trained = record.get("data") or {}, record.get("environment") or {}
    val, miou = data.get("val") or {}, (record.get("metrics") or {}).get("miou")
    return {
        "run": model.run_name,
        "provenance": str(record["provenance"]),
        "val mIoU": "" if miou is None else f"{miou * 100:.1f} %",
        "measured on": f"{data.get('name', '?')} {val.get('split', '?')}, {val.get('images', '?')} images",
        "epochs": str(record.get("epochs", "?")),
        "trained on": str(trained.get("device", "?")),
        "commit": str(trained.get("git_commit") or "?")[:10],
        "weights": model.sha256[:12],
    }


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
                "run": r.model.run_name,
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
