"""The Compare page's main part: settings, and the panels that fill as the models answer."""

from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.labels import GROUPS, SPACES, common_spaces, lost_in, remap_table, space
from seglab.predict.deployment import deployment
from seglab.predict.model import Model, beside_test
from seglab.predict.scores import to_labels
from seglab.ui.asking import Settings, ask_all
from seglab.ui.compare.own_runs import own_run
from seglab.ui.models import choose_models
from seglab.ui.photos import ShownPhoto
from seglab.ui.results import plain
from seglab.ui.viewer import Panel, format_view, parse_view, viewer
from seglab.ui.workbench import Answer, workbench

DATA_TITLES = {"camvid": "CamVid", "cityscapes": "Cityscapes"}
_POLL_S = 0.4


@dataclass(frozen=True)
class Result:
    """One model's answer in the chosen label space, at display size."""

    model: Model
    answer: Answer
    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8]


def settings() -> Settings:
    """Show the settings in one line and return them; they are bound to the link."""
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("Models and options", icon=":material/tune:"):
            models = choose_models()
            safe = st.toggle(
                "Colour-blind safe colours",
                key="safe",
                bind="query-params",
                help="Okabe and Ito's colours and shades of them. No palette keeps 19 classes apart: "
                f"take {space(GROUPS).short}.",
            )
            fine = st.toggle(
                "More detail (slower)",
                key="fine",
                bind="query-params",
                help="Works at twice the size, in overlapping tiles: thin and far things get clearer, four times the "
                "work. Changes nothing for photos whose shorter side has 512 pixels or fewer.",
            )
            own_run()
        common = common_spaces(m.label_space for m in models)
        wanted = deployment().label_space
        chosen = st.segmented_control(
            "Label space",
            common,
            default=wanted if wanted in common else common[0] if common else None,
            format_func=lambda key: space(key).short,
            key="classes",
            bind="query-params",
            required=True,
            label_visibility="collapsed",
        )
    return Settings(
        models, space(chosen or common[0]), "colour-blind" if safe else "native", "high" if fine else "standard"
    )


def _merged(chosen: Settings) -> list[str]:
    """Return what the shown label space merges or leaves out of each other space of the models, as sentences."""
    said = []
    for key in dict.fromkeys(model.label_space for model in chosen.models):
        if key == chosen.space.key or key not in SPACES:
            continue
        lost, merged = lost_in(key, chosen.space.key)
        out = f"; none of them is {', '.join(lost[:8])}" + (f" and {len(lost) - 8} more" if len(lost) > 8 else "")
        parts = f"{merged} of its {space(key).num_classes} classes share one here" + (out if lost else "")
        said.append(f"{space(key).title} in {chosen.space.short}: {parts}.")
    return said


@st.cache_data(max_entries=24, show_spinner=False)  # type: ignore[untyped-decorator]
def _labels(
    photo: str,
    model: str,
    detail: str,
    target: str,
    size: tuple[int, int],
    source: str,
    _scores: NDArray[np.floating | np.uint8],
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return to_labels(_scores, *size, remap_table(source, target), space(target).num_classes)


def labels_at(
    photo: ShownPhoto, model: Model, answer: Answer, chosen: Settings, size: tuple[int, int] | None = None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return labels and confidence in the chosen label space, at display size or at ``size`` (not kept)."""
    assert answer.scores is not None
    target = chosen.space.key
    if size is not None and size != photo.shown.shape[:2]:
        return to_labels(answer.scores, *size, remap_table(model.label_space, target), chosen.space.num_classes)
    shown = photo.shown.shape[:2]
    found = _labels(photo.sha256, model.id, chosen.detail, target, shown, model.label_space, answer.scores)
    return cast(tuple[NDArray[np.uint8], NDArray[np.uint8]], found)


def results(photo: ShownPhoto, chosen: Settings) -> list[Result]:
    """Show the panels; return the answers that are there. Waits for nothing: it looks again while models work."""
    pending = any(answer is None for answer in ask_all(photo, chosen).values())
    st.fragment(_panels, run_every=_POLL_S if pending else None)(photo, chosen, pending)
    return ready(photo, chosen)


def ready(photo: ShownPhoto, chosen: Settings) -> list[Result]:
    """Return the answers that are there, in the order of the panels."""
    answers = ask_all(photo, chosen)
    out = []
    for model in chosen.models:
        answer = answers[model.key]
        if answer is not None and answer.error is None:
            out.append(Result(model, answer, *labels_at(photo, model, answer, chosen)))
    return out


def _panels(photo: ShownPhoto, chosen: Settings, was_pending: bool) -> None:
    answers = ask_all(photo, chosen)
    done = sum(answer is not None for answer in answers.values())
    if done < len(answers):
        st.progress(done / len(answers), text=f"{done} of {len(answers)} models have answered")
    elif was_pending:
        st.rerun()  # everything below the panels can now be shown
    panels = [_panel(photo, model, answers[model.key], chosen) for model in chosen.models]
    opening = parse_view(st.query_params.get("view", ""))
    view = viewer(photo.shown, panels, chosen.space, palette=chosen.palette, view=opening, photo_alt=photo.alt)
    seen_view().update(view or opening)
    if view is not None and (text := format_view(view)) != st.query_params.get("view"):
        st.query_params["view"] = text
    if said := beside_test(chosen.models, origin=False):
        st.caption(f"{plain(said, 300)} How both were measured: the tab *Models*.")
    for said in _merged(chosen):
        st.caption(said)
    notes = {answer.note for answer in answers.values() if answer is not None and answer.note}
    for note in sorted(notes):
        st.caption(f":material/info: {note}")
    failed = [model for model in chosen.models if (answer := answers[model.key]) is not None and answer.error]
    if failed and st.button("Try the failed models again", icon=":material/refresh:"):
        for model in failed:
            workbench().forget_failure(model)
            st.session_state["answers"].pop((photo.sha256, model.id, chosen.detail), None)
        st.rerun()


def seen_view() -> dict[str, Any]:
    """Return the view that the reader has now: one object per session, for what runs later and outside the script."""
    view: dict[str, Any] = st.session_state.setdefault("seen-view", {})
    return view


def _panel(photo: ShownPhoto, model: Model, answer: Answer | None, chosen: Settings) -> Panel:
    if answer is None:
        message = "Segmenting your photo… Models are loaded once, and compiled once for each photo shape."
        return Panel(model.key, model.title, None, caption=facts(model), status="waiting", message=message)
    if answer.error is not None:
        return Panel(model.key, model.title, None, caption=facts(model), status="failed", message=answer.error)
    labels, confidence = labels_at(photo, model, answer, chosen)
    counts = np.bincount(labels.ravel(), minlength=256)[: chosen.space.num_classes]
    largest = ", ".join(f"{chosen.space.names[i]} {counts[i] / labels.size:.0%}" for i in np.argsort(-counts)[:3])
    alt = f"{photo.alt}; as segmented by {model.title}: mostly {largest}"
    return Panel(model.key, model.title, labels, confidence, caption=facts(model, answer), alt=alt)


def facts(model: Model, answer: Answer | None = None) -> str:
    """Return a panel's caption: figures with their origin in the Models tab."""
    miou, data = model.facts.metrics.get("miou"), model.facts.data or "unknown data"
    parts = ["no val figure"]
    if miou is not None:
        classes = space(model.label_space).short if model.label_space in SPACES else model.label_space
        parts = [f"val mIoU {miou * 100:.1f} %, {model.facts.test_words} ({DATA_TITLES.get(data, data)}, {classes})"]
    if model.facts.parameters is not None:
        parts.append(f"{model.facts.parameters / 1e6:.1f} M parameters")
    if answer is not None:
        spent = answer.latency_ms
        parts.append(f"forward {spent['forward']:.0f} ms" if spent else answer.engine or "stored answer")
    return " · ".join(parts)
