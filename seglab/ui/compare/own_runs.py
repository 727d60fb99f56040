"""Where the reader adds a run of their own for this session, and removes it."""

import streamlit as st

from seglab.records.files import RunError
from seglab.ui.explaining import cam_bench
from seglab.ui.models import own_models
from seglab.ui.workbench import MAX_OWN_RUNS, add_own_run, remove_own_run


def own_run() -> None:
    """Let the reader add a run of these trainers for this session."""
    st.markdown("**Add your own run** (both files of its folder; weights as safetensors only)")
    own = own_models()
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
