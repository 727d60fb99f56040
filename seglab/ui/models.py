"""The models that a reader can choose from on every page that asks models: those of the shelf, and the session's own."""

import streamlit as st

from seglab.predict.model import Model
from seglab.predict.shelf import shelf

MAX_SHOWN = 6


def own_models() -> list[Model]:
    """Return the models that this session's reader has added: one list per session."""
    own: list[Model] = st.session_state.setdefault("own-runs", [])
    return own


def offered() -> dict[str, Model]:
    """Return all models that this session can ask, by key."""
    return {model.key: model for model in [*shelf(), *own_models()]}


def nothing() -> None:
    """Say which command trains a model, and stop."""
    st.info(
        "There is no trained model here yet. Train the bundled ones with "
        "`python -m trainers.train trainers/recipes/camvid-fpn_convnextv2.yaml --data DIR`."
    )
    st.stop()


def choose_models() -> list[Model]:
    """Let the reader choose models, bound to the link; at most :data:`MAX_SHOWN`, in the order of the shelf."""
    refs = offered()
    default = [key for key, model in refs.items() if model.shown] or list(refs)[:4]
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
