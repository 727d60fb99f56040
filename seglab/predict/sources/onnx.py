"""An ONNX file: one image in, logits, scores or labels out, with a YAML file beside it that says what its classes are.

``--model FILE.onnx`` with ``FILE.yaml`` (:mod:`seglab.predict.sources.sidecar`). What the graph itself tells (layout, size,
kind of number, number of classes) is read from it; what it does not tell is asked for with the likely reading, never guessed.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seglab.predict.model import Model, WithoutNetwork
from seglab.predict.sources.graphs import MAX_BYTES, PROBE_PX, Graph, model_of

if TYPE_CHECKING:
    from seglab.models.adapted import Adapter

_ELSEWHERE = b"\n\x08location"  # a tensor's data in a file beside it, as protobuf writes it


@dataclass(frozen=True)
class OnnxSource(WithoutNetwork):
    """A file that is read when it is asked."""

    path: Path
    graph: Graph
    adapter: "Adapter"

    why = "an ONNX file has no gradients and no torch network"

    def engine(self) -> "OnnxEngine":
        """Return the engine that answers images."""
        return OnnxEngine(_compiled(self.path), self.graph, self.adapter)


class OnnxEngine:
    """OpenVINO on an ONNX file, behind the contract of :class:`seglab.predict.engines.Engine`."""

    def __init__(self, compiled: Any, graph: Graph, adapter: "Adapter") -> None:
        import openvino

        self.name = f"OpenVINO {openvino.__version__.split('-')[0]} (ONNX)"
        self._compiled, self._graph, self._adapter = compiled, graph, adapter

    def prepare(self, shape: tuple[int, ...]) -> None:
        """Do nothing: the file's own graph takes any shape that it can."""

    def scores(self, image: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return ``(C or C + 1, H, W)`` scores of a ``(1, 3, H, W)`` image."""
        import torch

        from seglab.models.adapted import as_logits

        with torch.inference_mode():
            own = self._adapter.image(torch.from_numpy(image))
            found = torch.from_numpy(np.array(_asked(self._compiled, own.numpy(), self._graph)))
            known = sum(map(len, self._adapter.members)) + len(self._adapter.others)
            logits = as_logits(found, self._graph.output, known, last=self._graph.last)
            whole = self._adapter.classes(self._adapter.at_size(logits, *image.shape[-2:]))
            out: NDArray[np.float32] = torch.softmax(whole, 1)[0].numpy()
        return out


def find(text: str) -> Model | None:
    """Return the model of an ONNX file; none for anything else.

    Raises:
        ValueError: where the file cannot be used, or nobody says what its classes are; the message holds the likely reading.
    """
    path = Path(text)
    if path.suffix.lower() != ".onnx" or not path.is_file():
        return None
    check_file(path)
    return model_of(path, "onnx", read_graph(path), partial(OnnxSource, path))


def check_file(path: Path) -> None:
    """Check a file before a library reads it.

    Raises:
        ValueError: where it is too large, or keeps tensors in files beside it.
    """
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path.name} is larger than {MAX_BYTES // 2**30} GiB")
    kept = b""
    with open(path, "rb") as file:
        while chunk := file.read(2**22):
            if _ELSEWHERE in kept + chunk:
                raise ValueError(f"{path.name} keeps tensors in a file beside it; save the model as one file")
            kept = chunk[-len(_ELSEWHERE) :]


def _compiled(path: Path) -> Any:
    from seglab.predict.engines import import_openvino, openvino_core

    ov = import_openvino()
    if ov is None:
        raise ValueError("an ONNX file needs OpenVINO: pip install -r requirements.txt")
    try:
        core = openvino_core(ov)
        exact = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}  # there is no torch to compare with
        return core.compile_model(core.read_model(path), "CPU", exact)
    except Exception as error:  # whatever the parser says of a stranger's file
        raise ValueError(f"{path.name} cannot be read: {_first(error)}") from None


def read_graph(path: Path) -> Graph:
    """Return what a graph tells of itself, with one answer to a sample.

    Raises:
        ValueError: where it takes or answers anything but one image.
    """
    compiled = _compiled(path)
    if len(compiled.inputs) != 1:
        raise ValueError(f"{path.name} takes {len(compiled.inputs)} inputs; expected one image")
    shape = [dim.get_length() if dim.is_static else 0 for dim in compiled.inputs[0].partial_shape]
    if len(shape) != 4 or 3 not in (shape[1], shape[3]) or shape[0] not in (0, 1):
        raise ValueError(f"{path.name} takes {shape} (0 is free); expected one image of 3 channels, NCHW or NHWC")
    nhwc = shape[1] != 3
    kind = str(compiled.inputs[0].element_type.to_string())
    if kind not in ("f32", "f16", "u8"):
        raise ValueError(f"{path.name} takes numbers of kind {kind}; expected float or uint8")
    height, width = (shape[1], shape[2]) if nhwc else (shape[2], shape[3])
    fixed = (height, width) if height and width else None
    bare = Graph(nhwc, kind == "u8", fixed)
    sample = np.random.default_rng(0).random((1, 3, *(fixed or PROBE_PX)), np.float32) * (255 if kind == "u8" else 1)
    return bare.answering(path.name, np.asarray(_asked(compiled, sample, bare)), sample.shape[-2:])


def _asked(compiled: Any, image: NDArray[np.float32], graph: Graph) -> NDArray[Any]:
    """Return the first answer to ``(1, 3, H, W)`` values as the graph wants them."""
    own = image.transpose(0, 2, 3, 1) if graph.nhwc else image
    own = np.clip(np.rint(own), 0, 255).astype(np.uint8) if graph.uint8 else own.astype(np.float32)
    found: NDArray[Any] = compiled(np.ascontiguousarray(own))[0]
    return found


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next(
        (line[:200] for line in lines if not line.startswith(("Exception from", "Check '"))), type(error).__name__
    )
