"""The Grad-CAM page's choices: models, layer, method, how maps are drawn; and what waits until models have answered."""

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
import streamlit as st

from seglab.explain.pointing import METHODS, Method
from seglab.labels import space
from seglab.predict.model import Model
from seglab.ui import results
from seglab.ui.explaining import DEPTHS, PREFERRED, CamAnswer, Depth, Question, cam_bench
from seglab.ui.models import choose_models
from seglab.ui.photos import ShownPhoto
from seglab.ui.waiting import wait_for

ABOUT_METHODS = (
    "**Grad-CAM** weighs each feature by its mean gradient: the usual one. **Grad-CAM++** counts positive gradients where "
    "they are, which favours several small objects. **HiResCAM** multiplies gradient and feature at each place: no averaging."
)
ABOUT_DEPTHS = (
    "**Decoder**: the last features before the classes are read from them; fine, and blanking what lights up takes the class "
    "away. **Middle** (ASPP, encoder at stride 16 or 32) and **Deep** (the encoder's last stage): coarse, with more context; "
    "there a mean gradient can mislead, so check under *Blank the evidence*."
)
LEAST_SHARE = 0.001  # of the photo, for a class to be offered
MAX_CLASSES = 3


@dataclass(frozen=True)
class View:
    """What the reader has chosen."""

    photo: ShownPhoto
    models: list[Model]
    depth: Depth
    method: Method
    opacity: float  # 0 to 1
    shared: bool  # one scale for all models of a class

    def ask(self, question: Question) -> dict[str, CamAnswer | None]:
        """Return each model's answer by its key; none stands for one that is being worked on."""
        bench = cam_bench()
        return {m.key: bench.ask(m, self.photo, self.depth, self.method, question) for m in self.models}


def controls(photo: ShownPhoto) -> View:
    """Show the settings in one line and return them; they are bound to the link."""
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        with st.popover("Models, layer and method", icon=":material/tune:"):
            models = choose_models()
            depth = st.segmented_control(
                "Layer", DEPTHS, default=DEPTHS[0], required=True, key="depth", bind="query-params"
            )
            st.caption(ABOUT_DEPTHS)
            method = st.segmented_control(
                Method,
                list(METHODS),
                default="gradcam",
                format_func=METHODS.__getitem__,
                required=True,
                key="method",
                bind="query-params",
            )
            st.caption(ABOUT_METHODS)
        opacity = st.slider("Opacity", 0, 100, 65, 5, format="%d %%", key="opacity", bind="query-params", width=180)
        scale = st.segmented_control(
            "Colour scale",
            ["shared", "each map its own"],
            default="shared",
            required=True,
            key="scale",
            bind="query-params",
            help="Shared: one scale for all models of a class, so that bright means the same. Its own: every map ends at its "
            "own brightest places; compare shapes then, never brightness.",
        )
    return View(photo, models, cast(Depth, depth), cast(Method, method), opacity / 100, scale == "shared")


def classes(view: View) -> list[str]:
    """Wait until a model has said what it sees, then let the reader choose classes; at most three rows of maps."""
    first = replace(view, models=view.models[:1])
    if not wait_for(lambda: list(first.ask(Question()).values()), "Looking at the photo"):
        st.stop()
    for answer in first.ask(Question()).values():
        if answer is not None and answer.error is not None:
            title = results.plain(first.models[0].title)
            st.error(f"{title} cannot be asked: {results.plain(answer.error)}", icon=":material/block:")
    known = list(dict.fromkeys(name for model in view.models for name in space(model.label_space).names))
    linked = st.session_state["about"] if "about" in st.session_state else st.query_params.get_all("about")
    present = _present(view)  # so far; what a link or the reader has chosen is offered too
    offered = [name for name in known if name in present or name in (linked or [])] or known
    default = next((name for name in PREFERRED if name in offered), offered[0])
    if "about" in st.session_state:
        st.session_state["about"] = [name for name in st.session_state["about"] or [] if name in offered]
    chosen = st.pills(
        "Evidence for",
        offered,
        selection_mode="multi",
        default=None if "about" in st.session_state else [default],
        key="about",
        bind="query-params",
    )
    chosen = list(chosen) or [default]
    if len(chosen) > MAX_CLASSES:
        st.warning(f"Showing the first {MAX_CLASSES} of {len(chosen)} classes; deselect some to see the others.")
    return chosen[:MAX_CLASSES]


def _present(view: View) -> set[str]:
    """Return the classes that a model sees in the photo, of those that have looked."""
    names: set[str] = set()
    for model in view.models:
        labels = cam_bench().seen(model, view.photo)
        if labels is not None:
            known = space(model.label_space).names
            shares = np.bincount(labels.ravel(), minlength=256)[: len(known)] / labels.size
            names |= {name for name, share in zip(known, shares, strict=True) if share >= LEAST_SHARE}
    return names


def look_on(view: View) -> None:
    """Let the other models say what they see too: after the maps, which readers wait for."""
    wait_for(lambda: list(view.ask(Question()).values()), "Looking for more classes")
