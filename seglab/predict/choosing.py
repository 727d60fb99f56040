"""Which scenes the first screen shows: the criterion, written down before any answer to a candidate was looked at.

Each sample has a hundred seeds of its own, tried in their order; the first that meets all of :class:`Criterion` is taken:

1. *Sensible*: every model of the first screen labels at least ``right`` of the scene's labelled pixels as its exact mask does.
2. *They differ*: not all of them agree on ``differ[0]`` to ``differ[1]`` of the pixels.
3. *Instructive*: of :data:`SMALL` classes that hold at least ``share`` of the pixels, best and worst model lie at least ``gap``
   of IoU apart in at least two, and no one model is best in all of those.

Where none of the hundred meets all, ``right`` is lowered by 0.05 at a time, and what was taken is said.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from seglab.labels import space
from seglab.measure.metrics import confusion_matrix, iou_per_class

CANDIDATES = 100  # seeds of each sample
SMALL = ("pole", "sign", "car", "pedestrian", "bicyclist")


@dataclass(frozen=True)
class Criterion:
    """What a scene must meet; fractions."""

    right: float = 0.80
    differ: tuple[float, float] = (0.03, 0.20)
    share: float = 0.003
    gap: float = 0.15

    def unmet(self, labels: Mapping[str, NDArray[np.uint8]], mask: NDArray[np.uint8]) -> str:
        """Return which part a scene fails, in a few words; empty where it meets all.

        Args:
            labels: ``(H, W)`` ids of camvid-11 by model.
            mask: ``(H, W)`` the exact ids, 255 void.
        """
        counts = {key: confusion_matrix(ids, mask, len(_names())) for key, ids in labels.items()}
        right = {key: np.trace(table) / max(table.sum(), 1) for key, table in counts.items()}
        worst = min(right, key=right.__getitem__)
        if right[worst] < self.right:
            return f"not sensible: {worst} has {right[worst]:.0%} of the pixels right"
        stack = np.stack(list(labels.values()))
        differ = float((stack != stack[0]).any(0).mean())
        if not self.differ[0] <= differ <= self.differ[1]:
            return f"they differ on {differ:.0%} of the pixels"
        first = next(iter(counts.values()))
        share = first.sum(1) / max(first.sum(), 1)
        ious = {key: iou_per_class(table) for key, table in counts.items()}
        best = []
        for name in SMALL:
            at = _names().index(name)
            of = {key: float(iou[at]) for key, iou in ious.items()}
            if share[at] >= self.share and max(of.values()) - min(of.values()) >= self.gap:
                best.append(max(of, key=of.__getitem__))
        if len(best) < 2:
            return f"{len(best)} small classes tell them apart"
        return "one model is best in all small classes" if len(set(best)) < 2 else ""


def _names() -> Sequence[str]:
    return space("camvid-11").names


Labels = Mapping[str, NDArray[np.uint8]]


def choose(
    answered: Callable[[int], tuple[Labels, NDArray[np.uint8]]], first: int, criterion: Criterion | None = None
) -> Iterator[tuple[int, str]]:
    """Yield each seed that was tried and what the criterion says of it; the last one meets it, unless none does.

    Args:
        answered: maps a seed to the labels by model and the exact mask.
        first: of the hundred seeds.
        criterion: to begin with; eased where no seed meets it.
    """
    criterion = criterion or Criterion()
    kept: dict[int, tuple[Labels, NDArray[np.uint8]]] = {}
    while criterion.right > 0:
        for seed in range(first, first + CANDIDATES):
            kept[seed] = kept[seed] if seed in kept else answered(seed)
            why = criterion.unmet(*kept[seed])
            yield seed, why or f"meets all, with at least {criterion.right:.0%} of the pixels right"
            if not why:
                return
        criterion = replace(criterion, right=round(criterion.right - 0.05, 2))
