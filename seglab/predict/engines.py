"""What turns a normalised image into class scores: OpenVINO on the CPU, torch as the reference and for CUDA.

Both take ``(1, 3, H, W)`` float32, H and W multiples of 32, and give ``(C, H, W)`` float32 scores that sum to 1 over C.
"""

import contextlib
import functools
import importlib
import logging
import os
import sys
import threading
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any, Literal, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from seglab.models import QueryModel
from seglab.models.dense import score_dense
from seglab.models.mask2former import QueryOutput, query_scores, symbolic_sizes

EngineName = Literal["auto", "openvino", "torch"]
Array = NDArray[np.float32]
_COMPILED_SHAPES = 3  # compiled shapes kept per model; each holds its own buffers
_CACHED_SHAPES = 64  # compiled shapes kept on disk, of all models; some 20 MB each
_CACHED_MODELS = 32  # conversions kept on disk
_CONVERTING = threading.Lock()
_PARITY_PX = ((203, 331), (320, 448))
LEAST_EQUAL = 0.995  # of the labels, for another engine to stand for torch
_TOO_LOW = ("SSE41", "AVX", "AVX2", "AVX2_VNNI", "AVX2_VNNI_2")  # of ONEDNN_MAX_CPU_ISA, for OpenVINO

log = logging.getLogger(__name__)


def cache_folder() -> Path:
    """Return where converted models are kept: ``$SEGLAB_CACHE``, else the user's cache folder."""
    base = os.environ.get("SEGLAB_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "seglab"


class Scorer(nn.Module):
    """A model with its post-processing: image in, scores at input size out, for dense and query models alike."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(N, C, H, W)`` scores that sum to 1 over C."""
        if isinstance(self.model, QueryModel):
            answer: QueryOutput = self.model(image)
            size = (image.shape[-2], image.shape[-1])
            return query_scores(answer.class_logits, answer.mask_logits, *size, scale=self.model.mask_scale)
        return score_dense(self.model(image))


class Engine(Protocol):
    """One loaded model, ready to score images."""

    name: str

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Do what has to be done once per input shape, so that it is not timed as a forward pass."""
        ...

    def scores(self, image: Array) -> Array:
        """Return ``(C, H, W)`` scores of a ``(1, 3, H, W)`` image."""
        ...


class TorchEngine:
    """Eager fp32 torch: the reference, and the engine on CUDA."""

    def __init__(self, model: nn.Module) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.name = f"torch {torch.__version__} ({self.device.type})"
        self._scorer = Scorer(model).to(self.device).eval()

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Do nothing: eager torch takes any shape."""

    def scores(self, image: Array) -> Array:
        """Return ``(C, H, W)`` scores of a ``(1, 3, H, W)`` image."""
        with torch.inference_mode():
            out: Array = self._scorer(torch.from_numpy(image).to(self.device))[0].float().cpu().numpy()
        return out


@functools.cache
def openvino_core(ov: Any) -> Any:
    """Return the process's only core.

    The CPU plugin lays a signal stack under the thread that loads it and frees it with the core. Where several cores
    come and go, the thread is left with a freed one, and the next signal with a Python handler kills the process.

    Raises:
        RuntimeError: where ``ONEDNN_MAX_CPU_ISA`` keeps kernels below what the processor has: the plugin plans with the
            processor's own instructions all the same, and a segmentation fault follows (2026.4).
    """
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA", "").upper()
    if limit in _TOO_LOW:
        raise RuntimeError(f"OpenVINO crashes with ONEDNN_MAX_CPU_ISA={limit}; unset it for the fast engine")
    return ov.Core()


def import_openvino() -> Any:
    """Import OpenVINO with its converter's telemetry off; none where it is not installed."""
    # The converter sends usage statistics unless this package is absent; its own stub then takes over.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        return importlib.import_module("openvino")
    except ImportError:
        return None


class OpenVINOEngine:
    """A model converted once, cached on disk by ``key``, compiled per input shape.

    Args:
        model: called only where the cache has no converted model.
        key: names weights and versions; equal keys share a cached conversion.
        folder: the cache.
        exact: in float32; on processors with bfloat16 units OpenVINO takes those otherwise.

    Raises:
        RuntimeError: where OpenVINO is not installed or cannot convert the model.
    """

    def __init__(self, model: nn.Module, key: str, folder: Path | None = None, *, exact: bool = False) -> None:
        ov = import_openvino()
        if ov is None:
            raise RuntimeError("OpenVINO is not installed")
        self.name = f"OpenVINO {ov.__version__.split('-')[0]}"
        folder = folder or cache_folder()
        path = folder / f"{key}-{ov.__version__.split('-')[0]}-{torch.__version__}.xml"
        self._core = openvino_core(ov)
        self._config = {"PERFORMANCE_HINT": "LATENCY", "CACHE_DIR": str(folder / "compiled")}
        if exact:
            self._config["INFERENCE_PRECISION_HINT"] = "f32"
        with contextlib.suppress(OSError):
            os.utime(path)  # used last, dropped last
        if not path.exists():
            convert(ov, Scorer(model).eval(), path)
        try:
            self._graph = self._core.read_model(path)
        except RuntimeError:  # a damaged cache entry: make it again
            convert(ov, Scorer(model).eval(), path)
            self._graph = self._core.read_model(path)
        self._compiled: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        _prune(folder)

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Compile the model for this shape, if it is not yet."""
        self._at(shape)

    def _at(self, shape: tuple[int, ...]) -> Any:
        if shape in self._compiled:
            self._compiled.move_to_end(shape)
            return self._compiled[shape]
        graph = self._graph.clone()
        graph.reshape(list(shape))
        compiled = self._core.compile_model(graph, "CPU", self._config)
        while len(self._compiled) >= _COMPILED_SHAPES:
            self._compiled.popitem(last=False)
        self._compiled[shape] = compiled
        return compiled

    def scores(self, image: Array) -> Array:
        """Return ``(C, H, W)`` scores of a ``(1, 3, H, W)`` image."""
        out: Array = self._at(image.shape)(image)[0][0]
        return out.copy()


def convert(ov: Any, scorer: nn.Module, path: Path) -> None:
    """Convert a scorer to OpenVINO's format with free height and width, and store it atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with _CONVERTING, symbolic_sizes(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's remarks on shapes; a test compares the result with torch
        graph = ov.convert_model(scorer, example_input=torch.zeros(1, 3, 384, 512))
        partial = path.with_name(f"{path.stem}-{os.getpid()}.xml")
        ov.save_model(graph, partial, compress_to_fp16=False)
        partial.with_suffix(".bin").replace(path.with_suffix(".bin"))
        partial.replace(path)


def _prune(folder: Path) -> None:
    """Drop the oldest conversions and compiled shapes, so that ever new photos and runs do not fill the disk."""
    with contextlib.suppress(OSError):  # another process may do the same
        for pattern, most in (("compiled/*.blob", _CACHED_SHAPES), ("*.xml", _CACHED_MODELS)):
            for old in sorted(folder.glob(pattern), key=lambda path: path.stat().st_mtime)[:-most]:
                old.unlink(missing_ok=True)
                old.with_suffix(".bin").unlink(missing_ok=True)


def agreement(fast: Engine, reference: Engine) -> float:
    """Return the least share of equal labels of two engines on two samples of different sizes, one of odd sides."""
    equal = []
    for seed, (height, width) in enumerate(_PARITY_PX):
        pixels = cv2.resize(np.random.default_rng(seed).random((12, 16, 3), np.float32), (width, height))
        image = np.ascontiguousarray(((pixels - 0.45) / 0.225).transpose(2, 0, 1)[None], np.float32)
        fast.prepare(image.shape)
        equal.append(float((fast.scores(image).argmax(0) == reference.scores(image).argmax(0)).mean()))
    return min(equal)


def make_engine(
    model: nn.Module, key: str, engine: EngineName = "auto", *, check: bool = False
) -> tuple[Engine, str | None]:
    """Pick the fastest engine of this machine.

    Args:
        model: of :mod:`seglab.models`.
        key: names weights and versions, for the cache.
        engine: ``auto`` takes OpenVINO on the CPU and torch on CUDA.
        check: compare the fast engine's labels with torch's first, for networks that no test of this project knows.

    Returns:
        The engine, and a sentence that says why it is not the fast one (none where it is).

    Raises:
        ValueError: where OpenVINO is asked for by name and cannot be used.
    """
    if engine == "torch" or (engine == "auto" and torch.cuda.is_available()):
        return TorchEngine(model), None
    try:
        fast = OpenVINOEngine(model, key)
        if not check or agreement(fast, reference := TorchEngine(model)) >= LEAST_EQUAL:
            return fast, None
        fast = OpenVINOEngine(model, key, exact=True)
        if (equal := agreement(fast, reference)) < LEAST_EQUAL:
            raise RuntimeError(f"OpenVINO answers {equal:.1%} of the labels as torch does")
        return fast, None
    except Exception as error:  # whatever stops the fast engine, the reference still answers
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        if engine == "openvino":
            raise ValueError(f"the OpenVINO engine was asked for and cannot be used: {reason}; take torch") from error
        log.warning("OpenVINO is not used: %s", reason)
        hint = "; pip install openvino for about three times the speed" if "not installed" in reason else ""
        return TorchEngine(model), f"Running on torch because {reason}{hint}."
