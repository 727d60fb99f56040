"""Who uses the segmentation, which figure matters to them, and which variant the evidence lets them pick."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from seglab.evidence.classes import Over
from seglab.evidence.curves import ALPHA
from seglab.evidence.words import in_words, p_text

NO_EVIDENCE = "no evidence for any recipe"
ADVICE_SOURCE = (
    "G. Cassez, boundary-loss ablation on Cityscapes, manuscript of 2026-06-02, drawn from figures of which Boundary F1 and "
    "Trimap IoU were corrected afterwards"
)


@dataclass(frozen=True)
class Consumer:
    """One use of the labels.

    Attributes:
        title: on screen.
        metrics: what matters to it; the first that was measured is looked at.
        classes: label space -> the classes that it uses.
        advice: what was published for it, for loss recipes; empty where nothing was.
    """

    title: str
    metrics: tuple[str, ...]
    classes: Mapping[str, tuple[str, ...]]
    advice: str = ""


CONSUMERS: dict[str, Consumer] = {
    "drivable": Consumer(
        "Drivable area, free space",
        ("trimap_iou", "miou"),
        {"camvid-11": ("road", "pavement"), "cityscapes-19": ("road", "sidewalk"), "cityscapes-8": ("flat",)},
        "B: CE + Dice, by Trimap IoU",
    ),
    "lanes": Consumer(
        "Lanes and kerbs as polygons",
        ("boundary_f1",),
        {"camvid-11": ("road", "pavement"), "cityscapes-19": ("road", "sidewalk"), "cityscapes-8": ("flat",)},
        "D: CE + boundary, by Boundary F1",
    ),
    "signs": Consumer(
        "Lights and signs, as crops",
        ("miou",),
        {
            "camvid-11": ("sign", "pole"),
            "cityscapes-19": ("traffic light", "traffic sign"),
            "cityscapes-8": ("object",),
        },
        "B: CE + Dice",
    ),
    "rigid": Consumer(
        "Large rigid objects",
        ("miou",),
        {
            "camvid-11": ("car", "building", "fence"),
            "cityscapes-19": ("truck", "bus", "train", "wall"),
            "cityscapes-8": ("vehicle", "construction"),
        },
        "D: CE + boundary (truck, bus, wall)",
    ),
    "people": Consumer(
        "Vulnerable road users",
        ("miou",),
        {
            "camvid-11": ("pedestrian", "bicyclist"),
            "cityscapes-19": ("person", "rider", "bicycle"),
            "cityscapes-8": ("human",),
        },
        "no recipe matters",
    ),
}


@dataclass(frozen=True)
class Choice:
    """What one measure says about which variant to take."""

    best: str
    value: float
    second: str
    lead: float
    n: int  # seeds or images
    p_holm: float  # of best against second
    pairs: int  # of Holm's family
    surely: tuple[tuple[str, str], ...]  # (ahead, behind), significant after correction
    others: int  # variants beside the best

    @property
    def clear(self) -> bool:
        """Whether the best is significantly ahead of every other variant; ahead of the next alone is not enough."""
        return sum(ahead == self.best for ahead, _ in self.surely) == self.others


def choose(means: Mapping[str, float], pairs: pd.DataFrame) -> Choice | None:
    """Return the best by its mean and how sure that is; none with fewer than two variants.

    Args:
        means: by variant, higher is better; NaN is left out.
        pairs: rows a, b, delta (a - b), n, p_holm over the same variants.
    """
    order = sorted((v for v in means if not np.isnan(means[v])), key=lambda v: -means[v])
    if len(order) < 2:
        return None
    pairs = pairs[pairs["a"].isin(order) & pairs["b"].isin(order)]
    best, second = order[:2]
    row = pairs[pairs["a"].isin([best, second]) & pairs["b"].isin([best, second])].iloc[0]
    sure = pairs[pairs["p_holm"] < ALPHA]
    ahead = tuple(
        (a, b) if delta > 0 else (b, a)
        for a, b, delta in zip(sure["a"].tolist(), sure["b"].tolist(), sure["delta"].tolist(), strict=True)
    )
    lead = float(row["delta"]) * (1 if row["a"] == best else -1)
    tested = int(pairs["p_holm"].notna().sum())
    return Choice(best, means[best], second, lead, int(row["n"]), float(row["p_holm"]), tested, ahead, len(order) - 1)


def advice(choice: Choice, names: Mapping[str, str], over: Over, printed: bool = False) -> str:
    """Return what a consumer should do, in a few words; that nothing is known is an answer.

    Args:
        choice: what one measure says.
        names: words of each variant.
        over: what the tests are over.
        printed: published means, which have no single seeds to test.
    """
    if printed:
        return "cannot be told: printed means"
    if np.isnan(choice.p_holm):
        return "cannot be told: one seed each" if over == "seeds" else "cannot be told: too few images"
    if choice.clear:
        return f"pick {names[choice.best]}" if over == "seeds" else f"on these images: {names[choice.best]}"
    return NO_EVIDENCE if not choice.surely else "no evidence for any one recipe"


def evidence_text(choice: Choice, over: Over, printed: bool = False) -> str:
    """Return n and p of the lead, as the table shows them."""
    if printed:
        return "printed means, no test"
    n = in_words(choice.n, "seed" if over == "seeds" else "image")
    if np.isnan(choice.p_holm):
        return f"{n}, no test"
    p = p_text(choice.p_holm)
    return f"{n}, {p} after Holm over {in_words(choice.pairs, 'pair')}"
