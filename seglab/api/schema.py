"""What the REST service answers, as its OpenAPI page tells it."""

from typing import Any

from pydantic import BaseModel


class Problem(BaseModel):
    """Why a request was refused."""

    error: str


class ModelInfo(BaseModel):
    """A model that can be asked."""

    key: str
    title: str
    label_space: str
    label_spaces: list[str]
    parameters: int | None
    miou: float | None  # on the validation split
    test_miou: float | None
    test_origin: str  # how test was measured, or why there is no figure
    beside_test: str  # how far val lies from test, and why; empty where one of them is missing
    data: str
    run: str
    weights_sha256: str
    loaded: bool


class ClassShare(BaseModel):
    """A class that occurs in the photo."""

    id: int
    name: str
    colour: str
    share_frac: float


class Answer(BaseModel):
    """What a model sees in a photo. Pictures are data URLs; ``mask`` is a PNG of class ids at the photo's own size."""

    model: str
    title: str
    run: str
    weights_sha256: str
    label_space: str
    width: int
    height: int
    original: str
    mask: str
    overlay: str
    classes: list[ClassShare]
    latency_ms: dict[str, float]
    engine: str


class BatchItem(BaseModel):
    """The answer to one image of several, or why there is none."""

    name: str
    answer: Answer | None = None
    error: str | None = None


class Corrupted(BaseModel):
    """A photo under a corruption; equal seeds give equal pictures."""

    corruption: str
    title: str
    severity: int
    parameters: dict[str, Any]
    seed: int
    image: str


class Ready(BaseModel):
    """Whether all models are loaded."""

    ready: bool
    loaded: list[str]
    failed: dict[str, str]
