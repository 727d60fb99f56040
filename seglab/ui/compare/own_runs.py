"""Where the reader adds a model of their own for this session, and removes it."""

from collections.abc import Callable

import streamlit as st

from seglab.predict.apart import ApartSource, memory_limit
from seglab.predict.catalogue import suggestions
from seglab.predict.model import Model
from seglab.predict.shelf import deployed
from seglab.predict.sources import hub
from seglab.ui.explaining import cam_bench
from seglab.ui.models import own_models
from seglab.ui.results import plain
from seglab.ui.uploaded import KINDS, MAX_OWN_RUNS, add_from_hub, add_model, missing, remove_model


def own_run() -> None:
    """Let the reader add a model for this session: a run, a zipped checkpoint, an ONNX or a .pt2 file."""
    st.markdown(
        "**Add a model**: `run.json` and `weights.safetensors` of a run; a zip of a folder that Transformers or "
        "segmentation-models-pytorch saved; or an `.onnx` or `.pt2` file and its `.yaml` (docs/models.md)"
    )
    for problem in deployed()[1]:
        st.warning(f"Not on the shelf: {plain(problem, 600)}")
    own = own_models()
    for ref in list(own):
        if isinstance(ref.source, ApartSource) and ref.source.apart.memory_bytes:
            held, most = ref.source.apart.memory_bytes / 2**20, memory_limit() / 2**30
            state = "in memory" if ref.source.apart.running else "let go, comes back when asked"
            st.caption(f"{plain(ref.title, 80)} needs {held:,.0f} MiB ({state}); all of them may hold {most:.1f} GiB.")
        for note in ref.facts.notes:
            st.caption(f"{plain(ref.title, 80)}: {plain(note, 400)}.")
        if st.button(f"Remove {ref.title}", key=f"remove-{ref.key}", icon=":material/delete:", type="tertiary"):
            own.remove(ref)
            remove_model(ref)
            cam_bench().forget(ref)
            st.rerun()
    files = st.file_uploader(
        "run.json and weights.safetensors, a zip, or .onnx or .pt2 and .yaml",
        type=list(KINDS),
        accept_multiple_files=True,
        key=f"own-upload-{turn}"
        if (turn := st.session_state.get("own-turn", 0))
        else "own-upload",  # a new one is empty
        label_visibility="collapsed",
    )
    _from_hub(own)
    tried: set[tuple[str, ...]] = st.session_state.setdefault("own-tried", set())
    by_name = {file.name: file for file in files}
    if not files or missing(by_name):
        if files:
            st.caption(missing(by_name))
        elif not st.session_state.get("own-hub"):
            st.session_state["own-error"] = None
    elif (ids := tuple(sorted(file.file_id for file in files))) not in tried and _has_room(own):
        tried.add(ids)
        _add(own, lambda number: add_model({name: file.getvalue() for name, file in by_name.items()}, number))
    if message := st.session_state.get("own-error"):
        st.error(plain(message, 900), icon=":material/block:")


def _from_hub(own: list[Model]) -> None:
    """Let the reader name a checkpoint of the hub, or take a suggestion; its size is told before anything is fetched."""
    by_name = {one.name: one for one in suggestions()}
    st.selectbox(
        "Public checkpoints that were trained on street scenes",
        list(by_name),
        index=None,
        format_func=lambda name: by_name[name].line,
        placeholder="Public checkpoints that were trained on street scenes",
        key="own-suggested",
        on_change=_suggest,
        label_visibility="collapsed",
    )
    text = st.text_input(
        "Or a checkpoint of the Hugging Face hub",
        key="own-hub",
        placeholder="OWNER/NAME or OWNER/NAME@REVISION",
        max_chars=300,
    )
    if not text:
        return
    if (one := by_name.get(text)) is not None:
        st.caption(
            f"Published, not measured here: {one.miou:.1f} % mIoU, {one.miou_of} ([{one.citation}]({one.url})). "
            f"Licence: {one.licence}."
        )
    if (name := hub.named(text)) is None:
        st.caption("A name of the hub is OWNER/NAME.")
        return
    asked = st.session_state.get("own-hub-size")
    if asked is None or asked[0] != name:
        try:
            asked = (name, hub.size_of(*name), "")
        except ValueError as error:
            asked = (name, 0, str(error))
        st.session_state["own-hub-size"] = asked
    if asked[2]:
        st.error(plain(asked[2], 900), icon=":material/cloud_off:")
    elif st.button(f"Fetch {asked[1] / 2**20:,.0f} MiB", key="own-hub-fetch", icon=":material/download:") and _has_room(
        own
    ):
        _add(own, lambda number: add_from_hub(*name, number))


def _suggest() -> None:
    st.session_state["own-hub"] = st.session_state["own-suggested"] or ""


def _has_room(own: list[Model]) -> bool:
    room = len(own) < MAX_OWN_RUNS
    if not room:
        st.session_state["own-error"] = f"At most {MAX_OWN_RUNS} own models at a time: remove one first."
    return room


def _add(own: list[Model], make: Callable[[int], Model]) -> None:
    """Add a model and show it, or keep why it cannot be used."""
    number = st.session_state["own-count"] = st.session_state.get("own-count", 0) + 1
    try:
        with st.spinner("Checking the model in a process of its own…"):
            ref = make(number)
    except ValueError as error:
        st.session_state["own-error"] = str(error)
        return
    own.append(ref)
    st.session_state["own-turn"] = st.session_state.get("own-turn", 0) + 1
    st.session_state["own-error"], st.session_state["own-new"] = None, ref.key
    st.rerun()
