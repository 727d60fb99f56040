"""The Compare page's main part: settings, and the panels that fill as the models answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.labels import GROUPS, SPACES, LabelSpace, Palette, remap_table, rolls_up, space
from seglab.runs import COMPARED, RunError
from seglab.scores import Detail, to_labels
from seglab.ui.cam_work import cam_bench
from seglab.ui.photos import ShownPhoto
from seglab.ui.viewer import Panel, format_view, parse_view, viewer
from seglab.ui.workbench import (
    MAX_OWN_RUNS,
    Answer,
    ModelRef,
    add_own_run,
    bundled_models,
    remove_own_run,
    workbench,
)

DATA_TITLES = {"camvid": "CamVid", "cityscapes": "Cityscapes"}
MAX_SHOWN = 6
MAX_SESSION_BYTES = 192 * 2**20
_POLL_S = 0.4


@dataclass(frozen=True)
class Settings:
    """What the reader asked for."""

    models: Sequence[ModelRef]
    space: LabelSpace
    palette: Palette
    detail: Detail


@dataclass(frozen=True)
class Result:
    """One model's answer in the chosen label space, at display size."""

    model: ModelRef
    answer: Answer
    labels: NDArray[np.uint8]
    confidence: NDArray[np.uint8]


def nothing() -> None:
    """Say which command trains a model, and stop."""
    st.info(
        "There is no trained model here yet. Train the bundled ones with "
        "`python -m trainers.train trainers/recipes/camvid-fpn_convnextv2.yaml --data DIR`."
    )
    st.stop()


def settings() -> Settings:
    """Show the settings in one line and return them; they are bound to the link."""
    own: list[ModelRef] = st.session_state.setdefault("own-runs", [])
    refs = {ref.key: ref for ref in [*bundled_models(), *own]}
    with st.container(horizontal=True, vertical_alignment="center"):
        with st.popover("Models and options", icon=":material/tune:"):
            models = choose_models(refs)
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
            _own_run()
        common = common_spaces(models)
        chosen = st.segmented_control(
            "Label space",
            common,
            default=common[0] if common else None,
            format_func=lambda key: space(key).short,
            key="classes",
            bind="query-params",
            required=True,
            label_visibility="collapsed",
        )
    return Settings(
        models, space(chosen or common[0]), "colour-blind" if safe else "native", "high" if fine else "standard"
    )


def common_spaces(models: Sequence[ModelRef]) -> list[str]:
    """Return the label spaces that all models can answer in; of one data set's, the coarser comes first."""
    common = [key for key in SPACES if all(rolls_up(m.label_space, key) for m in models)]
    return sorted(common, key=lambda key: (key.rpartition("-")[0], space(key).num_classes))


def choose_models(refs: dict[str, ModelRef]) -> list[ModelRef]:
    default = [key for key in refs if key in COMPARED] or list(refs)[:4]
    if "models" in st.session_state:  # runs come and go; a run just given is shown
        picked = [key for key in st.session_state["models"] or default if key in refs]
        if (new := st.session_state.pop("own-new", None)) in refs and new not in picked:
            picked.append(new)
        st.session_state["models"] = picked
    chosen = st.pills(
        "Models to compare",
        list(refs),
        selection_mode="multi",
        default=None if "models" in st.session_state else default,
        format_func=lambda key: refs[key].title,
        key="models",
        bind="query-params",
    )
    models = [refs[key] for key in refs if key in (chosen or default)]
    if len(models) > MAX_SHOWN:
        st.warning(f"Showing the first {MAX_SHOWN} of {len(models)} models; deselect some to see the others.")
    return models[:MAX_SHOWN]


def _own_run() -> None:
    """Let the reader add a run of these trainers for this session."""
    st.markdown("**Add your own run** (both files of its folder; weights as safetensors only)")
    own: list[ModelRef] = st.session_state["own-runs"]
    for ref in list(own):
        if st.button(f"Remove {ref.title}", key=f"remove-{ref.key}", icon=":material/delete:", type="tertiary"):
            own.remove(ref)
            remove_own_run(ref)
            cam_bench().forget(ref)
            st.rerun()
    files = st.file_uploader(
        "run.json and weights.safetensors",
        type=["json", "safetensors"],
        accept_multiple_files=True,
        key="own-upload",
        label_visibility="collapsed",
    )
    by_kind = {file.name.rsplit(".", 1)[-1].lower(): file for file in files}
    tried: set[tuple[str, ...]] = st.session_state.setdefault("own-tried", set())
    if len(by_kind) == 2:
        ids = tuple(sorted(file.file_id for file in files))
        if ids not in tried and len(own) >= MAX_OWN_RUNS:
            st.session_state["own-error"] = f"At most {MAX_OWN_RUNS} own runs at a time: remove one first."
        elif ids not in tried:
            tried.add(ids)
            number = st.session_state["own-count"] = st.session_state.get("own-count", 0) + 1
            try:
                ref = add_own_run(by_kind["json"].getvalue(), by_kind["safetensors"].getvalue(), number)
            except RunError as error:
                st.session_state["own-error"] = str(error)
            else:
                own.append(ref)
                st.session_state["own-error"], st.session_state["own-new"] = None, ref.key
                st.rerun()
    else:
        st.session_state["own-error"] = None
        if files:
            st.caption("Give two files: run.json and weights.safetensors.")
    if message := st.session_state.get("own-error"):
        st.error(message, icon=":material/block:")


def ask_all(photo: ShownPhoto, chosen: Settings) -> dict[str, Answer | None]:
    """Ask every chosen model; none stands for an answer that is being worked on.

    What has arrived is held by the session, so that other sessions' photos cannot push it out and have it asked again.
    """
    bench, kept = workbench(), st.session_state.setdefault("answers", {})
    answers: dict[str, Answer | None] = {}
    for model in chosen.models:
        key = (photo.sha256, model.id, chosen.detail)
        answers[model.key] = kept.pop(key, None) or bench.ask(model, photo, chosen.detail)
        if (answer := answers[model.key]) is not None:
            kept[key] = answer  # youngest last
    for key in list(kept):
        if sum(answer.nbytes for answer in kept.values()) <= MAX_SESSION_BYTES or key[0] == photo.sha256:
            break
        del kept[key]
    return answers


@st.cache_data(max_entries=24, show_spinner=False)  # type: ignore[untyped-decorator]
def _labels(
    photo: str, model: str, detail: str, target: str, size: tuple[int, int], source: str, _scores: NDArray[np.floating]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    return to_labels(_scores, *size, remap_table(source, target), space(target).num_classes)


def labels_at(
    photo: ShownPhoto, model: ModelRef, answer: Answer, chosen: Settings, size: tuple[int, int] | None = None
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


def _panel(photo: ShownPhoto, model: ModelRef, answer: Answer | None, chosen: Settings) -> Panel:
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


def facts(model: ModelRef, answer: Answer | None = None) -> str:
    """Return a panel's caption: figures with their origin in the Models tab."""
    metrics, data = model.record.get("metrics") or {}, (model.record.get("data") or {}).get("name") or "unknown data"
    parts = ["no val figure"]
    if metrics.get("miou") is not None:
        classes = space(model.label_space).short if model.label_space in SPACES else model.label_space
        parts = [f"val mIoU {metrics['miou'] * 100:.1f} % ({DATA_TITLES.get(data, data)}, {classes})"]
    parts.append(f"{(model.record['model'].get('parameters') or 0) / 1e6:.1f} M parameters")
    if answer is not None:
        spent = answer.latency_ms
        parts.append(f"forward {spent['forward']:.0f} ms" if spent else "stored answer")
    return " · ".join(parts)
