"""What a reader asks of models about a photo, and the answers that their session holds."""

from collections.abc import Sequence
from dataclasses import dataclass

import streamlit as st

from seglab.labels import LabelSpace, Palette
from seglab.predict.model import Model
from seglab.predict.scores import Detail
from seglab.ui.photos import ShownPhoto
from seglab.ui.workbench import Answer, workbench

MAX_SESSION_BYTES = 192 * 2**20


@dataclass(frozen=True)
class Settings:
    """What the reader asked for."""

    models: Sequence[Model]
    space: LabelSpace
    palette: Palette
    detail: Detail


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
