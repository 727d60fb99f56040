"""Per-image counts of variants, and what intervals over images are made of them: kept, in bounds, until the files change."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from seglab.evidence.images import (
    ImageCounts,
    block_of,
    class_deltas_over_images,
    group_iou,
    group_pairs_over_images,
    image_counts,
    merge_classes,
    pair_delta,
    paired,
)
from seglab.measure.metrics import accuracy_per_class
from seglab.records import store
from seglab.records.files import RunError
from seglab.records.runs import epochs_with_counts, read_counts

Source = tuple[str, int]  # a run's folder, and when its counts were written
Key = tuple[tuple[str, Source], ...]  # seed and source of each run of a variant
_WHAT = "confusion"


def sources(runs: pd.DataFrame, variant: str) -> Key:
    """Return where the counts of a variant's runs are; runs without any are left out."""
    mine = runs[runs["variant"] == variant]
    found = []
    for run, seed in zip(mine["run"].tolist(), mine["seed"].tolist(), strict=True):
        path = store.RESULTS / run / "counts.npz"
        if path.is_file():
            found.append((str(seed), (str(path.parent), path.stat().st_mtime_ns)))
    return tuple(found)


@st.cache_data(max_entries=512, show_spinner=False)  # type: ignore[untyped-decorator]
def _epochs(source: Source) -> tuple[int, ...]:
    return epochs_with_counts(Path(source[0]), _WHAT)


@st.cache_data(max_entries=64, show_spinner=False)  # type: ignore[untyped-decorator]
def _confusions(source: Source, epoch: int) -> tuple[tuple[str, ...], NDArray[Any]]:
    counts = read_counts(Path(source[0]), ("stems", f"e{epoch}/{_WHAT}"))
    return tuple(str(stem) for stem in counts["stems"]), counts[f"e{epoch}/{_WHAT}"]


def epochs(key: Key) -> list[int]:
    """Return the epochs at which a run of a variant has counts.

    Raises:
        RunError: where a file is damaged.
    """
    return sorted({epoch for _, source in key for epoch in _epochs(source)})


def counts(key: Key, epoch: int, num_classes: int) -> ImageCounts:
    """Return a variant's counts at an epoch of :func:`epochs`, of the runs that have them.

    Raises:
        RunError: where a file is damaged or does not fit the others.
    """
    try:
        found = {seed: _confusions(source, epoch) for seed, source in key if epoch in _epochs(source)}
        return image_counts(epoch, found, num_classes)
    except (ValueError, KeyError) as error:
        raise RunError(str(error)) from None


def paired_counts(x: Key, y: Key, at: tuple[int, int], num_classes: int) -> tuple[ImageCounts, ImageCounts]:
    """Return the counts of two variants, each at its epoch, with the seeds that both have.

    Raises:
        ValueError: where counts cannot be read or paired.
    """
    return paired(counts(x, at[0], num_classes), counts(y, at[1], num_classes))


@st.cache_data(max_entries=64, show_spinner="Resampling the images…")  # type: ignore[untyped-decorator]
def image_deltas(x: Key, y: Key, at: tuple[int, int], names: Sequence[str], one_clip: bool) -> pd.DataFrame:
    """Return :func:`seglab.evidence.images.class_deltas_over_images` of two variants.

    Raises:
        ValueError: where counts cannot be read or paired.
    """
    of_x, of_y = paired_counts(x, y, at, len(names))
    return class_deltas_over_images(of_x, of_y, names, block_of(len(of_x.stems), one_clip))


@st.cache_data(max_entries=4, show_spinner="Resampling the images…")  # type: ignore[untyped-decorator]
def accuracy_deltas(
    x: Key, y: Key, groups: Mapping[str, Sequence[int]], num_classes: int, one_clip: bool
) -> pd.DataFrame:
    """Return the deltas x - y, at the last counts of each, of the share of each group's pixels that is predicted right.

    Columns as of :func:`seglab.evidence.images.class_deltas_over_images`.

    Raises:
        ValueError: where counts cannot be read or paired.
    """
    both = paired_counts(x, y, (epochs(x)[-1], epochs(y)[-1]), num_classes)
    of_x, of_y = (merge_classes(counts, list(groups.values())) for counts in both)
    block = block_of(len(of_x.stems), one_clip)
    return class_deltas_over_images(of_x, of_y, list(groups), block, statistic=accuracy_per_class)


@st.cache_data(max_entries=16, show_spinner="Resampling the images…")  # type: ignore[untyped-decorator]
def group_pairs(
    variants: Mapping[str, tuple[Key, int]], groups: Mapping[str, Sequence[int]], num_classes: int, one_clip: bool
) -> tuple[dict[str, dict[str, float]], dict[str, pd.DataFrame]]:
    """Return each group's mean IoU by variant, and :func:`seglab.evidence.images.group_pairs_over_images`.

    Raises:
        ValueError: where counts cannot be read or paired.
    """
    loaded = {variant: counts(key, epoch, num_classes) for variant, (key, epoch) in variants.items()}
    means = {name: {v: group_iou(of, ids) for v, of in loaded.items()} for name, ids in groups.items()}
    images = len(next(iter(loaded.values())).stems)
    return means, group_pairs_over_images(loaded, groups, block_of(images, one_clip))


@st.cache_data(max_entries=64, show_spinner=False)  # type: ignore[untyped-decorator]
def pair(
    x: Key, y: Key, at: tuple[int, int], num_classes: int, target: int, predicted: int, block: int | None
) -> tuple[float, float, float, float, int]:
    """Return :func:`seglab.evidence.images.pair_delta` of two variants.

    Raises:
        ValueError: where counts cannot be read or paired.
    """
    return pair_delta(*paired_counts(x, y, at, num_classes), target, predicted, block)
