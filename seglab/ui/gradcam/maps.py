"""The Grad-CAM page's answers about one photo: maps, why here, the difference of two models, blanking, downloads."""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from seglab.explain.pointing import METHODS, density, energy_inside, overlap, peak_inside
from seglab.figures.cams import deletion_figure
from seglab.figures.heat import Map, difference_over, heat_over, limit, scale_bar
from seglab.images import encode_png, safe_stem
from seglab.predict.files import zip_files
from seglab.predict.model import Model
from seglab.ui import page, photos, results
from seglab.ui.boxes import format_box, parse_box
from seglab.ui.explaining import DEPTHS, CamAnswer, Deletion, Depth, Question, cam_bench
from seglab.ui.gradcam.choices import View, classes, controls, look_on
from seglab.ui.gradcam.pointer import pointer
from seglab.ui.waiting import wait_for

Asked = tuple[Model, CamAnswer, Map | None]  # a model, its answer, the density of its evidence


def photo() -> None:
    """Show everything about one photo, in lazy tabs: only the open one is computed."""
    shown = photos.bounded(photos.picker()[0])
    view = controls(shown)
    chosen = classes(view)
    sections = {
        "Maps": maps,
        "Why here?": why_here,
        "Difference": difference,
        "Blank the evidence": blanking,
        "Downloads": downloads,
    }
    page.tabs({title: partial(section, view, chosen) for title, section in sections.items()})
    look_on(view)


def maps(view: View, names: Sequence[str]) -> None:
    """Show a row of maps for each class, one model a column, and the figures beside them."""
    questions = [Question(name) for name in names]
    wait_for(lambda: [answer for question in questions for answer in view.ask(question).values()], "Explaining")
    rows = []
    for question in questions:
        st.markdown(f"#### {str(question.class_name).capitalize()}")
        found = _answers(view, question)
        _row(view, found, st.columns(max(2, len(view.models)), gap="small"))
        rows += _figures(found)
    failed = [a for q in questions for a in view.ask(q).values() if a is not None and a.error is not None]
    if failed and st.button("Try the failed models again", icon=":material/refresh:"):
        cam_bench().forget_failures()
        st.rerun()
    if rows:
        st.dataframe(
            pd.DataFrame(rows),
            hide_index=True,
            column_config={
                name: st.column_config.NumberColumn(format=form)
                for name, form in (
                    ("evidence inside (%)", "%.1f"),
                    ("area (%)", "%.2f"),
                    ("times chance", "%.1f"),
                    ("mean score", "%.2f"),
                    ("overlap with the others (%)", "%.0f"),
                )
            },
        )
        st.caption(
            "Evidence inside: share of the positive evidence on the pixels that the model predicts as the class (energy-based "
            "pointing); chance: an even map has there what the class has of the area. Peak: whether the highest evidence lies "
            "on the class (pointing game). Overlap: how far the evidence of two models coincides, mean over the other models. "
            "Mean score: logits of dense models, sums over queries (about 0 to 1) of Mask2Former; not comparable between the "
            "two. All of this is about one photo."
        )


def _answers(view: View, question: Question) -> list[Asked]:
    """Return the answers that are there."""
    found = []
    for model, answer in zip(view.models, view.ask(question).values(), strict=True):
        if answer is not None:
            found.append((model, answer, None if answer.evidence is None else density(answer.evidence)))
    return found


def _row(view: View, found: Sequence[Asked], columns: Sequence[DeltaGenerator]) -> None:
    """Show one map a model; a model without one says why in words."""
    drawn = [shown for _, _, shown in found if shown is not None]
    together = limit(drawn)
    for column, model in zip(columns, view.models, strict=False):
        mine = next((one for one in found if one[0] is model), None)
        with column:
            if mine is None:
                st.image(heat_over(view.photo.shown, None, 1, 0), width="stretch", alt=f"{model.title} is at work")
                st.caption(f"**{results.plain(model.title)}** · at work…")
                continue
            _, answer, shown = mine
            top = together if view.shared or shown is None else limit([shown])
            picture = heat_over(view.photo.shown, shown, top, view.opacity)
            words = _words(answer, shown)
            st.image(picture, width="stretch", alt=f"{view.photo.alt}; evidence of {model.title}: {words}")
            scale = "" if view.shared or shown is None else f" · colours end at {top:.0f} times the average"
            st.caption(f"**{results.plain(model.title)}** · {words}{scale}")
    if drawn and view.shared:
        st.image(scale_bar(), alt="Colour scale from no evidence, dark blue, to much, yellow")
        st.caption(
            f"Positive evidence per pixel, 0 to {together:.0f} times the photo's average; one scale for "
            f"{'this model' if len(drawn) == 1 else f'these {len(drawn)} models'}."
        )


def _words(answer: CamAnswer, shown: Map | None) -> str:
    if answer.error is not None:
        return f"failed: {results.plain(answer.error)}"
    if answer.missing:
        return answer.missing
    if shown is None:
        return f"no positive evidence for {answer.class_name} at this layer"
    assert answer.evidence is not None
    assert answer.region is not None
    inside = energy_inside(answer.evidence, answer.region)
    if answer.question is not None and answer.question.box is not None:
        share = f"; {inside:.0%} of the evidence inside the box" if answer.region.sum() > 1 else ""
        return f"explains {answer.class_name} at the mark, score {answer.value:.2f}{share}; {answer.layer}"
    return f"{answer.class_name}: {inside:.0%} of the evidence on {answer.region.mean():.1%} of the photo"


def _figures(found: Sequence[Asked]) -> list[dict[str, object]]:
    rows = []
    for model, answer, shown in found:
        if answer.evidence is None or answer.region is None:
            continue
        others = [
            overlap(shown, other) for m, _, other in found if m is not model and shown is not None and other is not None
        ]
        inside, area = energy_inside(answer.evidence, answer.region), float(answer.region.mean())
        peak = peak_inside(answer.evidence, answer.region)
        rows.append(
            {
                "class": answer.class_name,
                "model": model.title,
                "layer": answer.layer,
                "evidence inside (%)": inside * 100,
                "area (%)": area * 100,
                "times chance": inside / area,
                "peak": "no evidence" if np.isnan(peak) else "on the class" if peak else "elsewhere",
                "overlap with the others (%)": float(np.mean(others)) * 100 if others else None,
                "mean score": answer.value,
            }
        )
    return rows


def why_here(view: View, names: Sequence[str]) -> None:
    """Let the reader point at a place and show, for each model, what spoke there for a class."""
    st.markdown("Click a pixel or draw a box on the photo: why does each model say there what it says?")
    own = "what each model predicts there"
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        about = st.selectbox("Evidence for", [own, *names], key="here-class", bind="query-params", width=320)
        depth = st.segmented_control(
            "Layer",
            DEPTHS,
            default="Middle",
            required=True,
            key="here-depth",
            bind="query-params",
            help="At the decoder a place is explained by itself; deeper layers show what around it counts.",
        )
    view = replace(view, depth=cast(Depth, depth), method="hirescam")
    left, right = st.columns([2, 3], gap="medium")
    with left:
        box = pointer(view.photo.shown, parse_box(st.query_params.get("at", "")), view.photo.alt)
        st.caption("With the keyboard: arrow keys move the mark, Enter asks.")
    if box is None:
        right.info("Nothing is marked yet: click on the photo or draw a box.")
        return
    if st.query_params.get("at") != format_box(box):
        st.query_params["at"] = format_box(box)
    question = Question(None if about == own else str(about), box)
    with right:
        wait_for(lambda: list(view.ask(question).values()), "Explaining")
        columns = [column for _ in range(-(-len(view.models) // 2)) for column in st.columns(2, gap="small")]
        _row(view, _answers(view, question), columns)
        st.caption(
            "HiResCAM: gradient times feature at each place. Grad-CAM would average the gradient over the photo and forget "
            "where the mark is."
        )


def difference(view: View, names: Sequence[str]) -> None:
    """Show where one model has more evidence for a class than another."""
    if len(view.models) < 2:
        st.info("This needs two models; choose them under Models, layer and method.")
        return
    titles = {model.key: model.title for model in view.models}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Evidence for", list(names), key="difference-class", bind="query-params", width=200)
        a = st.selectbox("Model", list(titles), 0, titles.__getitem__, key="first", bind="query-params", width=320)
        b = st.selectbox("minus", list(titles), 1, titles.__getitem__, key="second", bind="query-params", width=320)
    if a == b:
        st.info("Choose two different models: a map minus itself is nothing.")
        return
    two = replace(view, models=[model for key in (a, b) for model in view.models if model.key == key])
    if not wait_for(lambda: list(two.ask(Question(name)).values()), "Explaining"):
        return
    found = _answers(two, Question(name))
    if len(found) < 2:  # one was pushed out of memory meanwhile: it is on its way again
        return
    maps_ = [shown for _, _, shown in found]
    if maps_[0] is None or maps_[1] is None:
        for model, answer, shown in found:
            st.info(f"{results.plain(model.title)}: {_words(answer, shown)}")
        return
    top = limit([maps_[0], maps_[1]])
    shared = overlap(maps_[0], maps_[1])
    st.markdown(f"The evidence of the two for {name} coincides to **{shared:.0%}**.")
    picture = difference_over(view.photo.shown, maps_[0], maps_[1], top, 0.9)
    st.image(picture, width="stretch", alt=f"Evidence for {name}: {titles[a]} minus {titles[b]}")
    st.caption(
        f"Orange: more of the evidence of {results.plain(titles[a])} for {name} lies here; blue: more of that of "
        f"{results.plain(titles[b])}. Each map is divided by its own average first; full colour at {top:.0f} times the average."
    )


def blanking(view: View, names: Sequence[str]) -> None:
    """Blank what lights up and see what the score does, against blanking as much elsewhere."""
    st.markdown(
        "Are the bright places what the score hangs on? Blank them, and as much elsewhere: an honest map's line falls faster."
    )
    with st.container(horizontal=True, vertical_alignment="bottom"):
        name = st.selectbox("Evidence for", list(names), key="blank-class", bind="query-params", width=200)
        key = (view.photo.sha256, name, view.depth, view.method, *(model.key for model in view.models))
        asked: set[object] = st.session_state.setdefault("blanked", set())
        if key not in asked and not st.button("Blank the evidence", icon=":material/ink_eraser:", type="primary"):
            return
    asked.add(key)

    def ask() -> list[Deletion | None]:
        bench = cam_bench()
        return [bench.ask_deletion(m, view.photo, view.depth, view.method, Question(name)) for m in view.models]

    wait_for(ask, "Blanking")
    tables = []
    for model, answer in zip(view.models, ask(), strict=True):
        if answer is not None and answer.error is not None:
            st.caption(f"**{results.plain(model.title)}**: {results.plain(answer.error)}")
        elif answer is not None and answer.evidence is not None:
            table = pd.DataFrame({"blanked": answer.shares, "evidence": answer.evidence, "elsewhere": answer.elsewhere})
            tables.append(table.assign(model=model.title))
    if tables:
        data = pd.concat(tables, ignore_index=True)
        results.chart(deletion_figure(data), data, "blanking", f"Score of {name} as more of the photo is blanked")
        st.caption(
            f"Mean score of {name} over the pixels that each model predicted as {name}, as the map's highest cells are blanked "
            "with the mean colour of the training data (line) and as many others are (dashed, mean of three draws). Logits of "
            "dense models, sums over queries of Mask2Former: each panel has its own scale."
        )


def downloads(view: View, names: Sequence[str]) -> None:
    """Give away the maps as pictures and as raw arrays."""
    questions = [Question(name) for name in names]
    if not wait_for(lambda: [answer for question in questions for answer in view.ask(question).values()], "Explaining"):
        return
    stem = safe_stem(view.photo.name)
    found = {name: _answers(view, Question(name)) for name in names}
    for label, icon, make, name, mime in (
        (
            "Maps as pictures (zip of PNG)",
            ":material/image:",
            partial(_pictures, view, found),
            f"{stem}.cam.zip",
            "application/zip",
        ),
        (
            "Raw values (npz)",
            ":material/data_array:",
            partial(_raw, view, found),
            f"{stem}.cam.npz",
            "application/octet-stream",
        ),
    ):
        st.download_button(label, make, name, mime, on_click="ignore", icon=icon, key=f"download-{name[-3:]}")
    st.caption(
        "Raw values: for each class and model the signed map as the layer has it, over the photo padded to a multiple of 32 "
        "at its working size, with a description in `about` (JSON): run, weights, layer, method, score."
    )


def _pictures(view: View, found: Mapping[str, Sequence[Asked]]) -> bytes:
    files = {}
    for name, answers in found.items():
        together = limit([shown for _, _, shown in answers if shown is not None])
        for model, _, shown in answers:
            top = together if view.shared or shown is None else limit([shown])
            files[f"{safe_stem(name)}.{model.key}.png"] = encode_png(
                heat_over(view.photo.shown, shown, top, view.opacity)
            )
    return zip_files(files)


def _raw(view: View, found: Mapping[str, Sequence[Asked]]) -> bytes:
    arrays, about = dict[str, NDArray[np.float32]](), []
    for name, answers in found.items():
        for model, answer, _ in answers:
            key = f"{safe_stem(name)}/{model.key}"
            about.append(
                {
                    "key": key,
                    "class": name,
                    "model": model.title,
                    "run": model.facts.origin,
                    "weights_sha256": model.sha256,
                    "layer": answer.layer,
                    "method": METHODS[view.method],
                    "score": None if answer.raw is None else answer.value,
                    "without": answer.missing or answer.error,
                }
            )
            if answer.raw is not None:
                arrays[key] = answer.raw
    buffer = io.BytesIO()
    size = view.photo.work["standard"].shape[1::-1]
    description = {
        "photo": view.photo.name,
        "photo_sha256": view.photo.sha256,
        "working_size_px": f"{size[0]}x{size[1]}",
        "maps": about,
    }
    np.savez_compressed(buffer, allow_pickle=False, about=np.array(json.dumps(description)), **arrays)
    return buffer.getvalue()
