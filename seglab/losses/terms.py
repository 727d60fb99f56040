"""Losses of dense segmentation, and recipes that add them up.

Sums run over the valid pixels of the batch and over all C classes; an all-ignored target gives a finite 0, and the logits
at ignored pixels change neither loss nor gradient. Everything is computed in float32 at least.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE_INDEX = 255
MAP_CLIP_PX = 127  # of seglab.losses.distance: a map of 127 is a phi of 1


class Pixels:
    """A batch as the losses of one recipe see it: what several of them need is computed once.

    Args:
        logits: ``(N, C, H, W)``, any float type.
        target: ``(N, H, W)`` int64, 255 ignored.
        class_weights: ``(C,)`` or none.
        maps: ``(N, C, H, W)`` int8 signed distance maps in px, for the boundary loss.
    """

    def __init__(
        self, logits: Tensor, target: Tensor, class_weights: Tensor | None = None, maps: Tensor | None = None
    ) -> None:
        self.logits = _wide(logits).contiguous()
        self.target, self.maps = target, maps
        self.class_weights = None if class_weights is None else class_weights.to(self.logits)
        self.num_classes = logits.shape[1]

    @cached_property
    def valid(self) -> Tensor:
        """``(N, H, W)`` bool: pixels that count."""
        return self.target != IGNORE_INDEX

    @cached_property
    def log_probs(self) -> Tensor:
        """``(N, C, H, W)`` log-softmax."""
        return F.log_softmax(self.logits, 1)

    @cached_property
    def probs(self) -> Tensor:
        """``(N, C, H, W)`` softmax."""
        return self.log_probs.exp()

    def of_target(self, values: Tensor) -> Tensor:
        """Return ``(N, H, W)``: the value of each pixel's own class, 0 at ignored pixels."""
        index = self.target.masked_fill(~self.valid, 0)
        return values.gather(1, index[:, None])[:, 0].masked_fill(~self.valid, 0)

    def mean(self, values: Tensor) -> Tensor:
        """Return the mean of ``(N, H, W)`` over valid pixels, weighted by their classes; 0 where none is valid."""
        if self.class_weights is None:
            return values.sum() / self.valid.sum().clamp_min(1)
        counts = self.class_counts().to(values) * self.class_weights
        weights = self.class_weights[self.target.masked_fill(~self.valid, 0)]
        return (values * weights).sum() / counts.sum().clamp_min(torch.finfo(values.dtype).tiny)

    def class_counts(self) -> Tensor:
        """Return ``(C,)``: valid pixels of each class."""
        return torch.bincount(self.target[self.valid], minlength=self.num_classes)


def _wide(logits: Tensor) -> Tensor:
    """Return logits in float32, or in float64 where they are."""
    return logits if logits.dtype == torch.float64 else logits.float()


def _cross_entropy(pixels: Pixels, _: float = 0.0) -> Tensor:
    return pixels.mean(-pixels.of_target(pixels.log_probs))


def cross_entropy(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Return the mean cross entropy over valid pixels, weighted by class where weights are given; see :class:`Pixels`."""
    return _cross_entropy(Pixels(logits, target, class_weights))


def _focal(pixels: Pixels, gamma: float) -> Tensor:
    log_p = pixels.of_target(pixels.log_probs)
    doubt = (-torch.expm1(log_p)).clamp_min(1e-8)  # 1 - p; a root of exactly 0 has no slope
    return pixels.mean(-(doubt**gamma) * log_p)


def focal(logits: Tensor, target: Tensor, gamma: float = 2.0, class_weights: Tensor | None = None) -> Tensor:
    """Return the mean over valid pixels of ``-(1 - p)^gamma log p``; ``gamma`` 0 is the cross entropy.

    Source: Lin et al., Focal loss for dense object detection, ICCV 2017.
    """
    return _focal(Pixels(logits, target, class_weights), gamma)


def _dice_scores(pixels: Pixels, eps: float = 1.0) -> Tensor:
    """Return ``(C,)`` soft Dice scores of the batch."""
    probs = pixels.probs
    total = (probs * pixels.valid[:, None]).sum((0, 2, 3))  # (C,)
    labels = pixels.target.masked_fill(~pixels.valid, 0).flatten()
    # millions of float32 added into one cell would lose the last ones
    hits = pixels.of_target(probs).flatten().double()
    inter = hits.new_zeros(pixels.num_classes).index_add(0, labels, hits).to(probs)
    return (2 * inter + eps) / (total + pixels.class_counts().to(probs) + eps)


def _dice(pixels: Pixels, _: float = 0.0) -> Tensor:
    return 1 - _dice_scores(pixels).mean()


def dice(logits: Tensor, target: Tensor) -> Tensor:
    """Return ``1 - mean over classes of (2 sum(p y) + 1) / (sum(p + y) + 1)``, sums over the batch's valid pixels.

    Source: Milletari et al., V-Net, 3DV 2016, in the class-mean form of the published ablation.
    """
    return _dice(Pixels(logits, target))


def _weighted_dice(pixels: Pixels, _: float = 0.0) -> Tensor:
    if pixels.class_weights is None:
        raise ValueError("weighted_dice needs class weights; set class_weights: sqrt_inverse in the recipe")
    return 1 - (_dice_scores(pixels) * pixels.class_weights).sum() / pixels.class_weights.sum()


def weighted_dice(logits: Tensor, target: Tensor, class_weights: Tensor) -> Tensor:
    """Return :func:`dice` with the mean over classes weighted by ``class_weights`` ``(C,)``."""
    return _weighted_dice(Pixels(logits, target, class_weights))


class _MapDot(torch.autograd.Function):
    """``sum(maps * probs)`` over all pixels, plane by plane: the int8 maps never become a float array of full size."""

    @staticmethod
    def forward(ctx: Any, probs: Tensor, maps: Tensor) -> Tensor:
        ctx.save_for_backward(maps)
        ctx.kind = probs.dtype
        planes = zip(probs.flatten(0, 1), maps.flatten(0, 1), strict=True)  # (H, W) each
        return torch.stack([(p * m).sum() for p, m in planes]).sum()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None]:
        (maps,) = ctx.saved_tensors
        return maps.to(ctx.kind).mul_(grads[0]), None


def _boundary(pixels: Pixels, _: float = 0.0) -> Tensor:
    maps = pixels.maps
    if maps is None or maps.shape != pixels.logits.shape or maps.dtype != torch.int8:
        got = None if maps is None else (tuple(maps.shape), maps.dtype)
        raise ValueError(f"expected int8 distance maps of shape {tuple(pixels.logits.shape)}, got {got}")
    counted = maps.masked_fill(~pixels.valid[:, None], 0)
    total = _MapDot.apply(pixels.probs, counted)  # type: ignore[no-untyped-call]
    result: Tensor = total / (MAP_CLIP_PX * pixels.num_classes * pixels.valid.sum().clamp_min(1))
    return result


def boundary(logits: Tensor, target: Tensor, maps: Tensor) -> Tensor:
    """Return ``1 / (C |valid|) sum over classes and valid pixels of phi p``, phi = map / 127: negative where it is good.

    Args:
        logits: ``(N, C, H, W)``.
        target: ``(N, H, W)`` int64, 255 ignored.
        maps: ``(N, C, H, W)`` int8 px, of :func:`seglab.losses.distance.signed_distance_maps`.

    Source: Kervadec et al., Boundary loss for highly unbalanced segmentation, MIDL 2019.
    """
    return _boundary(Pixels(logits, target, maps=maps))


def distillation(logits: Tensor, teacher_logits: Tensor, target: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the mean of KL(teacher || student) over pixels that the teacher gets right or nobody labelled.

    A teacher's mistakes on labelled pixels teach nothing, so they are left out. Times the square of the temperature
    (Hinton et al., Distilling the knowledge in a neural network, 2015).

    Args:
        logits: ``(N, C, H, W)`` of the student.
        teacher_logits: ``(N, C, H, W)``.
        target: ``(N, H, W)`` int64, 255 unlabelled.
        temperature: divides both logits.
    """
    student = F.log_softmax(_wide(logits) / temperature, 1)
    teacher = F.log_softmax(_wide(teacher_logits) / temperature, 1)
    divergence = (teacher.exp() * (teacher - student)).sum(1)  # (N, H, W)
    usable = (target == IGNORE_INDEX) | (teacher_logits.argmax(1) == target)
    return (divergence * usable).sum() / usable.sum().clamp_min(1) * temperature**2


Loss = Callable[[Pixels, float], Tensor]
LOSSES: dict[str, Loss] = {
    "ce": _cross_entropy,
    "dice": _dice,
    "weighted_dice": _weighted_dice,
    "focal": _focal,  # focal(gamma)
    "boundary": _boundary,
}
WITH_ARGUMENT = ("focal",)


@dataclass(frozen=True)
class Term:
    """One term of a recipe's sum."""

    weight: float
    name: str
    argument: float = 0.0  # focal's gamma


def parse_recipe(recipe: str) -> tuple[Term, ...]:
    """Read a weighted sum such as ``ce + 1.0*dice + 0.2*boundary`` or ``focal(0.5)``.

    Raises:
        ValueError: for an unknown loss or a sum that cannot be read.

    >>> parse_recipe("ce + 0.5*focal(2)")
    (Term(weight=1.0, name='ce', argument=0.0), Term(weight=0.5, name='focal', argument=2.0))
    """
    terms: list[Term] = []
    number = r"\d+(?:\.\d+)?"
    for text in recipe.split("+"):
        match = re.fullmatch(rf"\s*(?:({number})\s*\*\s*)?([a-z_]+)\s*(?:\(\s*({number})\s*\))?\s*", text)
        known = match is not None and match[2] in LOSSES and (match[3] is not None) == (match[2] in WITH_ARGUMENT)
        if match is None or not known or match[2] in [term.name for term in terms]:
            names = ", ".join(f"{name}(gamma)" if name in WITH_ARGUMENT else name for name in LOSSES)
            raise ValueError(f"expected a sum of {names} like 'ce + 1.0*dice', got {text.strip()!r} in {recipe!r}")
        terms.append(Term(float(match[1] or 1), match[2], float(match[3] or 0)))
    return tuple(terms)


def needs_maps(recipe: Sequence[Term]) -> bool:
    """Tell whether a recipe asks for signed distance maps."""
    return any(term.name == "boundary" for term in recipe)


def weighted_sum(
    recipe: Sequence[Term],
    logits: Tensor,
    target: Tensor,
    class_weights: Tensor | None = None,
    maps: Tensor | None = None,
) -> Tensor:
    """Return the recipe's sum of losses; shapes as in :class:`Pixels`."""
    pixels = Pixels(logits, target, class_weights, maps)
    return torch.stack([term.weight * LOSSES[term.name](pixels, term.argument) for term in recipe]).sum()
