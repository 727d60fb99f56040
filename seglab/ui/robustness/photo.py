"""The Robustness page about one photo: all fifteen corruptions, and what one of them does to masks and evidence."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from seglab.data.corruptions import CORRUPTIONS, SEVERITIES, Severity, corrupt, parameters
from seglab.explain.pointing import density
from seglab.figures.heat import heat_over, limit
from seglab.images import blend, resize, resize_labels
from seglab.labels import SPACES, remap, rolls_up, space
from seglab.measure import metrics
from seglab.predict.model import Model
from seglab.predict.scores import to_labels
from seglab.ui import page, photos, presenting, results
from seglab.ui.asking import Settings, ask_all
from seglab.ui.explaining import PREFERRED, Question, cam_bench
from seglab.ui.models import choose_models
from seglab.ui.photos import ShownPhoto
from seglab.ui.truth import mask_space, uploaded_mask
from seglab.ui.waiting import wait_for
from seglab.ui.workbench import Answer

THUMB_PX = 320  # width
OPACITY = 0.55
# The button below a small picture reaches over the picture: Streamlit's images take no clicks that stay on the page.
_WHOLE_THUMB = """
[class*="st-key-thumb-"] { position: relative }
[class*="st-key-open-"], [class*="st-key-open-"] :is([data-testid="stButton"], button) { position: static }
[class*="st-key-open-"] button::after { content: ""; position: absolute; inset: 0 }
[class*="st-key-thumb-"] [data-testid="stElementToolbar"] { z-index: 1 }
[class*="st-key-thumb-"]:hover img { outline: 2px solid var(--st-primary-color); outline-offset: -2px }
"""
SEVERITY_WORDS = {1: "1 mild", 2: "2 medium", 3: "3 strong"}


@dataclass(frozen=True)
class View:
    """What the reader has chosen."""

    photo: ShownPhoto
    models: list[Model]
    key: str
    severity: Severity
    seed: int


def photo() -> None:
    """Show everything about one photo, in lazy tabs: only the open one is computed."""
    shown = photos.bounded(photos.picker()[0])
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        with st.popover("Models", icon=":material/tune:"):
            models = choose_models()
        severity = st.segmented_control(
            "Severity",
            SEVERITIES,
            default=2,
            format_func=SEVERITY_WORDS.__getitem__,
            required=True,
            key="severity",
            bind="query-params",
        )
        seed = st.number_input(
            "Draw",
            0,
            9999,
            0,
            key="draw",
            bind="query-params",
            width=130,
            help="Another number: other drops, other noise.",
        )
    if not presenting.front():
        _gallery(shown, cast(Severity, severity), int(seed))
    key = st.pills(
        "Look closer at",
        list(CORRUPTIONS),
        default="fog",
        format_func=lambda one: CORRUPTIONS[one].title,
        required=True,
        key="corruption",
        bind="query-params",
    )
    if shown.truth is None:
        shown = _with_mask(shown)
    view = View(shown, models, str(key), cast(Severity, severity), int(seed))
    one = CORRUPTIONS[view.key]
    settings = parameters(view.key, view.severity, min(shown.work["standard"].shape[:2]))
    st.markdown(
        f"**{one.title}**, severity {view.severity}: {one.what}. "
        + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items())
    )
    sections = {"Masks": masks, "Grad-CAM": evidence}
    worse = worse_photo(shown, view.key, view.severity, view.seed)
    page.tabs({title: partial(section, view, worse) for title, section in sections.items()})


def _with_mask(photo: ShownPhoto) -> ShownPhoto:
    """Let the reader give the photo's mask, so that lost IoU can be shown; return the photo, with it where there is one."""
    with st.expander("Ground truth of your photo: shows the IoU that is lost", icon=":material/target:"):
        source = mask_space()
        mask = uploaded_mask(photo, source)
    return photo if mask is None else replace(photo, truth=mask, truth_space=source)


def _gallery(photo: ShownPhoto, severity: Severity, seed: int) -> None:
    """Show the photo under every corruption; a click anywhere on one opens it."""
    pictures = _thumbs(photo, severity, seed)
    st.html(f"<style>{_WHOLE_THUMB}</style>")
    with st.grid(5, min_column_width=150, gap="xsmall"):
        for key, picture in zip(CORRUPTIONS, pictures, strict=True):
            one = CORRUPTIONS[key]
            with st.container(key=f"thumb-{key}", gap=None):
                st.image(picture, width="stretch", alt=f"{photo.alt}: {one.title}, {one.what}")
                st.button(one.title, key=f"open-{key}", type="tertiary", width="stretch", on_click=_open, args=(key,))


def _open(key: str) -> None:
    st.session_state["corruption"] = key


def _thumbs(photo: ShownPhoto, severity: Severity, seed: int) -> list[NDArray[np.uint8]]:
    """Return the fifteen small pictures; the session keeps those of its last question."""
    asked, pictures = st.session_state.get("thumbs", (None, []))
    if asked != (photo.sha256, severity, seed):
        pixels = photo.work["standard"]
        height, width = pixels.shape[:2]
        small = resize(pixels, max(1, round(height * min(1, THUMB_PX / width))), min(width, THUMB_PX))
        pictures = [corrupt(small, key, severity, seed)[0] for key in CORRUPTIONS]
        st.session_state["thumbs"] = (photo.sha256, severity, seed), pictures
    return list(pictures)


def worse_photo(
    photo: ShownPhoto, key: str, severity: Severity, seed: int
) -> tuple[ShownPhoto, NDArray[np.uint8] | None]:
    """Return a photo under a corruption, at its working size, and its exact mask, bent along, where it has one."""
    pixels = photo.work["standard"]
    truth = None if photo.truth is None else resize_labels(photo.truth, *pixels.shape[:2])
    worse, bent = corrupt(pixels, key, severity, seed, truth)
    name = f"{photo.sha256}:{key}:{severity}:{seed}"
    found = replace(
        photo,
        key=f"{photo.key}:{key}:{severity}:{seed}",
        sha256=hashlib.sha256(name.encode()).hexdigest(),  # answers are kept, and were stored ahead of time, by it
        height=pixels.shape[0],
        width=pixels.shape[1],
        shown=worse,
        work={"standard": worse, "high": worse},
        alt=f"{photo.alt}, under {CORRUPTIONS[key].title} of severity {severity}",
        reread=lambda: worse,
    )
    return found, bent


def masks(view: View, worse: tuple[ShownPhoto, NDArray[np.uint8] | None]) -> None:
    """Show each model's mask before and after, and how much of it stays."""

    chosen = Settings(view.models, space(view.models[0].label_space), "native", "standard")

    def ask() -> list[Answer | None]:
        found = [ask_all(shown, chosen) for shown in (view.photo, worse[0])]  # held by the session
        return [answers[model.key] for model in view.models for answers in found]

    wait_for(ask, "Segmenting")
    answers = ask()
    pixels = view.photo.work["standard"]
    size = pixels.shape[:2]
    truth = None if view.photo.truth is None else resize_labels(view.photo.truth, *size)
    rows: list[dict[str, object]] = []
    for number, model in enumerate(view.models):
        before, after = answers[2 * number], answers[2 * number + 1]
        st.markdown(f"**{results.plain(model.title)}**")
        failed = [one.error for one in (before, after) if one is not None and one.error]
        if failed or before is None or after is None:
            st.caption(f"failed: {results.plain(failed[0])}" if failed else "at work…")
            continue
        labels = [_labels(model, one, size) for one in (before, after)]
        lut = space(model.label_space).lut("native")
        columns = st.columns(2, gap="small")
        for column, picture, ids, words in zip(
            columns, (pixels, worse[0].shown), labels, ("before", "after"), strict=True
        ):
            column.image(
                blend(picture, ids, lut, OPACITY), width="stretch", alt=f"{view.photo.alt}, {model.title}, {words}"
            )
        rows.append(_figures(view, model, labels, truth, worse[1]))
    if rows:
        _table(rows, any("loses (%)" in row for row in rows), bent=view.key == "optical_distortion")


def _labels(model: Model, answer: Answer, size: tuple[int, ...]) -> NDArray[np.uint8]:
    assert answer.scores is not None
    identity = np.arange(256, dtype=np.uint8)
    return to_labels(answer.scores, size[0], size[1], identity, space(model.label_space).num_classes)[0]


def _figures(
    view: View,
    model: Model,
    labels: Sequence[NDArray[np.uint8]],
    truth: NDArray[np.uint8] | None,
    bent: NDArray[np.uint8] | None,
) -> dict[str, object]:
    row: dict[str, object] = {"model": model.title, "same (%)": float((labels[0] == labels[1]).mean()) * 100}
    ours, theirs = model.label_space, view.photo.truth_space
    common = next((key for key in (ours, *SPACES) if rolls_up(theirs, key) and rolls_up(ours, key)), None)
    if truth is None or bent is None or common is None:
        return row
    names = space(common).names
    found = []
    for ids, mask in zip(labels, (truth, bent), strict=True):
        pair = remap(ids, ours, common), remap(mask, theirs, common)
        found.append(metrics.summarise(metrics.confusion_matrix(*pair, len(names)), names))
    row |= {"mIoU before": found[0]["miou"] * 100, "mIoU after": found[1]["miou"] * 100}
    before = found[0]["miou"]
    row["loses (%)"] = (1 - found[1]["miou"] / before) * 100 if before > 0 else float("nan")
    return row | {name: (found[1][f"iou/{name}"] - found[0][f"iou/{name}"]) * 100 for name in names}


def _table(rows: list[dict[str, object]], with_truth: bool, bent: bool) -> None:
    table = pd.DataFrame(rows)
    if bent:
        table = table.drop(columns="same (%)")  # the scene itself has moved
    st.dataframe(
        table,
        hide_index=True,
        column_config={name: st.column_config.NumberColumn(format="%.1f") for name in table.columns if name != "model"},
    )
    st.caption(
        ("" if bent else "Same: share of the pixels that keep their label. ")
        + (
            "Loses: share of this photo's mIoU that is gone; class columns: IoU after minus before, in points; empty where a "
            "class does not occur. "
            if with_truth
            else "With a sample, or with a mask of your photo, you also see the IoU that is lost. "
        )
        + "One photo says little: the other tab has a whole split."
    )


def evidence(view: View, worse: tuple[ShownPhoto, NDArray[np.uint8] | None]) -> None:
    """Show where each model looks for a class before and after."""
    names = list(dict.fromkeys(name for model in view.models for name in space(model.label_space).names))
    default = next((name for name in PREFERRED if name in names), names[0])
    about = st.selectbox(
        "Evidence for", names, names.index(default), key="evidence-for", bind="query-params", width=240
    )
    bench, question = cam_bench(), Question(str(about))

    def ask() -> list[object | None]:
        return [
            bench.ask(model, shown, "Decoder", "gradcam", question)
            for model in view.models
            for shown in (view.photo, worse[0])
        ]

    wait_for(ask, "Explaining")
    for model in view.models:
        st.markdown(f"**{results.plain(model.title)}**")
        columns = st.columns(2, gap="small")
        found = [bench.ask(model, shown, "Decoder", "gradcam", question) for shown in (view.photo, worse[0])]
        drawn = [None if one is None or one.evidence is None else density(one.evidence) for one in found]
        top = limit([one for one in drawn if one is not None])
        for column, picture, answer, shown, words in zip(
            columns, (view.photo.shown, worse[0].shown), found, drawn, ("before", "after"), strict=True
        ):
            column.image(
                heat_over(picture, shown, top, 0.65),
                width="stretch",
                alt=f"Evidence of {model.title} for {about}, {words}",
            )
            said = (
                "at work…"
                if answer is None
                else answer.missing or (answer.error and results.plain(answer.error)) or words
            )
            column.caption(
                said if shown is not None or answer is None or answer.evidence is None else "no positive evidence"
            )
    st.caption(
        "Grad-CAM at the decoder, over the pixels that the model predicts as the class; one scale for both pictures of a model."
    )
