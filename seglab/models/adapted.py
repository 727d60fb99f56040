"""Networks that were not built here, behind this project's contract: ImageNet-normalised RGB of any size in, logits out.

An adapted network undoes the contract's normalisation and does its own, pads to the multiple of pixels that it needs and crops
its answer, and puts its classes in the order of a label space: where several are one class there their logits become the
logarithm of the summed exponentials, whose softmax is the sum of theirs. What is no class of the space is one more, "other":
the largest of their logits, so that a label is "other" exactly where the network's own label is one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.fx.node import map_aggregate

from seglab.models import MEAN, STD
from seglab.models.mask2former import QueryModel, QueryOutput

_SURE = 20.0  # logit of a label that comes without a score
OTHER = 255  # in place of an id: a class that the label space does not have


@dataclass(frozen=True)
class Input:
    """What a network wants of an image.

    Attributes:
        mean: per channel, subtracted from values in 0 to ``scale``.
        std: per channel, by which they are then divided.
        scale: 1 for values in 0 to 1, 255 for 0 to 255.
        bgr: blue first.
        stride: height and width have to be multiples of this.
        fixed_px: the only height and width it takes; none where any will do.
    """

    mean: tuple[float, ...] = MEAN
    std: tuple[float, ...] = STD
    scale: float = 1.0
    bgr: bool = False
    stride: int = 1
    fixed_px: tuple[int, int] | None = None


class Adapter(nn.Module):
    """What is done to an image before, and to logits after, a network that was not built here.

    Args:
        wants: what the network wants of an image.
        ids: for each of its classes the id in the label space, or :data:`OTHER`.
        num_classes: of the label space.
    """

    gain: Tensor
    shift: Tensor

    def __init__(self, wants: Input, ids: Sequence[int], num_classes: int) -> None:
        super().__init__()
        self.wants, self.num_classes = wants, num_classes
        self.members = [[at for at, to in enumerate(ids) if to == one] for one in range(num_classes)]
        self.others = [at for at, to in enumerate(ids) if to == OTHER]
        mean, std = torch.tensor(wants.mean) / wants.scale, torch.tensor(wants.std) / wants.scale
        if wants.bgr:  # they are in the network's order: bring them to ours
            mean, std = mean.flip(0), std.flip(0)
        self.register_buffer("gain", (torch.tensor(STD) / std).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", ((torch.tensor(MEAN) - mean) / std).view(1, 3, 1, 1), persistent=False)

    def image(self, image: Tensor) -> Tensor:
        """Return ``(N, 3, H, W)`` as the network wants it, padded or, for one size only, shrunk into its upper left corner."""
        own = image * self.gain + self.shift
        if self.wants.bgr:
            own = own.flip(1)
        if self.wants.fixed_px is None:
            if self.wants.stride == 1:
                return own
            bottom, right = (-side % self.wants.stride for side in own.shape[-2:])
            return F.pad(own, (0, right, 0, bottom), mode="replicate")  # by nothing, too: a trace goes on as it began
        height, width = self._inside(*image.shape[-2:])
        small = F.interpolate(own, size=(height, width), mode="bilinear", antialias=True)
        bottom, right = self.wants.fixed_px[0] - height, self.wants.fixed_px[1] - width
        return F.pad(small, (0, right, 0, bottom), mode="replicate")

    def _inside(self, height: int, width: int) -> tuple[int, int]:
        """Return the size that an image has inside the only one that the network takes; the aspect stays."""
        assert self.wants.fixed_px is not None
        by = min(self.wants.fixed_px[0] / height, self.wants.fixed_px[1] / width)
        return max(1, round(height * by)), max(1, round(width * by))

    def at_size(self, logits: Tensor, height: int, width: int) -> Tensor:
        """Return ``(N, C, height, width)`` of what the network answered to :meth:`image` of such an image."""
        if self.wants.fixed_px is not None:
            whole = F.interpolate(logits, size=self.wants.fixed_px, mode="bilinear")
            small = whole[..., : self._inside(height, width)[0], : self._inside(height, width)[1]]
            return F.interpolate(small, size=(height, width), mode="bilinear")
        stride = self.wants.stride
        padded = (height + -height % stride, width + -width % stride)
        return F.interpolate(logits, size=padded, mode="bilinear")[..., :height, :width]

    def classes(self, logits: Tensor, missing: float = -1e4) -> Tensor:
        """Return logits ``(N, K, ...)`` of the network's classes as those of the space and, where there are any, of "other".

        Args:
            logits: of the network's classes.
            missing: of a class of the space that the network does not know.
        """
        out = []
        for members in self.members:
            if not members:
                out.append(torch.full_like(logits[:, :1], missing))
            elif len(members) == 1:
                out.append(logits[:, members[0] : members[0] + 1])
            else:
                out.append(torch.logsumexp(logits[:, members], 1, keepdim=True))
        if self.others:
            out.append(logits[:, self.others].amax(1, keepdim=True))
        return torch.cat(out, 1)


def as_logits(answer: Tensor, output: str, known: int, *, last: bool = False) -> Tensor:
    """Return logits ``(N, K, h, w)`` of what a network of one image answers.

    Args:
        answer: logits or scores of K classes, or labels ``(N, h, w)`` with or without a dimension of 1.
        output: which of them: logits, scores or labels.
        known: K, for labels.
        last: classes are the last dimension.
    """
    if output == "labels":
        ids = answer.reshape(-1, *(answer.shape[1:3] if last else answer.shape[-2:])).long()
        return F.one_hot(ids.clamp(0, known - 1), known).permute(0, 3, 1, 2).float() * _SURE
    logits = answer.float().permute(0, 3, 1, 2) if last else answer.float()
    return logits if output == "logits" else logits.clamp_min(1e-9).log()


class AdaptedDense(nn.Module):
    """A network that answers logits of every class for every pixel, at any scale of the image."""

    output = "dense"

    def __init__(self, net: nn.Module, adapter: Adapter) -> None:
        super().__init__()
        self.net, self.adapter, self.num_classes = net, adapter, adapter.num_classes

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(N, C or C + 1, H, W)`` logits at input size."""
        answer: Any = self.net(self.adapter.image(image))
        logits = answer if isinstance(answer, Tensor) else answer.logits
        return self.adapter.classes(self.adapter.at_size(logits, *image.shape[-2:]))


class AdaptedQueries(QueryModel):
    """A universal network of Transformers: queries with a class and a mask each."""

    def __init__(self, net: Any, adapter: Adapter) -> None:
        nn.Module.__init__(self)
        self.net, self.adapter, self.num_classes = net, adapter, adapter.num_classes
        self.mask_scale = 4 if adapter.wants.fixed_px is None else 1

    def forward(self, image: Tensor) -> QueryOutput:
        """Return the queries' answer; the last of its classes is "no object", as the contract has it."""
        out = self.net(pixel_values=self.adapter.image(image))
        queries = out.class_queries_logits  # (N, Q, K + 1)
        classes = self.adapter.classes(queries[..., :-1].transpose(1, 2)).transpose(1, 2)
        logits = torch.cat([classes, queries[..., -1:]], -1)
        masks = out.masks_queries_logits
        return QueryOutput(logits, masks if self.mask_scale > 1 else self.adapter.at_size(masks, *image.shape[-2:]))


class _Traced(torch.fx.Interpreter):
    """Runs a program step by step so that a trace keeps its sizes free.

    A trace takes the sizes that an operator of ``torch.ops`` is given for constants, those of the same function in Python not.
    """

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        """Return what one step answers."""
        name = getattr(target, "_opname", "")
        if name == "sym_size":
            return args[0].shape[args[1]]
        if name.startswith(("_assert", "sym_constrain")):
            return None
        if name == "slice":
            defaults: list[Any] = [0, None, None, 1]
            dim, *ends = list(args[1:]) + defaults[len(args) - 1 :]
            return args[0].transpose(0, dim)[slice(*ends)].transpose(0, dim)
        python = next(
            (getattr(home, name) for home in (torch._C._nn, Tensor, torch) if name and hasattr(home, name)), None
        )
        sizes = [one for one in (*args, *kwargs.values()) if isinstance(one, list | tuple)]
        if python is not None and any(isinstance(side, Tensor) for one in sizes for side in one):
            return python(*args, **kwargs)
        return super().call_function(target, args, kwargs)


class Program(nn.Module):
    """A program of ``torch.export`` as a network that answers logits.

    Args:
        program: what ``ExportedProgram.module`` made; it answers a tuple.
        at: which of its answers counts.
    """

    output, known, last = "logits", 0, False  # as in as_logits

    def __init__(self, program: nn.Module, at: int = 0) -> None:
        super().__init__()
        self.at = at
        for module in program.modules():  # a constant is moved with the rest only as a buffer
            for name in [name for name, value in vars(module).items() if isinstance(value, Tensor)]:
                value = getattr(module, name)
                delattr(module, name)
                module.register_buffer(name, value, persistent=False)
        self.program: Any = program

    def answer(self, image: Tensor) -> Tensor:
        """Return the program's own answer."""
        traced = torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        run = _Traced(self.program).run if traced else self.program
        found: Tensor = run(image)[self.at]
        return found

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(N, K, h, w)`` logits."""
        return as_logits(self.answer(image), self.output, self.known, last=self.last)

    def train(self, mode: bool = True) -> "Program":
        """Note the mode and leave the program as it was exported; it knows no other."""
        self.training = mode
        return self

    def _apply(self, fn: Any, recurse: bool = True) -> "Program":
        """Move the tensors that the program makes along with those that it has."""
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        device = fn(torch.zeros(0)).device

        def moved(one: Any) -> Any:
            return device if isinstance(one, torch.device) else one

        for node in self.program.graph.nodes:
            node.args, node.kwargs = map_aggregate(node.args, moved), map_aggregate(node.kwargs, moved)
        self.program.recompile()
        return self
