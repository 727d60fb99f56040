"""What tidy curves say about classes: which gain and which pay between two variants, and whether seeds alone would do that.

The uncertainty here is over seeds; :mod:`seglab.evidence.images` has that over images, in tables with the same columns. A
delta ``x - y`` is x minus y, in fractions. No torch, no Streamlit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seglab.evidence.curves import ALPHA, Curves, seed_test, with_common_seeds
from seglab.evidence.words import points, stored_metric
from seglab.measure.statistics import holm

# Key of the metric over all classes -> words on screen for one class.
CLASS_METRICS: dict[str, str] = {"miou": "IoU", "boundary_f1": "Boundary F1", "trimap_iou": "Trimap IoU"}
DELTA_COLUMNS = ("class", "x", "y", "delta", "low", "high", "n", "p", "p_holm")
Over = Literal["seeds", "images"]
_NAMED = 4


@dataclass(frozen=True)
class ClassCurves:
    """One metric of every class of one experiment: all variants on the same epochs and seeds.

    ``values`` maps a variant to ``(C, S, E)`` float64, NaN where a run has no value.
    """

    metric: str  # of CLASS_METRICS
    classes: tuple[str, ...]  # (C,); those that have a value anywhere
    epochs: NDArray[np.int64]  # (E,)
    seeds: tuple[str, ...]  # (S,); "" for figures without a seed
    values: Mapping[str, NDArray[np.float64]]

    @property
    def variants(self) -> tuple[str, ...]:
        """Variants in the order of their names."""
        return tuple(self.values)

    @property
    def title(self) -> str:
        """The metric as the screen names it."""
        return CLASS_METRICS[self.metric]

    def epochs_of(self, *variants: str) -> list[int]:
        """Return the epochs at which each of these variants has a value."""
        there = [~np.isnan(self.values[variant]).all((0, 1)) for variant in variants]
        return [int(epoch) for epoch in self.epochs[np.all(there, axis=0)]]

    def at(self, epoch: int | None) -> "ClassCurves":
        """Return the curves at one epoch, ``(C, S, 1)``: that epoch, or with none the last of each variant.

        A variant without any value there is left out.
        """
        values = {}
        for variant, curves in self.values.items():
            known = self.epochs_of(variant)
            wanted = epoch if epoch is not None else known[-1] if known else None
            if wanted in known:
                values[variant] = curves[:, :, self.epochs == wanted]
        label = self.epochs[-1:] if epoch is None else np.array([epoch], np.int64)
        return replace(self, epochs=label, values=values)

    def of(self, classes: Sequence[str]) -> Curves:
        """Return the mean over some classes as curves of one value a seed and epoch; one of them missing makes it NaN.

        Raises:
            ValueError: where none of the classes has a value anywhere.
        """
        rows = [self.classes.index(name) for name in classes if name in self.classes]
        if not rows:
            raise ValueError(f"expected one of the classes {', '.join(self.classes)}, got {', '.join(classes)}")
        found = " + ".join(self.classes[row] for row in rows)
        return Curves(self.metric, found, self.epochs, self.seeds, {v: x[rows].mean(0) for v, x in self.values.items()})


def class_curves_of(table: pd.DataFrame, metric: str, order: Sequence[str] = ()) -> ClassCurves:
    """Arrange tidy rows of one experiment (:meth:`seglab.records.store.RunStore.curves`) by variant, class, seed and epoch.

    Args:
        table: may hold other metrics too.
        metric: of :data:`CLASS_METRICS`.
        order: of the classes; classes that it does not name come after.
    """
    rows = table[(table["metric"] == stored_metric(metric, "any")) & (table["class"] != "")].dropna(subset=["value"])
    found = dict.fromkeys(rows["class"].astype(str).tolist())
    classes = tuple(name for name in order if name in found) + tuple(name for name in found if name not in order)
    epochs, at_epoch = np.unique(rows["epoch"].to_numpy(np.int64), return_inverse=True)
    seed = rows["seed"].astype("string").fillna("").astype(str)
    seeds = tuple(sorted(seed.unique().tolist(), key=lambda text: (len(text), text)))
    names, at_variant = np.unique(rows["variant"].astype(str).to_numpy(str), return_inverse=True)
    cube = np.full((len(names), len(classes), len(seeds), len(epochs)), np.nan)
    at_class = rows["class"].astype(str).map({name: i for i, name in enumerate(classes)}).to_numpy(np.int64)
    at_seed = seed.map({name: i for i, name in enumerate(seeds)}).to_numpy(np.int64)
    cube[at_variant, at_class, at_seed, at_epoch] = rows["value"].to_numpy(np.float64)
    values = with_common_seeds(dict(zip(names.tolist(), cube, strict=True)))
    return ClassCurves(metric, classes, epochs, seeds, values)


def class_deltas(curves: ClassCurves, x: str, y: str) -> pd.DataFrame:
    """Return one row a class, the largest gain of x over y first, with :data:`DELTA_COLUMNS`.

    ``x`` and ``y`` are means over the seeds that both have (of all where they share none), ``low`` and ``high`` the 95 %
    t interval of their difference (:func:`seglab.evidence.curves.seed_test`), ``p_holm`` corrected over the classes.

    Args:
        curves: at one epoch (:meth:`ClassCurves.at`).
        x: variant.
        y: variant.
    """
    rows = []
    for name, of_x, of_y in zip(curves.classes, curves.values[x][..., 0], curves.values[y][..., 0], strict=True):
        one = seed_test(of_x, of_y)
        if np.isnan(one.delta):
            continue
        both = ~np.isnan(of_x) & ~np.isnan(of_y)
        means = [float(np.nanmean(values[both] if one.paired else values)) for values in (of_x, of_y)]
        low, high = one.delta - one.half_width, one.delta + one.half_width
        rows.append((name, *means, one.delta, low, high, one.n, one.p))
    return delta_table(pd.DataFrame(rows, columns=list(DELTA_COLUMNS[:-1])))


def delta_table(rows: pd.DataFrame) -> pd.DataFrame:
    """Return rows of all :data:`DELTA_COLUMNS` but the last sorted by delta, with Holm's correction over the classes."""
    table = rows.assign(p_holm=holm(rows["p"].to_numpy(np.float64)) if len(rows) else [])
    return table.sort_values("delta", ascending=False, kind="stable", ignore_index=True)


def class_verdict(
    table: pd.DataFrame, x: str, y: str, over: Over, *, tests: bool = True, one_clip: bool = False
) -> str:
    """Return which classes gain and which pay beyond noise where x is taken for y, in one or two sentences.

    Args:
        table: of :func:`class_deltas` or :func:`seglab.evidence.images.class_deltas_over_images`.
        x: words of the variant.
        y: words of the other.
        over: what the uncertainty is over.
        tests: no for published figures, which have no single seeds to test.
        one_clip: the images are frames of one clip, whose bootstrap interval is too narrow.
    """
    if table.empty:
        return f"{x} and {y} have no class with a figure in common here."
    extremes = f"The largest gain is {_named(table.head(1))}, the largest loss {_named(table.tail(1))}"
    if table["delta"].iloc[-1] >= 0 or table["delta"].iloc[0] <= 0:
        extremes = f"The differences go from {_named(table.head(1))} to {_named(table.tail(1))}"
    if not tests:
        return f"Printed figures of {x} against {y}. {extremes}. Without the single seeds no test can be repeated here."
    if table["p"].isna().all():
        why = "one seed each" if over == "seeds" else "too few images"
        return f"{x} against {y}: whether a class gains or pays cannot be told from noise with {why}. {extremes}."
    sure = table[table["p_holm"] < ALPHA]
    gains, losses = sure[sure["delta"] > 0], sure[sure["delta"] < 0].iloc[::-1]
    noise = "seeds alone would do" if over == "seeds" else "another draw of images would do"
    family = f"after Holm's correction over {len(table)} classes"
    family += "; intervals from one clip are too narrow" if over == "images" and one_clip else ""
    if sure.empty:
        return f"{x} against {y}: no class gains or pays more than {noise} ({family}). {extremes}."
    gain = f"gains on {_named(gains)}" if len(gains) else "gains on no class"
    loss = f"pays with {_named(losses)}" if len(losses) else "pays with none"
    return f"{x} against {y}, more than {noise} ({family}): it {gain} and {loss}."


def _named(rows: pd.DataFrame) -> str:
    said = [f"{name} {points(delta)}" for name, delta in zip(rows["class"], rows["delta"], strict=True)]
    if len(said) > _NAMED:
        said[_NAMED - 1 :] = [f"{len(said) - _NAMED + 1} more"]
    return ", ".join(said[:-1]) + " and " + said[-1] if len(said) > 1 else said[0]
