"""What stands below the panels of the Compare page, in lazy tabs: only the open one is computed."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from typing import Any

import cv2
import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from seglab import metrics
from seglab.comparison import distinct_answers, geojson_bytes, pairwise_agreement, zip_files
from seglab.figures.compare import STEPS, agreement_heatmap, area_bars, latency_bars
from seglab.images import ImageError, blend, encode_png, resize_labels, safe_stem
from seglab.labels import REMAPS, SPACES, VOID, remap, space
from seglab.tables import starts_from
from seglab.ui.compare import Result, Settings, ask_all, labels_at, ready, seen_view
from seglab.ui.photos import ShownPhoto, read_truth

# Blue to yellow by how many answers there are; grey where all agree. Readable in grey and by colour-blind readers.
DISAGREEMENT = ((225, 225, 225), (65, 105, 170), (90, 170, 150), (250, 220, 60), (255, 250, 200), (255, 255, 255))
RIGHT, WRONG = (0, 114, 178), (230, 159, 0)


def tabs(photo: ShownPhoto, others: Sequence[ShownPhoto], chosen: Settings, results: list[Result]) -> None:
    """Show the tabs; each gets what it needs and computes only when it is open."""
    bodies: dict[str, Callable[[], None]] = {
        "Disagreement": partial(_disagreement, photo, results),
        "Area per class": partial(_area, results, chosen),
        "Ground truth": partial(_truth, photo, results, chosen),
        "Models": partial(_models, photo, results, chosen),
        "All photos": partial(_all_photos, [photo, *others], chosen),
        "Downloads": partial(_downloads, photo, results, chosen),
    }
    st.space("small")
    for tab, body in zip(st.tabs(list(bodies), key="tab", on_change="rerun", bind="query-params"), bodies, strict=True):
        if tab.open:
            with tab:
                if len(results) < len(chosen.models):
                    st.info(_missing(photo, chosen))
                if results:
                    bodies[body]()


def _missing(photo: ShownPhoto, chosen: Settings) -> str:
    """Say which models are not part of what a tab shows, and why."""
    answers = ask_all(photo, chosen)
    waiting = any(answer is None for answer in answers.values())
    failed = [m.title for m in chosen.models if (answer := answers[m.key]) is not None and answer.error]
    parts = ["Some models are still at work; this is complete when all have answered."] if waiting else []
    parts += [f"Left out, for the reason in the panel: {', '.join(failed)}."] if failed else []
    return " ".join(parts)


def _disagreement(photo: ShownPhoto, results: list[Result]) -> None:
    if len(results) < 2:
        st.info("This needs the answers of at least two models.")
        return
    labels = [r.labels for r in results]
    count = distinct_answers(labels)
    share = float((count == 1).mean())
    st.markdown(
        f"All {len(results)} models give the same answer on **{share:.1%}** of the photo. "
        f"They give three or more different answers on **{float((count >= 3).mean()):.1%}**."
    )
    left, right = st.columns([3, 2], gap="medium")
    lut = np.zeros((256, 3), np.uint8)
    lut[1 : len(DISAGREEMENT) + 1] = DISAGREEMENT
    grey = cv2.cvtColor(cv2.cvtColor(photo.shown, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8)
    shown = blend(grey, np.where(count == 1, VOID, count).astype(np.uint8), lut, 0.75)
    left.image(shown, width="stretch", alt=f"Map of disagreement: {1 - share:.0%} of the photo is coloured")
    left.caption(
        "Number of distinct answers per pixel: grey photo where all agree, "
        "blue two, green three, yellow four and more. Counted at display size."
    )
    titles = [r.model.title for r in results]
    matrix = pairwise_agreement(labels)
    right.plotly_chart(agreement_heatmap(titles, matrix), key="agreement", alt="Pairwise agreement of the models")
    right.caption("Share of pixels to which two models give the same label.")


def area_table(results: Sequence[Result], chosen: Settings) -> pd.DataFrame:
    """Return model, class and share of the photo's area."""
    rows = []
    for r in results:
        counts = np.bincount(r.labels.ravel(), minlength=256)
        rows += [
            {"model": r.model.title, "class": name, "share_frac": counts[i] / r.labels.size}
            for i, name in enumerate(chosen.space.names)
        ]
    return pd.DataFrame(rows)


def _area(results: list[Result], chosen: Settings) -> None:
    table = area_table(results, chosen)
    colours = dict(zip(chosen.space.names, chosen.space.palette(chosen.palette), strict=True))
    st.plotly_chart(area_bars(table, colours), key="areas", theme="streamlit", alt="Share of area per class and model")
    wide = (table.pivot(index="class", columns="model", values="share_frac") * 100).loc[
        list(chosen.space.names), [r.model.title for r in results]
    ]
    st.dataframe(
        wide, height="content", column_config={c: st.column_config.NumberColumn(format="%.2f %%") for c in wide.columns}
    )
    st.caption("Share of the photo's area, counted at display size.")


def _truth(photo: ShownPhoto, results: list[Result], chosen: Settings) -> None:
    truth = _choose_truth(photo, chosen)
    if truth is None:
        return
    rows, maps = [], []
    shown = resize_labels(truth, *photo.shown.shape[:2])
    for r in results:
        labels, _ = labels_at(photo, r.model, r.answer, chosen, (photo.height, photo.width))
        confusion = metrics.confusion_matrix(labels, truth, chosen.space.num_classes)
        values = metrics.summarise(confusion, chosen.space.names)
        counted = int((~np.isnan(metrics.iou_per_class(confusion))).sum())
        row = {"model": r.model.title, "mIoU": values["miou"] * 100, "classes": counted}
        rows.append(row | {name: values[f"iou/{name}"] * 100 for name in chosen.space.names})
        maps.append((r.model.title, _error_map(photo.shown, r.labels, shown)))
    table = pd.DataFrame(rows).set_index("model")
    percent = {c: st.column_config.NumberColumn(format="%.1f") for c in table.columns if c != "classes"}
    st.dataframe(table, column_config=percent)
    st.caption(
        f"IoU in percent on this one photo of {photo.width} by {photo.height} pixels; a class that is neither in the "
        "mask nor predicted is empty and does not count. One photo says little about a model: "
        "the Models tab has the figures of the whole validation split."
    )
    for column, (title, image) in zip(st.columns(min(2, len(maps))) * 3, maps, strict=False):
        column.image(image, width="stretch", caption=title, alt=f"Error map of {title}")
    st.caption("Error map: orange wrong, blue right, plain photo where nothing is labelled.")


def _choose_truth(photo: ShownPhoto, chosen: Settings) -> NDArray[np.uint8] | None:
    """Return the ground truth in the chosen label space: the sample's own, or an uploaded mask."""
    if photo.truth is not None:
        if (photo.truth_space, chosen.space.key) not in REMAPS:
            st.info(f"This sample's mask has {space(photo.truth_space).title}; choose that label space or 8 groups.")
            return None
        st.caption("Ground truth: the exact mask of this procedural scene.")
        return remap(photo.truth, photo.truth_space, chosen.space.key)
    source = st.selectbox(
        "The mask's ids are those of", list(SPACES), format_func=lambda key: SPACES[key].title, key="truth-space"
    )
    if (source, chosen.space.key) not in REMAPS:
        st.info(f"{SPACES[source].title} cannot be told as {chosen.space.title}; choose 8 groups above.")
        return None
    file = st.file_uploader(
        f"A mask of {photo.width} by {photo.height} pixels: an 8-bit PNG of class ids",
        type=["png"],
        max_upload_size=16,
        key=f"truth-upload-{photo.key}",  # a mask belongs to its photo
    )
    if file is None:
        st.info("With a mask of the photo you get the IoU of every model and class, and an error map.")
        return None
    try:
        mask = read_truth(file.getvalue(), file.name, photo)
    except ImageError as error:
        st.error(str(error), icon=":material/broken_image:")
        return None
    out = remap(mask, source, chosen.space.key)
    if (out == VOID).all():
        st.error(f"No pixel of {file.name} holds an id of {source}; choose the label space its ids belong to.")
        return None
    known = SPACES[source].num_classes + (source == "camvid-11")  # CamVid's own masks call 11 unlabelled
    strange = float(((mask >= known) & (mask != VOID)).mean())
    if strange:
        st.warning(
            f"{strange:.1%} of {file.name} holds ids that {SPACES[source].title} does not have; they are left out."
        )
    return out


def _error_map(photo: NDArray[np.uint8], labels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    state = np.where(truth == VOID, VOID, (labels != truth).astype(np.uint8)).astype(np.uint8)
    lut = np.zeros((256, 3), np.uint8)
    lut[:2] = RIGHT, WRONG
    return blend(photo, state, lut, 0.6)


def _models(photo: ShownPhoto, results: list[Result], chosen: Settings) -> None:
    rows, times = [], []
    for r in results:
        record, answer = r.model.record, r.answer
        values = record.get("metrics") or {}
        data = record.get("data") or {}
        val = data.get("val") or {}
        rows.append(
            {
                "model": r.model.title,
                "run": _run_name(r),
                "provenance": record["provenance"],
                "val mIoU (%)": None if values.get("miou") is None else values["miou"] * 100,
                "data": data.get("name", "?"),
                "val split": f"{val.get('split', '?')}, {val.get('images', '?')} images",
                "parameters (M)": (record["model"].get("parameters") or 0) / 1e6,
                "epochs": record.get("epochs"),
                "starts from": starts_from(record),
                "teacher": (record.get("teacher") or {}).get("run", "none"),
                "trained on": (record.get("environment") or {}).get("device", "?"),
                "commit": ((record.get("environment") or {}).get("git_commit") or "?")[:10],
                "weights": r.model.sha256[:12],
                "engine": answer.engine or "stored answer of these weights",
            }
        )
        if answer.latency_ms:
            steps = {"decode": photo.decode_ms, **answer.latency_ms}
            times.append({"model": r.model.title, **{s: steps[s] for s in STEPS if s in steps}})
    number = st.column_config.NumberColumn(format="%.1f")
    st.dataframe(
        pd.DataFrame(rows).set_index("model"), column_config={"val mIoU (%)": number, "parameters (M)": number}
    )
    st.caption(
        "Val figures: dataset-level mIoU over the whole validation split at the last epoch, from the stored float16 "
        "weights. CamVid's val split is one clip of one street: frames are not independent."
    )
    if times:
        st.plotly_chart(latency_bars(pd.DataFrame(times)), key="latency", alt="Latency by step and model")
        h, w = photo.work[chosen.detail].shape[:2]
        st.caption(
            f"Time for this photo ({photo.width} by {photo.height}, worked on at {w} by {h}, labels at display size), on "
            "this machine, once, while the page was being drawn; compiling a model for a new photo shape is not counted. "
            "benchmarks/compare_latency.py measures warm medians."
        )
    else:
        st.caption("These answers were stored ahead of time; upload a photo to see latencies of this machine.")


def _run_name(result: Result) -> str:
    record = result.model.record
    return f"{record['experiment']}/{record['variant']}-seed{record['seed']}"


def _photo_rows(photo: ShownPhoto, results: list[Result], chosen: Settings) -> list[dict[str, Any]]:
    agree = float((distinct_answers([r.labels for r in results]) == 1).mean()) * 100 if len(results) > 1 else None
    rows = []
    for r in results:
        counts = np.bincount(r.labels.ravel(), minlength=256)
        spent = r.answer.latency_ms or {}
        row = {
            "photo": photo.name,
            "size": f"{photo.width} x {photo.height}",
            "model": r.model.title,
            "all agree (%)": agree,
            "forward (ms)": spent.get("forward"),
            "total (ms)": sum(spent.values()) + photo.decode_ms if spent else None,
        }
        rows.append(row | {f"{n} (%)": counts[i] / r.labels.size * 100 for i, n in enumerate(chosen.space.names)})
    return rows


def _all_photos(photos: list[ShownPhoto], chosen: Settings) -> None:
    waiting = sum(_rows_of(photo, chosen)[1] for photo in photos)
    st.fragment(_photos_table, run_every=1.0 if waiting else None)(photos, chosen, waiting > 0)


def _rows_of(photo: ShownPhoto, chosen: Settings) -> tuple[list[dict[str, Any]], int]:
    """Return a photo's rows so far and how many answers are still being worked on.

    Complete rows stay when answers have to make room: twelve photos' scores do not fit into memory together.
    """
    kept: dict[tuple[str, ...], list[dict[str, Any]]] = st.session_state.setdefault("photo-rows", {})
    key = (photo.key, chosen.space.key, chosen.detail, *(model.key + model.id for model in chosen.models))
    if key in kept:
        return kept[key], 0
    answers = ask_all(photo, chosen)
    waiting = sum(answer is None for answer in answers.values())
    rows = _photo_rows(photo, ready(photo, chosen), chosen)
    for model in chosen.models:
        if (answer := answers[model.key]) is not None and answer.error:
            rows.append({"photo": photo.name, "model": model.title, "failed": answer.error})
    if not waiting:
        kept[key] = rows
    return rows, waiting


def _photos_table(photos: list[ShownPhoto], chosen: Settings, was_waiting: bool) -> None:
    found = [_rows_of(photo, chosen) for photo in photos]
    waiting = sum(count for _, count in found)
    if was_waiting and not waiting:
        st.rerun()  # stops looking again
    table = pd.DataFrame([row for rows, _ in found for row in rows])
    numbers = {c: st.column_config.NumberColumn(format="%.1f") for c in table.columns if c.endswith(("(%)", "(ms)"))}
    st.dataframe(table, hide_index=True, column_config=numbers)
    if waiting:
        st.caption(
            f":material/hourglass_empty: {waiting} answers are still being worked on; the table fills by itself."
        )
    st.download_button(
        "Download the table so far (CSV)" if waiting else "Download this table (CSV)",
        table.to_csv(index=False).encode(),
        "seglab-photos-partial.csv" if waiting else "seglab-photos.csv",
        "text/csv",
        on_click="ignore",
        icon=":material/download:",
    )


def _downloads(photo: ShownPhoto, results: list[Result], chosen: Settings) -> None:
    stem, view = safe_stem(photo.name), seen_view()  # files are made when asked for, with the opacity of that moment
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
                "run": _run_name(r),
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
