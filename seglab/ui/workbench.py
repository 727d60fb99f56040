"""The models behind the pages: loaded once per process, one queue before them, answers kept while they fit.

No torch is imported until a model has to run, so that pages open fast.
"""

import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.predict.apart import memory_limit
from seglab.predict.model import Model
from seglab.predict.samples import stored_scores
from seglab.predict.scores import Detail
from seglab.predict.sources.masks import MaskSource
from seglab.ui.answers import AnswerQueue
from seglab.ui.page import is_served
from seglab.ui.photos import ShownPhoto

if TYPE_CHECKING:
    from seglab.predict.segmenter import Segmenter

MAX_ANSWER_BYTES = 256 * 2**20
MAX_ANSWERS_SHARE = 16  # or this part of the memory: six models of 150 classes must fit beside each other
MAX_MODELS = 8
WARM_UP_AFTER_S = 2.0


@dataclass(frozen=True)
class Answer:
    """One model's scores of one photo, at working size."""

    scores: NDArray[np.floating | np.uint8] | None = None  # (C, h, w), sums to 1
    latency_ms: Mapping[str, float] | None = None  # none where the answer was stored ahead of time
    engine: str = ""
    note: str | None = None  # why it did not run on the fast engine
    error: str | None = None

    @property
    def nbytes(self) -> int:
        """Memory the answer holds."""
        return self.scores.nbytes if self.scores is not None else 0


class Workbench:
    """Loads models once and answers requests one after the other; shared by all sessions."""

    def __init__(self) -> None:
        self.pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="seglab-models")
        self._models: OrderedDict[str, Segmenter] = OrderedDict()
        self._warm = False
        self._answers = AnswerQueue(
            self.pool,
            lambda reason: Answer(error=reason),
            lambda: max(MAX_ANSWER_BYTES, 2 * memory_limit() // MAX_ANSWERS_SHARE),
        )

    def ask(self, model: Model, photo: ShownPhoto, detail: Detail) -> Answer | None:
        """Return the model's answer, or none while it is being worked on."""

        def stored() -> Answer | None:
            scores = stored_scores(photo.sha256, model.sha256) if model.stored and detail == "standard" else None
            return None if scores is None else Answer(scores.astype(np.float16) / np.float16(255))

        key = (model.id, photo.sha256, detail, photo.name if isinstance(model.source, MaskSource) else "")
        return self._answers.ask(key, lambda: self._work(model, photo, detail), stored)

    def _work(self, model: Model, photo: ShownPhoto, detail: Detail) -> Answer:
        segmenter = self.load(model)
        if isinstance(model.source, MaskSource):
            return Answer(model.source.scores(photo.name, photo.height, photo.width), None, segmenter.engine.name)
        scores, latency = segmenter.scores(photo.work[detail], detail)
        latency["preprocess"] = round(latency["preprocess"] + photo.shrink_ms[detail], 1)
        start = time.perf_counter()
        height, width = photo.shown.shape[:2]
        segmenter.to_labels(scores, height, width, model.label_space)
        latency["postprocess"] = round((time.perf_counter() - start) * 1000, 1)
        return Answer(scores, latency, segmenter.engine.name, segmenter.engine_note)

    def load(self, model: Model) -> "Segmenter":
        """Return a model, loaded where it is not yet; in the pool's thread only."""
        from seglab.predict.segmenter import Segmenter

        segmenter = self._models.get(model.id)
        if segmenter is None:
            while len(self._models) >= MAX_MODELS:
                self._models.popitem(last=False)
            segmenter = self._models[model.id] = Segmenter(model)
        self._models.move_to_end(model.id)
        return segmenter

    def loaded(self, models: Sequence[Model]) -> list[Model]:
        """Return those that are loaded."""
        return [model for model in models if model.id in self._models]

    def warm_up(self) -> None:
        """Import what models need, once, when the first page has been drawn: it takes seconds, and readers look first."""
        if not self._warm and is_served():
            self._warm = True
            timer = threading.Timer(WARM_UP_AFTER_S, self.pool.submit, [_import_models])
            timer.daemon = True
            timer.start()

    def forget(self, model: Model) -> None:
        """Let go of a model and of its answers."""
        self._models.pop(model.id, None)
        self._answers.forget(lambda key, _: key[0] == model.id)

    def forget_failure(self, model: Model) -> None:
        """Drop a model's failed answers, so that it is asked again."""
        self._answers.forget(lambda key, answer: key[0] == model.id and answer.error is not None)


def _import_models() -> None:
    import seglab.explain.gradcam
    import seglab.predict.segmenter  # noqa: F401


@st.cache_resource(show_spinner=False)  # type: ignore[untyped-decorator]
def workbench() -> Workbench:
    """Return the process's workbench."""
    return Workbench()
