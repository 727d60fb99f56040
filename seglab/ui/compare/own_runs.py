"""Where the reader adds a model of their own for this session, and removes it."""

import streamlit as st

from seglab.predict.shelf import deployed
from seglab.ui.explaining import cam_bench
from seglab.ui.models import own_models
from seglab.ui.results import plain
from seglab.ui.uploaded import KINDS, MAX_OWN_RUNS, add_model, missing, remove_model


def own_run() -> None:
    """Let the reader add a model for this session: a run, a zipped checkpoint or an ONNX file."""
    st.markdown(
        "**Add a model**: `run.json` and `weights.safetensors` of a run; a zip of a folder that Transformers or "
        "segmentation-models-pytorch saved; or an `.onnx` file and its `.yaml` (docs/models.md)"
    )
    for problem in deployed()[1]:
        st.warning(f"Not on the shelf: {plain(problem, 600)}")
    own = own_models()
    for ref in list(own):
        for note in ref.facts.notes:
            st.caption(f"{plain(ref.title, 80)}: {plain(note, 400)}.")
        if st.button(f"Remove {ref.title}", key=f"remove-{ref.key}", icon=":material/delete:", type="tertiary"):
            own.remove(ref)
            remove_model(ref)
            cam_bench().forget(ref)
            st.rerun()
    files = st.file_uploader(
        "run.json and weights.safetensors, a zip, or .onnx and .yaml",
        type=list(KINDS),
        accept_multiple_files=True,
        key=f"own-upload-{turn}"
        if (turn := st.session_state.get("own-turn", 0))
        else "own-upload",  # a new one is empty
        label_visibility="collapsed",
    )
    tried: set[tuple[str, ...]] = st.session_state.setdefault("own-tried", set())
    by_name = {file.name: file for file in files}
    if not files or missing(by_name):
        st.session_state["own-error"] = None
        if files:
            st.caption(missing(by_name))
        return
    ids = tuple(sorted(file.file_id for file in files))
    if ids not in tried and len(own) >= MAX_OWN_RUNS:
        st.session_state["own-error"] = f"At most {MAX_OWN_RUNS} own models at a time: remove one first."
    elif ids not in tried:
        tried.add(ids)
        number = st.session_state["own-count"] = st.session_state.get("own-count", 0) + 1
        try:
            with st.spinner("Checking the model in a process of its own…"):
                ref = add_model({name: file.getvalue() for name, file in by_name.items()}, number)
        except ValueError as error:
            st.session_state["own-error"] = str(error)
        else:
            own.append(ref)
            st.session_state["own-turn"] = turn + 1
            st.session_state["own-error"], st.session_state["own-new"] = None, ref.key
            st.rerun()
    if message := st.session_state.get("own-error"):
        st.error(plain(message, 900), icon=":material/block:")
