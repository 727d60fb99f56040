"""The models behind the pages: loaded once per process, one queue before them, answers kept while they fit.

No torch is imported until a model has to run, so that pages open fast.
"""

import hashlib
import json
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.runs import EXPERIMENT, RESULTS, Run, RunError, RunStore, bundled_runs, read_record, sha256_file
from seglab.samples import stored_scores
from seglab.scores import Detail
from seglab.ui.answers import AnswerQueue
from seglab.ui.page import is_served
from seglab.ui.photos import ShownPhoto

if TYPE_CHECKING:
    from seglab.inference import Segmenter

MAX_ANSWER_BYTES = 256 * 2**20
MAX_MODELS = 8
WARM_UP_AFTER_S = 2.0
MAX_OWN_RUNS = 3  # per session
# What the pages show of a record, and what each has to be where it is there.
SHOWN: dict[str, Any] = {
    "metrics": Mapping,
    "metrics.miou": float,
    "environment": Mapping,
    "environment.device": str,
    "environment.git_commit": str,
    "data": Mapping,
    "data.name": str,
    "data.val": Mapping,
    "data.val.split": str,
    "data.val.images": float,
    "model.parameters": float,
    "epochs": float,
    "provenance": str,
    "warm_start": Mapping,
    "teacher": Mapping,
}


@dataclass(frozen=True)
class ModelRef:
    """A model that can be asked, before it is loaded."""

    key: str
    title: str
    folder: Path
    sha256: str
    label_space: str
    record: Mapping[str, Any]
    own: bool = False  # given by the reader: answers stored ahead of time do not stand for it

    @cached_property
    def id(self) -> str:
        """What the model is: its weights and how the network around them is built. Equal ids give equal answers."""
        built = json.dumps([self.sha256, self.record["model"], self.label_space], sort_keys=True, default=str)
        return hashlib.sha256(built.encode(errors="backslashreplace")).hexdigest()

    @property
    def run_name(self) -> str:
        """Experiment and folder of the run that the model comes from."""
        return f"{self.record['experiment']}/{self.record['variant']}-seed{self.record['seed']}"


@dataclass(frozen=True)
class Answer:
    """One model's scores of one photo, at working size."""

    scores: NDArray[np.floating] | None = None  # (C, h, w), sums to 1
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
        self._answers = AnswerQueue(self.pool, lambda reason: Answer(error=reason), lambda: MAX_ANSWER_BYTES)

    def ask(self, model: ModelRef, photo: ShownPhoto, detail: Detail) -> Answer | None:
        """Return the model's answer, or none while it is being worked on."""

        def stored() -> Answer | None:
            scores = None if model.own or detail != "standard" else stored_scores(photo.sha256, model.sha256)
            return None if scores is None else Answer(scores.astype(np.float16) / np.float16(255))

        key = (model.id, photo.sha256, detail)
        return self._answers.ask(key, lambda: self._work(model, photo, detail), stored)

    def _work(self, model: ModelRef, photo: ShownPhoto, detail: Detail) -> Answer:
        segmenter = self.load(model)
        scores, latency = segmenter.scores(photo.work[detail], detail)
        latency["preprocess"] = round(latency["preprocess"] + photo.shrink_ms[detail], 1)
        start = time.perf_counter()
        height, width = photo.shown.shape[:2]
        segmenter.to_labels(scores, height, width, model.label_space)
        latency["postprocess"] = round((time.perf_counter() - start) * 1000, 1)
        return Answer(scores, latency, segmenter.engine.name, segmenter.engine_note)

    def load(self, model: ModelRef) -> "Segmenter":
        """Return a model, loaded where it is not yet; in the pool's thread only."""
        from seglab.inference import Segmenter

        segmenter = self._models.get(model.id)
        if segmenter is None:
            while len(self._models) >= MAX_MODELS:
                self._models.popitem(last=False)
            segmenter = self._models[model.id] = Segmenter(model.folder)
        self._models.move_to_end(model.id)
        return segmenter

    def loaded(self, models: Sequence[ModelRef]) -> list[ModelRef]:
        """Return those that are loaded."""
        return [model for model in models if model.id in self._models]

    def warm_up(self) -> None:
        """Import what models need, once, when the first page has been drawn: it takes seconds, and readers look first."""
        if not self._warm and is_served():
            self._warm = True
            timer = threading.Timer(WARM_UP_AFTER_S, self.pool.submit, [_import_models])
            timer.daemon = True
            timer.start()

    def forget(self, model: ModelRef) -> None:
        """Let go of a model and of its answers."""
        self._models.pop(model.id, None)
        self._answers.forget(lambda key, _: key[0] == model.id)

    def forget_failure(self, model: ModelRef) -> None:
        """Drop a model's failed answers, so that it is asked again."""
        self._answers.forget(lambda key, answer: key[0] == model.id and answer.error is not None)


def _import_models() -> None:
    import seglab.cam
    import seglab.inference  # noqa: F401


@st.cache_resource(show_spinner=False)  # type: ignore[untyped-decorator]
def workbench() -> Workbench:
    """Return the process's workbench."""
    return Workbench()


@st.cache_resource(show_spinner=False)  # type: ignore[untyped-decorator]
def _uploads() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of uploaded runs; it goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="seglab-")


def model_ref(run: Run, key: str, title: str, own: bool = False) -> ModelRef:
    """Describe a finished run as a model."""
    record = run.record
    return ModelRef(
        key=key,
        title="".join(c for c in title if c.isprintable())[:100].replace("<", "‹"),  # Plotly reads tags
        folder=run.folder,
        sha256=str((record.get("weights") or {}).get("sha256") or sha256_file(run.weights)),
        label_space=str(record["label_space"]),
        record=record,
        own=own,
    )


def bundled_models(results: Path = RESULTS) -> list[ModelRef]:
    """Return the bundled models in the order of the panels, then the other runs of their experiment, named by folder."""
    bundled = bundled_runs(results)
    refs = [model_ref(run, key, str(run.record["title"])) for key, run in bundled.items()]
    known = {run.folder for run in bundled.values()}
    others = [run for run in RunStore(results).servable(EXPERIMENT) if run.folder not in known]
    return refs + [model_ref(r, r.folder.name[:64], f"{r.record['title']} ({r.folder.name})", own=True) for r in others]


def add_own_run(record: bytes, weights: bytes, number: int) -> ModelRef:
    """Check an uploaded run (``run.json`` and safetensors) and keep it for this session in a temporary folder.

    Raises:
        RunError: where record or weights do not fit; one sentence.
    """
    from seglab.checkpoints import load_run

    folder = Path(tempfile.mkdtemp(dir=_uploads().name)) / f"own-run-{number}"  # the name that messages show
    folder.mkdir()
    try:
        (folder / "run.json").write_bytes(record)
        (folder / "weights.safetensors").write_bytes(weights)
        checked = read_record(folder)
        if checked["status"] != "finished":
            raise RunError(f"the run is {checked['status']}, not finished; finish its training first")
        _check_figures(checked)
        load_run(folder)
    except Exception as error:  # a file from outside: whatever it upsets, the page goes on
        shutil.rmtree(folder.parent, ignore_errors=True)
        if isinstance(error, RunError):
            raise
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise RunError(f"this run cannot be used: {reason}") from error
    title = f"{checked['title'][:60]} (own {number})"  # charts and tables tell models apart by title
    return model_ref(Run(folder, checked), f"own{number}", title, own=True)


def remove_own_run(ref: ModelRef) -> None:
    """Delete an uploaded run's files and let go of its model."""
    shutil.rmtree(ref.folder.parent, ignore_errors=True)
    workbench().forget(ref)


def _check_figures(record: Mapping[str, Any]) -> None:
    """Check the parts of a record from outside that panels and tables show."""
    for path, kind in SHOWN.items():
        value: Any = record
        for part in path.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
        if value is None or (kind is float and isinstance(value, int | float) and abs(value) < 1e15):
            continue
        if kind is float or not isinstance(value, kind) or len(value) > 200:
            wanted = {float: "a number", str: "a short text", Mapping: "an object"}[kind]
            raise RunError(f"expected {path} in run.json as {wanted}, got {str(value)[:40]!r}")
