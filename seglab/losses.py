"""Losses of dense segmentation, and recipes that add them up.

Sums run over the valid pixels of the batch and over all C classes; an all-ignored target gives a finite 0.
"""

import re
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

IGNORE_INDEX = 255


def _wide(logits: Tensor) -> Tensor:
    """Return logits in float32, or in float64 where they are."""
    return logits if logits.dtype == torch.float64 else logits.float()


def cross_entropy(logits: Tensor, target: Tensor, class_weights: Tensor | None = None) -> Tensor:
    """Return the mean cross entropy over valid pixels; 0 where none is valid.

    Args:
        logits: ``(N, C, H, W)``, any float type; computed in float32 at least.
        target: ``(N, H, W)`` int64, 255 ignored.
        class_weights: ``(C,)`` or none.
    """
    logits = _wide(logits)
    if not bool((target != IGNORE_INDEX).any()):
        return logits.sum() * 0.0
    weight = None if class_weights is None else class_weights.to(logits)
    return F.cross_entropy(logits, target, weight=weight, ignore_index=IGNORE_INDEX)


def dice(logits: Tensor, target: Tensor, class_weights: Tensor | None = None, eps: float = 1.0) -> Tensor:
    """Return ``1 - mean over classes of (2 sum(p y) + eps) / (sum(p + y) + eps)``, sums over the batch's valid pixels.

    Source: Milletari et al., V-Net, 3DV 2016, in the class-mean form of the published ablation.
    """
    num_classes = logits.shape[1]
    valid = target != IGNORE_INDEX
    logits = _wide(logits)
    if not bool(valid.any()):
        return logits.sum() * 0.0
    probs = logits.softmax(1).permute(0, 2, 3, 1)[valid]  # (P, C)
    labels = target[valid]
    inter = probs.new_zeros(num_classes).index_add(0, labels, probs.gather(1, labels[:, None])[:, 0])
    count = torch.bincount(labels, minlength=num_classes).to(probs)
    score = (2 * inter + eps) / (probs.sum(0) + count + eps)
    return 1 - score.mean()


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


Loss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
LOSSES: dict[str, Loss] = {"ce": cross_entropy, "dice": dice}


def parse_recipe(recipe: str) -> dict[str, float]:
    """Read a weighted sum such as ``ce + 1.0*dice`` into weights by name.

    Raises:
        ValueError: for an unknown loss or a sum that cannot be read.

    >>> parse_recipe("ce + 0.5*dice")
    {'ce': 1.0, 'dice': 0.5}
    """
    weights: dict[str, float] = {}
    for term in recipe.split("+"):
        match = re.fullmatch(r"\s*(?:(\d+(?:\.\d+)?)\s*\*\s*)?([a-z_]+)\s*", term)
        if match is None or match[2] not in LOSSES or match[2] in weights:
            raise ValueError(
                f"expected a sum of {', '.join(LOSSES)} like 'ce + 1.0*dice', got {term.strip()!r} in {recipe!r}"
            )
        weights[match[2]] = float(match[1] or 1)
    return weights


def weighted_sum(recipe: dict[str, float], logits: Tensor, target: Tensor, class_weights: Tensor | None) -> Tensor:
    """Return the recipe's sum of losses."""
    terms = [w * LOSSES[name](logits, target, class_weights) for name, w in recipe.items()]
    return torch.stack(terms).sum()
