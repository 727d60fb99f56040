"""What tidy curves say about variants: who leads at an epoch, by how much, and whether seeds alone would do that.

Values come in as fractions and stay fractions; a delta ``X - Y`` is X minus Y. The uncertainty here is over seeds; that over
images is in ``seglab/evidence/images.py``. No torch, no Streamlit.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from seglab.evidence.words import gap_text, in_words, p_text, stored_metric
from seglab.measure.statistics import (
    Crossing,
    crossings,
    holm,
    paired_t_test,
    probability_of_improvement,
    t_interval,
    unpaired_t_test,
)

# Key in files -> words on screen; more is better in all. A loss is not here: recipes differ in it, so it ranks nothing.
METRICS: dict[str, str] = {
    "miou": "mIoU",
    "boundary_f1": "Boundary F1",
    "trimap_iou": "Trimap IoU",
    "pixel_accuracy": "Pixel accuracy",
    "dice": "Dice",
}
# Figures of an evaluation that took road for the only class: offered only where they are, and never under a plain name.
ROAD_ONLY: dict[str, str] = {
    "road_contour_f1": "F1 of the contour of road, as first published",
    "road_contour_iou": "IoU near the contour of road, as first published",
}
ALPHA = 0.05
Z_95 = 1.96


@dataclass(frozen=True)
class Curves:
    """One metric of one experiment: every variant on the same epochs and seeds.

    ``values`` maps a variant to ``(S, E)`` float64, NaN where a run has no value at an epoch (yet).
    """

    metric: str
    of_class: str  # empty: over all classes
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
        name = (METRICS | ROAD_ONLY).get(self.metric, self.metric)
        name = "IoU" if self.metric == "miou" and self.of_class else name
        return f"{name} of {self.of_class}" if self.of_class else name

    def at(self, epoch: int) -> dict[str, NDArray[np.float64]]:
        """Return ``(S,)`` by variant at an epoch of :attr:`epochs`."""
        column = int(np.flatnonzero(self.epochs == epoch)[0])
        return {variant: values[:, column] for variant, values in self.values.items()}

    def complete_epochs(self) -> list[int]:
        """Return the epochs at which every variant has at least one value."""
        if not self.values:
            return []
        there = np.all([~np.isnan(values).all(0) for values in self.values.values()], axis=0)
        return [int(epoch) for epoch in self.epochs[there]]


def curves_of(table: pd.DataFrame, metric: str, of_class: str = "") -> Curves:
    """Arrange tidy rows of one experiment and metric (:meth:`seglab.records.store.RunStore.curves`) by variant, seed and epoch.

    A class's own IoU is stored as metric ``iou``; ask for it as ``miou`` of that class.
    """
    rows = table[(table["metric"] == stored_metric(metric, of_class)) & (table["class"] == of_class)]
    names = rows["variant"].astype(str)
    seeds = rows["seed"].astype("string").fillna("")
    wide = pd.DataFrame({"variant": names, "seed": seeds, "epoch": rows["epoch"], "value": rows["value"]})
    wide = wide.dropna(subset=["value"]).drop_duplicates(["variant", "seed", "epoch"], keep="last")
    epochs = np.unique(wide["epoch"].to_numpy(np.int64))
    labels = tuple(sorted(wide["seed"].unique(), key=lambda seed: (len(seed), seed)))
    values = {}
    for variant in sorted(wide["variant"].unique()):
        mine = wide[wide["variant"] == variant]
        square = mine.pivot(index="seed", columns="epoch", values="value")
        values[variant] = square.reindex(index=list(labels), columns=epochs).to_numpy(np.float64)
    return Curves(metric, of_class, epochs, labels, with_common_seeds(values))


def with_common_seeds(values: Mapping[str, NDArray[np.float64]]) -> dict[str, NDArray[np.float64]]:
    """Return ``(..., S, E)`` values by variant in which a seed counts at an epoch only where every variant has it.

    So means, ranks and pairs of an unfinished grid speak of the same seeds. Variants with no value at an epoch are not
    asked; where the others have no seed in common there, all stay, and pairs that share none are compared unpaired.
    """
    arrays = list(values.values())
    if len(arrays) < 2:
        return dict(values)
    has = [~np.isnan(array).reshape(-1, *array.shape[-2:]).any(0) for array in arrays]  # (S, E) each
    common = np.all([there | ~there.any(0) for there in has], axis=0)
    common &= np.any(has, axis=0)
    keep = common | ~common.any(0)
    return {variant: np.where(keep, array, np.nan) for variant, array in values.items()}


def half_widths(values: NDArray[np.float64], as_published: bool = False) -> tuple[NDArray[np.float64], ...]:
    """Return mean, half-width and n at each epoch of ``(S, E)`` values.

    Args:
        values: NaN where a seed has none.
        as_published: 1.96 standard errors instead of Student's t. Too narrow for few seeds: at n = 3 it holds the mean in
            81 % of cases, not 95 %.
    """
    n = (~np.isnan(values)).sum(0)
    mean, half = np.full(values.shape[1], np.nan), np.full(values.shape[1], np.nan)
    for column in np.flatnonzero(n):
        mean[column], half[column] = interval(values[:, column], as_published)
    return mean, half, n.astype(np.float64)


def interval(values: NDArray[np.float64], as_published: bool = False) -> tuple[float, float]:
    """Return mean and half-width of one epoch's seeds; see :func:`half_widths`."""
    mean, half = t_interval(values)
    counted = values[~np.isnan(values)]
    if as_published and len(counted) > 1:
        half = Z_95 * float(counted.std(ddof=1)) / float(np.sqrt(len(counted)))
    return mean, half


def ranking(curves: Curves, epoch: int, as_published: bool = False) -> pd.DataFrame:
    """Return one row a variant, best first: rank, variant, mean, half_width, n, min, max, behind, behind_half_width.

    ``behind`` is the variant minus the leader, with its t interval (:func:`seed_test`); 0 and NaN for the leader.
    """
    at = curves.at(epoch)
    rows = []
    for variant, values in at.items():
        counted = values[~np.isnan(values)]
        if counted.size:
            mean, half = interval(values, as_published)
            rows.append((variant, mean, half, counted.size, counted.min(), counted.max()))
    table = pd.DataFrame(rows, columns=["variant", "mean", "half_width", "n", "min", "max"])
    table = table.sort_values("mean", ascending=False, ignore_index=True)
    table.insert(0, "rank", range(1, len(table) + 1))
    behind = [difference(at[v], at[table["variant"][0]], as_published) for v in table["variant"]]
    table["behind"] = [delta for delta, _ in behind]
    table["behind_half_width"] = [np.nan if i == 0 else half for i, (_, half) in enumerate(behind)]
    return table


@dataclass(frozen=True)
class SeedTest:
    """Two variants at one epoch, and the test that their seeds allow."""

    delta: float  # a - b
    half_width: float  # of the 95 % t interval of delta; NaN where there is no test
    t: float
    p: float  # NaN where there is no test
    n: int  # seeds that both have; where they share none, of the one that has fewer
    paired: bool  # by seed; no where they share none


def seed_test(a: NDArray[np.float64], b: NDArray[np.float64]) -> SeedTest:
    """Return how two variants differ over their seeds: paired where they share any, Welch's t where they share none.

    Nothing is paired but equal seeds. With one seed there is no test; nor where all differences are equal: such runs copy
    each other, or were rounded, and leave no noise to compare their difference with.

    Args:
        a: ``(S,)`` one value per seed, NaN where it has none.
        b: ``(S,)`` the same seeds in the same order.
    """
    shared = int((~np.isnan(a) & ~np.isnan(b)).sum())
    if shared:
        delta, t, p = paired_t_test(a, b)
        return SeedTest(delta, t_interval(a - b)[1], t, float("nan") if np.isinf(t) else p, shared, paired=True)
    delta, half, t, p = unpaired_t_test(a, b)
    return SeedTest(delta, half, t, p, min(int((~np.isnan(x)).sum()) for x in (a, b)), paired=False)


def difference(a: NDArray[np.float64], b: NDArray[np.float64], as_published: bool = False) -> tuple[float, float]:
    """Return a - b and its half-width as :func:`seed_test` has them, or with 1.96 standard errors."""
    found = seed_test(a, b)
    if as_published and found.t and np.isfinite(found.t):
        return found.delta, Z_95 * abs(found.delta / found.t)
    return found.delta, found.half_width


def differences(
    a: NDArray[np.float64], b: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return delta, half-width and n of :func:`seed_test` at each epoch of two ``(S, E)`` variants of the same seeds."""
    found = [seed_test(x, y) for x, y in zip(a.T, b.T, strict=True)]
    delta, half, n = (np.array([getattr(one, name) for one in found]) for name in ("delta", "half_width", "n"))
    return delta, half, np.where(np.isnan(delta), 0, n).astype(np.float64)


def pairwise(curves: Curves, epoch: int) -> pd.DataFrame:
    """Return one row a pair of variants: a, b, delta (a - b), low, high, n, t, p, p_holm, p_better (that a beats b), paired.

    Tested by :func:`seed_test`; Holm's correction runs over the pairs of this metric at this epoch that can be tested.
    """
    at = curves.at(epoch)
    rows = []
    for a, b in combinations(at, 2):
        one = seed_test(at[a], at[b])
        low, high = one.delta - one.half_width, one.delta + one.half_width
        better = probability_of_improvement(at[a], at[b])
        rows.append((a, b, one.delta, low, high, one.n, one.t, one.p, better, one.paired))
    table = pd.DataFrame(rows, columns=["a", "b", "delta", "low", "high", "n", "t", "p", "p_better", "paired"])
    table.insert(8, "p_holm", holm(table["p"].to_numpy(np.float64)) if len(table) else [])
    return table


def all_crossings(curves: Curves) -> dict[tuple[str, str], Crossing]:
    """Return for each pair since when its order holds; see :func:`seglab.measure.statistics.crossings`.

    Of a pair that shares no seed, the order of the two means.
    """
    found = {}
    for a, b in combinations(curves.variants, 2):
        x, y = curves.values[a], curves.values[b]
        if np.isnan(x - y).all():
            x, y = half_widths(x)[0][None], half_widths(y)[0][None]
        found[a, b] = crossings(curves.epochs, x, y)
    return found


def order_since(curves: Curves, crossing: Crossing) -> int:
    """Return the epoch from which a pair's order of means no longer changes."""
    later = curves.epochs if crossing.epoch is None else curves.epochs[curves.epochs > crossing.epoch]
    return int(later[0])


def is_reversed(curves: Curves, early: int, late: int) -> list[tuple[str, str]]:
    """Return the pairs ``(a, b)`` with a ahead at the early epoch and b at the late one, by their means."""
    first, last = (dict(zip(t["variant"], t["mean"], strict=True)) for t in (ranking(curves, e) for e in (early, late)))
    flipped = []
    for a, b in combinations([v for v in first if v in last], 2):
        before, after = first[a] - first[b], last[a] - last[b]
        if before * after < 0:
            flipped.append((a, b) if before > 0 else (b, a))
    return flipped


def verdict(curves: Curves, epoch: int, names: Mapping[str, str] | None = None) -> str:
    """Return what a careful reader may conclude about the leader at an epoch, in one or two sentences."""
    order = ranking(curves, epoch)
    if len(order) < 2:
        return "One variant alone leads nobody: there is nothing to compare here."
    name = {variant: (names or {}).get(variant, variant) for variant in curves.variants}
    first, second = order["variant"][0], order["variant"][1]
    gap = gap_text(order["behind"][1])
    lead = f"At epoch {epoch} {name[first]} leads {name[second]} by {gap}"
    pairs = pairwise(curves, epoch)
    pair = pairs[pairs["a"].isin([first, second]) & pairs["b"].isin([first, second])].iloc[0]
    n, tested = int(pair["n"]), int(pairs["p"].notna().sum())
    if n > 1 and np.isnan(pair["p"]):
        what = "every seed differs by exactly the same" if pair["paired"] else "the seeds of each are exactly equal"
        return f"{lead}; {what}, so there is no noise to compare that with."
    if n < 2:
        if not pair["paired"]:
            return f"{lead} by their means; they share no seed and one of them has only one, so no test is possible."
        seeds = "one seed" if curves.seeds != ("",) else "one figure"
        return f"{lead}, with {seeds} each: whether that is more than noise cannot be told."
    paired = f"paired by seed over {in_words(n, 'seed')}, {p_text(pair['p'])}"
    if not pair["paired"]:
        counts = " and ".join(str(count) for count in order["n"][:2])
        paired = f"they share no seed, so unpaired: Welch's t over {counts} seeds, {p_text(pair['p'])}"
    if tested > 1:
        paired += f", after Holm's correction for {in_words(tested, 'pair')} {p_text(pair['p_holm'])}"
    if pair["p_holm"] < ALPHA:
        return f"{lead}, more than seeds alone would do ({paired})."
    return f"{lead}; this is not distinguishable from noise ({paired})." + _significant(pairs, name)


def _significant(pairs: pd.DataFrame, name: Mapping[str, str]) -> str:
    """Return a sentence on the pairs that are significant, where some are."""
    sure, tested = pairs[pairs["p_holm"] < ALPHA], int(pairs["p"].notna().sum())
    said = []
    for a, b, delta in zip(sure["a"].tolist(), sure["b"].tolist(), sure["delta"].tolist(), strict=True):
        ahead, behind = (a, b) if delta > 0 else (b, a)
        said.append(f"{name[ahead]} over {name[behind]}")
    if not said:
        return f" No other of the {tested} pairs is either." if tested > 1 else ""
    return f" Of the {tested} pairs, significant after correction: {', '.join(said)}."


def reversal(curves: Curves, early: int, late: int, names: Mapping[str, str] | None = None) -> str:
    """Return whether the order of means differs between two epochs, and whether that is more than noise."""
    name = {variant: (names or {}).get(variant, variant) for variant in curves.variants}
    flipped = is_reversed(curves, early, late)
    if not flipped:
        return f"The order at epoch {early} is the order at epoch {late}: no pair changes places."
    before, after = pairwise(curves, early), pairwise(curves, late)
    said = []
    for a, b in flipped:
        p = [_p_of(table, a, b) for table in (before, after)]
        both = "in both places more than noise" if all(x < ALPHA for x in p) else "not beyond noise in both places"
        said.append(f"{name[a]} leads {name[b]} at epoch {early} and trails it at epoch {late} ({both})")
    return "; ".join(said) + "."


def early_and_late(curves: Curves, early: int, late: int, names: Mapping[str, str] | None = None) -> str:
    """Return who leads at two epochs, which pairs are beyond noise at each after Holm's correction, and which are not."""
    return " ".join(_leader_and_pairs(curves, epoch, names) for epoch in (early, late))


def _leader_and_pairs(curves: Curves, epoch: int, names: Mapping[str, str] | None) -> str:
    name = {variant: (names or {}).get(variant, variant) for variant in curves.variants}
    order, pairs = ranking(curves, epoch), pairwise(curves, epoch)
    if len(order) < 2:
        return f"At epoch {epoch} there is nothing to compare."
    place = {variant: at for at, variant in enumerate(order["variant"])}
    lead = f"At epoch {epoch} the order is {', '.join(name[v] for v in order['variant'])} (n = {_counts(order['n'])})"
    sure: list[str] = []
    unsure: list[str] = []
    for a, b, p in zip(pairs["a"], pairs["b"], pairs["p_holm"], strict=True):
        ahead, behind = sorted((a, b), key=place.__getitem__)
        if np.isnan(p):
            continue
        (sure if p < ALPHA else unsure).append(f"{name[ahead]} over {name[behind]} ({p_text(p)})")
    if not sure and not unsure:
        return f"{lead}; no pair can be tested."
    yes = (
        f"beyond noise after Holm's correction: {', '.join(sure)}"
        if sure
        else "no pair is beyond noise after Holm's correction"
    )
    no = f"; not: {', '.join(unsure)}" if unsure else ""
    return f"{lead}; {yes}{no}."


def _counts(n: pd.Series) -> str:
    return " to ".join(str(int(one)) for one in sorted({n.min(), n.max()}))


def _p_of(pairs: pd.DataFrame, a: str, b: str) -> float:
    row = pairs[pairs["a"].isin([a, b]) & pairs["b"].isin([a, b])].iloc[0]
    return float(row["p_holm"])


def why_not_together(runs: pd.DataFrame, by: str = "experiment") -> str | None:
    """Return why runs must not share an axis; none where they may.

    Args:
        runs: rows of :meth:`seglab.records.store.RunStore.runs`.
        by: column that tells the groups apart: several experiments, or the variants (or runs) of one.
    """
    groups = {name: runs[runs[by] == name] for name in runs[by].unique().tolist()}
    if len(groups) < 2:
        return None
    reasons: Sequence[tuple[str, str]] = (
        ("label_space", "other classes"),
        ("data_name", "other data"),
        ("split", "another split"),
        ("val_fingerprint", "other images or masks"),
        ("size_px", "another image size"),
    )
    for column, reason in reasons:
        kinds = {name: frozenset(rows[column].fillna("").astype(str)) for name, rows in groups.items()}
        if len(set(kinds.values())) > 1 or any(len(kind) > 1 for kind in kinds.values()):
            shown = "; ".join(
                f"{name}: {', '.join(sorted(kind)) or 'not recorded'}"[:120] for name, kind in kinds.items()
            )
            return f"they were measured on {reason} ({shown})"
    published = runs["provenance"] == "published"
    if published.any() and (by == "experiment" or not published.all()):
        return "published figures stand alone: their sources differ in what they measured and in how"
    if by == "experiment" and (runs["val_fingerprint"].fillna("") == "").any():
        return "on which images some of them were measured is not recorded"
    return None
