"""What a file of a graph tells of itself, and the model that this and the YAML file beside it make: ONNX, torch.export."""

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from seglab.labels import SPACES, space
from seglab.predict.model import Facts, Model, Source
from seglab.predict.sources.hub import said_of
from seglab.predict.sources.sidecar import OUTPUTS, told_beside
from seglab.records.files import sha256_file

if TYPE_CHECKING:
    from seglab.models.adapted import Adapter

MAX_BYTES = 2 * 2**30
PROBE_PX = (96, 128)


@dataclass(frozen=True)
class Graph:
    """What a graph tells of itself."""

    nhwc: bool
    uint8: bool
    fixed_px: tuple[int, int] | None
    last: bool = False  # classes stand last in the answer
    num_classes: int = 0  # 0 where the answer is labels
    output: str = "logits"  # of OUTPUTS
    stride: int = 32  # photos are padded to multiples of it, where no size is fixed

    def answering(self, name: str, answer: NDArray[Any], size: tuple[int, int]) -> "Graph":
        """Return the graph with what an answer to a sample of noise, of a height and width, tells.

        Raises:
            ValueError: where it is no answer for every pixel.
        """
        if answer.ndim == 3 or (answer.ndim == 4 and 1 in (answer.shape[1], answer.shape[3])):
            return replace(self, output="labels", last=answer.ndim == 4 and answer.shape[3] == 1)
        if answer.ndim != 4 or answer.shape[0] != 1 or 0 in answer.shape:
            raise ValueError(f"{name} answers an array {answer.shape}; expected classes for pixels")
        last = abs(answer.shape[1] / answer.shape[2] - size[0] / size[1]) < 0.1
        last = last and answer.shape[3] < min(answer.shape[1:3])
        sums = answer.sum(-1 if last else 1)
        is_scores = answer.min() >= -1e-4 and answer.max() <= 1.0001 and bool(abs(sums - 1).max() < 1e-2)
        count = int(answer.shape[3 if last else 1])
        return replace(self, last=last, num_classes=count, output="scores" if is_scores else "logits")

    @property
    def takes(self) -> str:
        """Layout and kind of the input, in words."""
        return f"{'NHWC' if self.nhwc else 'NCHW'} {'uint8' if self.uint8 else 'float'}"


def model_of(
    path: Path, key: str, graph: Graph, source: Callable[[Graph, "Adapter"], Source], notes: tuple[str, ...] = ()
) -> Model:
    """Return the model of a file whose graph is read.

    Args:
        path: of the file; its YAML lies beside it.
        key: of the kind of file.
        graph: what it tells of itself.
        source: makes the source of the graph as it is read and what adapts images and classes.
        notes: what else has to be told of it.

    Raises:
        ValueError: where nobody says what its classes are, with the likely reading, or the two do not fit.
    """
    from seglab.models.adapted import Adapter, Input

    beside = path.with_suffix(".yaml")
    told = told_beside(beside)
    if told.label_space is None and not told.classes:
        raise ValueError(_asks(path, graph))
    if told.output and (told.output == "labels") != (graph.output == "labels"):
        raise ValueError(f"{beside.name}, output: the graph answers {graph.output}, not {told.output}")
    graph = replace(graph, output=told.output or graph.output)
    count = graph.num_classes or len(told.classes) or space(str(told.label_space)).num_classes
    if told.classes and len(told.classes) != count:
        raise ValueError(f"{beside.name}, classes: expected {count} names, got {len(told.classes)}")
    names = told.classes or [f"LABEL_{i}" for i in range(count)]
    matched = told.matched(names)
    plain = Input((0.0,) * 3, (1.0,) * 3, 255.0) if graph.uint8 else Input()
    wants = replace(told.applied(plain), stride=1 if graph.fixed_px else graph.stride, fixed_px=graph.fixed_px)
    read = f"read as {graph.takes} in, {graph.output} out"
    return Model(
        key=re.sub(r"[^a-z0-9._-]+", "-", path.stem.lower()).strip("-._")[:40] or key,
        title="".join(c for c in path.stem if c.isprintable())[:60].replace("<", "‹"),
        label_space=matched.space,
        sha256=sha256_file(path),
        network={"key": key, "input": repr(wants), "output": graph.output, "ids": list(matched.ids)},
        facts=Facts(path.name, "published", notes=(read, *notes, *said_of(matched, wants))),
        source=source(graph, Adapter(wants, matched.ids, space(matched.space).num_classes).eval()),
        stride=1,
        foreign=True,
    )


def _asks(path: Path, graph: Graph) -> str:
    """Return the question for what the graph does not tell, with the likely reading."""
    size = f"{graph.fixed_px[1]}x{graph.fixed_px[0]} pixels" if graph.fixed_px else "any size"
    count = f"{graph.num_classes} classes" if graph.num_classes else "labels of unnamed classes"
    fitting = [key for key, one in SPACES.items() if one.num_classes == graph.num_classes]
    key = fitting[0] if len(fitting) == 1 else "KEY"
    values = "" if graph.uint8 else ", mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225], scale: 1, colour: rgb"
    return (
        f"{path.name} ({graph.takes}, {size}, {count} as {graph.output}) does not say what its classes are. Put "
        f"{path.with_suffix('.yaml').name} beside it; likely, but to be checked by you: {{label_space: {key}{values}, "
        f"output: {graph.output}}} (output is one of {', '.join(OUTPUTS)})"
    )
