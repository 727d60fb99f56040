"""What stands below the panels of the Compare page, in lazy tabs: only the open one is computed."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import cv2
import numpy as np
import pandas as pd
import streamlit as st

from seglab.figures.compare import STEPS, agreement_heatmap, area_bars, latency_bars
from seglab.images import blend
from seglab.labels import VOID
from seglab.measure.agreement import distinct_answers, pairwise_agreement
from seglab.predict.model import beside_test
from seglab.ui import page
from seglab.ui.asking import Settings, ask_all
from seglab.ui.compare.downloads import downloads
from seglab.ui.compare.panels import Result, ready
from seglab.ui.compare.truth import truth
from seglab.ui.photos import ShownPhoto
from seglab.ui.results import plain

# Blue to yellow by how many answers there are; grey where all agree. Readable in grey and by colour-blind readers.
DISAGREEMENT = ((225, 225, 225), (65, 105, 170), (90, 170, 150), (250, 220, 60), (255, 250, 200), (255, 255, 255))


def tabs(photo: ShownPhoto, others: Sequence[ShownPhoto], chosen: Settings, results: list[Result]) -> None:
    """Show the tabs; each gets what it needs and computes only when it is open."""
    bodies: dict[str, Callable[[], None]] = {
        "Disagreement": partial(_disagreement, photo, results),
        "Area per class": partial(_area, results, chosen),
        "Ground truth": partial(truth, photo, results, chosen),
        "Models": partial(_models, photo, results, chosen),
        "All photos": partial(_all_photos, [photo, *others], chosen),
        "Downloads": partial(downloads, photo, results, chosen),
    }
    st.space("small")
    page.tabs({title: partial(_body, body, photo, chosen, results) for title, body in bodies.items()})


def _body(body: Callable[[], None], photo: ShownPhoto, chosen: Settings, results: list[Result]) -> None:
    if len(results) < len(chosen.models):
        st.info(_missing(photo, chosen))
    if results:
        body()


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


def _models(photo: ShownPhoto, results: list[Result], chosen: Settings) -> None:
    rows, times = [], []
    for r in results:
        facts, answer, miou = r.model.facts, r.answer, r.model.facts.metrics.get("miou")
        rows.append(
            {
                "model": r.model.title,
                "run": facts.origin,
                "provenance": facts.provenance,
                "val mIoU (%)": None if miou is None else miou * 100,
                "test mIoU": f"{facts.test.miou * 100:.1f} %" if facts.test else facts.no_test,
                "data": facts.data or "?",
                "val split": f"{facts.split or '?'}, {'?' if facts.images is None else facts.images} images",
                "parameters (M)": None if facts.parameters is None else facts.parameters / 1e6,
                "epochs": facts.epochs,
                "starts from": facts.starts_from,
                "teacher": facts.teacher or "none",
                "trained on": facts.device or "?",
                "commit": facts.commit[:10] or "?",
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
    if said := beside_test(r.model for r in results):
        st.caption(plain(said, 600))
    st.caption(
        "Val figures: dataset-level mIoU over the whole validation split at the last epoch, from the stored float16 "
        "weights."
    )
    for r in results:
        for note in r.model.facts.notes:
            st.caption(f"{plain(r.model.title, 80)}: {plain(note, 400)}.")
    _test_by_class(results)
    if times:
        st.plotly_chart(latency_bars(pd.DataFrame(times)), key="latency", alt="Latency by step and model")
        h, w = photo.work[chosen.detail].shape[:2]
        st.caption(
            f"Time for this photo ({photo.width} by {photo.height}, worked on at {w} by {h}, labels at display size), on "
            "this machine, once, while the page was being drawn; compiling a model for a new photo shape is not counted. "
            "benchmarks/compare_latency.py measures warm medians."
        )
    elif any(r.answer.engine for r in results):
        st.caption("Masks of a folder are not computed here: they have no latency.")
    else:
        st.caption("These answers were stored ahead of time; upload a photo to see latencies of this machine.")


def _test_by_class(results: list[Result]) -> None:
    """Offer the IoU of each class on held-out images, of the models that have it."""
    tested = {r.model.title: r.model.facts.test for r in results if r.model.facts.test}
    if not tested:
        return
    with st.expander("Test IoU by class"):
        table = pd.DataFrame({title: dict(test.iou) for title, test in tested.items()}) * 100
        shown = {title: st.column_config.NumberColumn(format="%.0f %%") for title in table.columns}
        st.dataframe(table, height="content", column_config=shown, key="test-classes")
        for origin in dict.fromkeys(test.origin for test in tested.values()):
            st.caption(plain(origin, 300))


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
