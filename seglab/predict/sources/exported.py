"""A program that ``torch.export.save`` wrote: one image in, logits, scores or labels out, with a YAML file beside it.

``--model FILE.pt2`` with ``FILE.yaml`` (:mod:`seglab.predict.sources.sidecar`). Torch is given what
:mod:`seglab.predict.sources.pt2` checked and wrote anew, never the file itself.
"""

from pathlib import Path
from typing import TYPE_CHECKING

from seglab.predict.model import Model
from seglab.predict.sources.graphs import PROBE_PX, Graph, model_of
from seglab.predict.sources.hub import HubSource
from seglab.predict.sources.pt2 import Checked, check, holds

if TYPE_CHECKING:
    from seglab.models.adapted import Adapter, Program

_STRIDES = (32, 64)  # a program exported with free sizes often refuses a side of one of its own strides
_SIDES_PX = (1, 2, 3, 5, 7, 11, 16, 20, 31, 40)  # that photos are brought to, in strides
_TILE_PX = (512, 1280)  # the largest


def find(text: str) -> Model | None:
    """Load the program of a file; imports torch. None for anything else.

    Raises:
        ValueError: where it cannot be used, or nobody says what its classes are; the message holds the likely reading.
    """
    path = Path(text)
    if path.suffix.lower() != ".pt2" or not path.is_file():
        return None
    from seglab.models.adapted import AdaptedDense

    checked = check(path)
    net = _load(path, checked)
    graph = _read(path, net, checked)
    notes: tuple[str, ...] = ()
    if checked.free and graph.fixed_px:
        notes = ("its height and width are free, but not for every size that a photo may have; it is asked in one",)

    def source(graph: Graph, adapter: "Adapter") -> HubSource:
        known = sum(map(len, adapter.members)) + len(adapter.others)
        net.output, net.known, net.last = graph.output, known, graph.last
        return HubSource(AdaptedDense(net, adapter).eval(), {})

    return model_of(path, "exported", graph, source, notes)


def _load(path: Path, checked: Checked) -> "Program":
    import torch

    from seglab.models.adapted import Program

    try:
        program = torch.export.load(checked.archive)
        return Program(program.module(check_guards=False), checked.at).eval()
    except Exception as error:  # torch has its own words for each of a hundred mistakes
        raise ValueError(f"{path.name} cannot be read by this torch ({torch.__version__}): {_first(error)}") from None


def _read(path: Path, net: "Program", checked: Checked) -> Graph:
    """Return what a program tells of itself, with one answer to a sample.

    Raises:
        ValueError: where it answers anything but one image.
    """
    import torch

    strides = [stride for stride in _STRIDES if checked.free and _is_free(net, checked, stride)]
    bare = Graph(False, False, None, stride=strides[0]) if strides else Graph(False, False, checked.size_px)
    size = bare.fixed_px or PROBE_PX
    try:
        with torch.inference_mode():
            answer = net.answer(torch.rand((1, 3, *size), generator=torch.Generator().manual_seed(0))).numpy()
    except Exception as error:
        raise ValueError(
            f"{path.name} does not answer an image of {size[1]}x{size[0]} pixels: {_first(error)}"
        ) from None
    return bare.answering(path.name, answer, size)


def _is_free(net: "Program", checked: Checked, stride: int) -> bool:
    """Whether a program answers every size that a photo is brought to, as far as its guards and shapes tell."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    sides = [stride * times for times in _SIDES_PX if stride * times <= max(_TILE_PX)]
    sizes = [(h, w) for h in sides for w in sides if min(h, w) <= min(_TILE_PX)]
    if not all(holds(checked.guards, *size) for size in sizes):
        return False
    try:
        for size in (sizes[0], (stride, 3 * stride), _TILE_PX, _TILE_PX[::-1]):
            with FakeTensorMode(allow_non_fake_inputs=True) as mode, torch.no_grad():
                net.answer(mode.from_tensor(torch.empty(1, 3, *size)))
    except Exception:  # a constraint of its own, in its own words
        return False
    return True


def _first(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__
