"""An ONNX file: one image in, logits, scores or labels out, with a YAML file beside it that says what its classes are.

``--model FILE.onnx`` with ``FILE.yaml`` (:mod:`seglab.predict.sources.sidecar`). What the graph itself tells (layout, size,
kind of number, number of classes) is read from it; what it does not tell is asked for with the likely reading, never guessed.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seglab.labels import SPACES, space
from seglab.predict.model import Facts, Model
from seglab.predict.sources.hub import said_of
from seglab.predict.sources.sidecar import OUTPUTS, told_beside
from seglab.records.files import sha256_file

if TYPE_CHECKING:
    from torch import nn

    from seglab.models.adapted import Adapter

MAX_BYTES = 2 * 2**30
_ELSEWHERE = b"\n\x08location"  # a tensor's data in a file beside it, as protobuf writes it
_PROBE_PX = (96, 128)
_SURE = 20.0  # logit of a label that comes without a score


@dataclass(frozen=True)
class Graph:
    """What an ONNX graph tells of itself."""

    nhwc: bool
    uint8: bool
    fixed_px: tuple[int, int] | None
    last: bool  # classes stand last in the answer
    num_classes: int  # 0 where the answer is labels
    output: str  # of OUTPUTS


@dataclass(frozen=True)
class OnnxSource:
    """A file that is read when it is asked."""

    path: Path
    graph: Graph
    adapter: "Adapter"

    @property
    def layers(self) -> Mapping[str, str]:
        """Nothing: an ONNX file has no gradients."""
        return {}

    def network(self) -> "nn.Module":
        """Refuse: there is no torch network.

        Raises:
            ValueError: always.
        """
        raise ValueError("an ONNX file has no gradients and no torch network")

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

        with torch.inference_mode():
            own = self._adapter.image(torch.from_numpy(image))
            found = torch.from_numpy(np.array(_asked(self._compiled, own.numpy(), self._graph)))
            if self._graph.output == "labels":
                known = sum(map(len, self._adapter.members)) + len(self._adapter.others)
                hot = torch.nn.functional.one_hot(
                    found.reshape(found.shape[-2:])[None].long().clamp(0, known - 1), known
                )
                logits = hot.permute(0, 3, 1, 2).float() * _SURE
            else:
                logits = found.float().permute(0, 3, 1, 2) if self._graph.last else found.float()
                logits = logits if self._graph.output == "logits" else logits.clamp_min(1e-9).log()
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
    from seglab.models.adapted import Adapter, Input

    check_file(path)
    graph = read_graph(path)
    told = told_beside(path.with_suffix(".yaml"))
    if told.label_space is None and not told.classes:
        raise ValueError(_asks(path, graph))
    if told.output and (told.output == "labels") != (graph.output == "labels"):
        raise ValueError(
            f"{path.with_suffix('.yaml').name}, output: the graph answers {graph.output}, not {told.output}"
        )
    graph = Graph(**{**vars(graph), "output": told.output or graph.output})
    count = graph.num_classes or len(told.classes) or space(str(told.label_space)).num_classes
    if told.classes and len(told.classes) != count:
        raise ValueError(f"{path.with_suffix('.yaml').name}, classes: expected {count} names, got {len(told.classes)}")
    names = told.classes or [f"LABEL_{i}" for i in range(count)]
    matched = told.matched(names)
    plain = Input((0.0,) * 3, (1.0,) * 3, 255.0) if graph.uint8 else Input()
    size = {"stride": 1 if graph.fixed_px else 32, "fixed_px": graph.fixed_px}
    wants = Input(**{**vars(told.applied(plain)), **size})
    notes = [f"read as {'NHWC' if graph.nhwc else 'NCHW'} {'uint8' if graph.uint8 else 'float'} in, {graph.output} out"]
    title = "".join(c for c in path.stem if c.isprintable())[:60].replace("<", "‹")
    return Model(
        key=re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")[:40] or "onnx",
        title=title,
        label_space=matched.space,
        sha256=sha256_file(path),
        network={"key": "onnx", "input": repr(wants), "output": graph.output, "ids": list(matched.ids)},
        facts=Facts(path.name, "published", notes=(*notes, *said_of(matched, wants))),
        source=OnnxSource(path, graph, Adapter(wants, matched.ids, space(matched.space).num_classes).eval()),
        stride=1,
        foreign=True,
    )


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
    bare = Graph(nhwc, kind == "u8", fixed, False, 0, "logits")
    sample = np.random.default_rng(0).random((1, 3, *(fixed or _PROBE_PX)), np.float32) * (255 if kind == "u8" else 1)
    answer = np.asarray(_asked(compiled, sample, bare))
    size = sample.shape[-2:]
    if answer.ndim == 3 or (answer.ndim == 4 and 1 in (answer.shape[1], answer.shape[3])):
        return Graph(nhwc, kind == "u8", fixed, False, 0, "labels")
    if answer.ndim != 4 or answer.shape[0] != 1:
        raise ValueError(f"{path.name} answers an array {answer.shape}; expected classes for pixels")
    last = abs(answer.shape[1] / answer.shape[2] - size[0] / size[1]) < 0.1 and answer.shape[3] < min(answer.shape[1:3])
    sums = answer.sum(-1 if last else 1)
    is_scores = answer.min() >= -1e-4 and answer.max() <= 1.0001 and bool(np.abs(sums - 1).max() < 1e-2)
    return Graph(
        nhwc, kind == "u8", fixed, last, int(answer.shape[3 if last else 1]), "scores" if is_scores else "logits"
    )


def _asked(compiled: Any, image: NDArray[np.float32], graph: Graph) -> NDArray[Any]:
    """Return the first answer to ``(1, 3, H, W)`` values as the graph wants them."""
    own = image.transpose(0, 2, 3, 1) if graph.nhwc else image
    own = np.clip(np.rint(own), 0, 255).astype(np.uint8) if graph.uint8 else own.astype(np.float32)
    found: NDArray[Any] = compiled(np.ascontiguousarray(own))[0]
    return found


def _asks(path: Path, graph: Graph) -> str:
    """Return the question for what the graph does not tell, with the likely reading."""
    size = f"{graph.fixed_px[1]}x{graph.fixed_px[0]} pixels" if graph.fixed_px else "any size"
    count = f"{graph.num_classes} classes" if graph.num_classes else "labels of unnamed classes"
    fitting = [key for key, one in SPACES.items() if one.num_classes == graph.num_classes]
    key = fitting[0] if len(fitting) == 1 else "KEY"
    values = "" if graph.uint8 else ", mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], scale: 1, colour: rgb"
    return (
        f"{path.name} ({'NHWC' if graph.nhwc else 'NCHW'} {'uint8' if graph.uint8 else 'float'}, {size}, {count} as "
        f"{graph.output}) does not say what its classes are. Put {path.with_suffix('.yaml').name} beside it; likely, but to be "
        f"checked by you: {{label_space: {key}{values}, output: {graph.output}}} (output is one of {', '.join(OUTPUTS)})"
    )


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return next(
        (line[:200] for line in lines if not line.startswith(("Exception from", "Check '"))), type(error).__name__
    )
