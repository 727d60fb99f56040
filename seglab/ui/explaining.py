"""Grad-CAM behind the page: models as torch modules, one forward per photo and layer, answers kept while they fit.

Work goes through the same queue as segmentation does, so that models never run beside each other. No torch is imported
until a map has to be made.
"""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar, get_args

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from seglab.explain.pointing import Method, enlarge
from seglab.labels import VOID, space
from seglab.predict.apart import Apart, ApartSource, Arrays, Said
from seglab.predict.model import Model
from seglab.ui.answers import AnswerQueue
from seglab.ui.boxes import Box, region_of
from seglab.ui.photos import ShownPhoto
from seglab.ui.workbench import workbench

if TYPE_CHECKING:
    from torch import nn

    from seglab.explain.gradcam import Explainer

PREFERRED = ("car", "pedestrian", "bicyclist", "person", "human", "vehicle", "road", "flat")  # classes to begin with
MAX_BYTES = 128 * 2**20
MAX_MODELS = 8
MAX_LOOKS = 6  # a look holds what lies between the layer and the scores: up to 0.25 GB, at the decoder less
T = TypeVar("T")
K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Question:
    """What a model is asked about a photo.

    A class without a box: over the pixels that the model predicts as the class. A box without a class: for the class that
    the model predicts most in it. Neither: only what it predicts.
    """

    class_name: str | None = None
    box: Box | None = None


@dataclass(frozen=True)
class CamAnswer:
    """One map at the working size, or the reason why there is none."""

    labels: NDArray[np.uint8] | None = None  # (h, w), the prediction that is explained
    class_name: str = ""
    class_id: int = -1
    raw: NDArray[np.float32] | None = None  # as the layer has it
    layer: str = ""  # as the family's spec names it
    value: float = float("nan")  # mean score of the class over the region
    question: "Question | None" = None
    missing: str = ""  # why this model has no map for this question
    error: str | None = None

    @property
    def nbytes(self) -> int:
        """Memory the answer holds."""
        return 1000 + sum(array.nbytes for array in (self.labels, self.raw) if array is not None)

    @property
    def region(self) -> NDArray[np.bool_] | None:
        """Where the score was read, ``(h, w)``."""
        if self.raw is None or self.labels is None or self.question is None:
            return None
        return _region(self.question, self.labels, self.class_id)

    @property
    def evidence(self) -> NDArray[np.float32] | None:
        """The map at the working size, ``(h, w)``, signed."""
        return None if self.raw is None or self.labels is None else enlarge(self.raw, *self.labels.shape)


@dataclass(frozen=True)
class Deletion:
    """What blanking does to the explained score; see :func:`seglab.explain.gradcam.deletion`."""

    shares: tuple[float, ...] = ()
    evidence: NDArray[np.float64] | None = None
    elsewhere: NDArray[np.float64] | None = None
    error: str | None = None
    nbytes: int = 1000


SHARES = (0.02, 0.05, 0.1, 0.2, 0.4)
Depth = Literal["Decoder", "Middle", "Deep"]  # the first, second and last layer that a family offers
DEPTHS: tuple[Depth, ...] = get_args(Depth)


def at_depth(layers: Sequence[str], depth: Depth) -> str:
    """Return the layer that a depth means for a family's layers (``ModelSpec.cam_layers``, the default first)."""
    return layers[{"Decoder": 0, "Middle": min(1, len(layers) - 1), "Deep": len(layers) - 1}[depth]]


class CamBench:
    """Answers :class:`Question`; shared by all sessions."""

    def __init__(self) -> None:
        self._pool = pool = workbench().pool
        self._maps = AnswerQueue(pool, lambda reason: CamAnswer(error=reason), lambda: MAX_BYTES)
        self._deletions = AnswerQueue(pool, lambda reason: Deletion(error=reason), lambda: MAX_BYTES)
        self._modules: OrderedDict[str, nn.Module] = OrderedDict()  # these three belong to the queue's one thread
        self._looks: OrderedDict[tuple[str, ...], Near] = OrderedDict()

    def ask(
        self, model: Model, photo: ShownPhoto, depth: Depth, method: Method, question: Question
    ) -> CamAnswer | None:
        """Return a model's answer, or none while it is being worked on."""
        return self._maps.ask(
            _key(model, photo, depth, method, question), lambda: self._map(model, photo, depth, method, question)
        )

    def seen(self, model: Model, photo: ShownPhoto) -> NDArray[np.uint8] | None:
        """Return what a model predicts, ``(h, w)``, where it has been asked already."""
        answer = self._maps.peek(_key(model, photo, "Decoder", "gradcam", Question()))
        return answer.labels if answer is not None else None

    def forget(self, model: Model) -> None:
        """Let go of a model, and of all that came of it."""
        for queue in (self._maps, self._deletions):
            queue.forget(lambda key, _: key[0] == model.id)
        self._pool.submit(self._let_go, model)  # the shelves belong to the queue's thread

    def _let_go(self, model: Model) -> None:
        self._modules.pop(model.id, None)
        for key in [key for key in self._looks if key[0] == model.id]:
            del self._looks[key]

    def forget_failures(self) -> None:
        """Drop failed answers, so that they are worked on again when asked for."""
        self._maps.forget(lambda _, answer: answer.error is not None)
        self._deletions.forget(lambda _, answer: answer.error is not None)

    def ask_deletion(
        self, model: Model, photo: ShownPhoto, depth: Depth, method: Method, question: Question
    ) -> Deletion | None:
        """Return what blanking the evidence of a map does, or none while it is being worked on."""
        key = (model.id, photo.sha256, depth, method, question)
        return self._deletions.ask(key, lambda: self._delete(model, photo, depth, method, question))

    def _look(self, model: Model, photo: ShownPhoto, depth: Depth) -> "tuple[Near | Far, str]":
        from seglab.explain.gradcam import Explainer

        layers = model.source.layers
        if not layers:
            raise ValueError("This model's source has no gradients to follow.")
        layer, pixels = at_depth(tuple(layers), depth), photo.work["standard"]
        if isinstance(model.source, ApartSource):
            return Far(model.source.apart, layers[layer], pixels), layer

        def look() -> Near:
            module = _kept(self._modules, model.id, model.source.network, MAX_MODELS)
            return Near(Explainer(module, layers[layer]), pixels)

        return _kept(self._looks, (model.id, photo.sha256, layer), look, MAX_LOOKS), layer

    def _map(self, model: Model, photo: ShownPhoto, depth: Depth, method: Method, question: Question) -> CamAnswer:
        look, layer = self._look(model, photo, depth)
        labels, names = look.labels, space(model.label_space).names
        if question == Question():
            return CamAnswer(labels)
        class_name, region = asked(question, labels, names)
        if region is None:
            return CamAnswer(labels, class_name, missing=_missing(class_name, names))
        class_id = names.index(class_name)
        raw, value = look.cam(class_id, region, method)
        return CamAnswer(labels, class_name, class_id, raw, layer, value, question)

    def _delete(self, model: Model, photo: ShownPhoto, depth: Depth, method: Method, question: Question) -> Deletion:
        look, _ = self._look(model, photo, depth)
        names = space(model.label_space).names
        class_name, region = asked(question, look.labels, names)
        if region is None:
            return Deletion(error=_missing(class_name, names))
        return Deletion((0.0, *SHARES), *look.deletion(names.index(class_name), region, method))


class Near:
    """One photo's forward of a model of this process, ready to be asked about."""

    def __init__(self, explainer: "Explainer", pixels: NDArray[np.uint8]) -> None:
        from seglab.explain.gradcam import as_image

        self._explainer, self._image = explainer, as_image(pixels)
        self._look = explainer.look(self._image)
        self.labels = self._look.labels

    def cam(self, class_id: int, region: NDArray[np.bool_], method: Method) -> tuple[NDArray[np.float32], float]:
        """Return a class's map, ``(h, w)``, and its mean score over the region."""
        from seglab.explain.gradcam import class_mean

        target = class_mean(class_id, region)
        return self._look.cam(target, method), float(target(self._look.scores.detach()))

    def deletion(
        self, class_id: int, region: NDArray[np.bool_], method: Method
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what blanking the evidence does, and blanking elsewhere."""
        from seglab.explain.gradcam import class_mean, deletion

        target = class_mean(class_id, region)
        return deletion(self._explainer, self._image, self._look.cam(target, method), target, SHARES)


class Far:
    """The same of a model in a process of its own."""

    def __init__(self, apart: Apart, layer: str, pixels: NDArray[np.uint8]) -> None:
        self._apart, self._layer, self._pixels = apart, layer, pixels
        self.labels: NDArray[np.uint8] = self._ask("look")[1][0]

    def _ask(self, what: str, *arrays: NDArray[np.uint8], **said: object) -> tuple[Said, Arrays]:
        return self._apart.ask({"ask": what, "layer": self._layer, **said}, (self._pixels, *arrays))

    def cam(self, class_id: int, region: NDArray[np.bool_], method: Method) -> tuple[NDArray[np.float32], float]:
        """Return a class's map, ``(h, w)``, and its mean score over the region."""
        said, (raw,) = self._ask("cam", region.astype(np.uint8), class_id=class_id, method=method)
        return raw, float(said["value"])

    def deletion(
        self, class_id: int, region: NDArray[np.bool_], method: Method
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return what blanking the evidence does, and blanking elsewhere."""
        _, (evidence, elsewhere) = self._ask(
            "deletion", region.astype(np.uint8), class_id=class_id, method=method, shares=SHARES
        )
        return evidence, elsewhere


def _key(model: Model, photo: ShownPhoto, depth: Depth, method: Method, question: Question) -> tuple[object, ...]:
    """Return what an answer is kept by; what a model predicts hangs on no layer and no method."""
    how = () if question == Question() else (depth, method)
    return (model.id, photo.sha256, *how, question)


def _missing(class_name: str, names: Sequence[str]) -> str:
    known = class_name in names
    return (
        f"This model predicts no {class_name} here." if known else f"This model does not know the class {class_name}."
    )


def asked(
    question: Question, labels: NDArray[np.uint8], names: tuple[str, ...]
) -> tuple[str, NDArray[np.bool_] | None]:
    """Return the class that a question is about and the region over which its score is read; none where there is none."""
    if question.class_name is None:
        inside = labels[region_of(question.box, *labels.shape)] if question.box else labels.ravel()
        class_name = names[int(np.bincount(inside[inside != VOID], minlength=len(names)).argmax())]
    else:
        class_name = question.class_name
    if class_name not in names:
        return class_name, None
    region = _region(question, labels, names.index(class_name))
    return class_name, region if region.any() else None


def _region(question: Question, labels: NDArray[np.uint8], class_id: int) -> NDArray[np.bool_]:
    return labels == class_id if question.box is None else region_of(question.box, *labels.shape)


def _kept(shelf: "OrderedDict[K, T]", key: K, make: Callable[[], T], most: int) -> T:
    """Return what is kept under a key, made where it is missing; the one unused for longest makes room."""
    if key not in shelf:
        while len(shelf) >= most:
            shelf.popitem(last=False)
        shelf[key] = make()
    shelf.move_to_end(key)
    return shelf[key]


@st.cache_resource(show_spinner=False)  # type: ignore[untyped-decorator]
def cam_bench() -> CamBench:
    """Return the process's bench."""
    return CamBench()
