"""The Classes page's frame: what is compared, at which epoch, against which uncertainty; and its answer in a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from seglab.data import clip_note
from seglab.evidence.classes import CLASS_METRICS, ClassCurves, Over
from seglab.evidence.images import counted_epochs
from seglab.records.files import RunError
from seglab.ui import image_counts, results
from seglab.ui.classes import data as class_data

LAST = "last of each"
TOO_NARROW = (
    "The interval is too narrow: in simulation such blocks of a single clip cover the truth in 69 to 84 % of cases, not in "
    "95 %, so read it as a lower bound of the uncertainty; it says nothing of another training"
)
TELLING = ("truck", "sign", "object")  # the choice of a class opens on what the published ablation argues about
OVER: dict[Over, str] = {"seeds": "Seeds", "images": "Images"}


@dataclass(frozen=True)
class View:
    """What the reader chose, and the curves for it."""

    runs: pd.DataFrame  # of one experiment, all comparable
    curves: ClassCurves  # of the chosen metric
    names: Mapping[str, str]  # of the variants with figures
    x: str
    y: str
    epoch: int | None  # none: the last of each variant
    asked_over: Over

    @cached_property
    def classes(self) -> tuple[str, ...]:
        """The classes of the label space, by id; those with figures where the space is not known."""
        return class_data.class_order(self.runs) or self.curves.classes

    @cached_property
    def short(self) -> dict[str, str]:
        """Short words for each variant."""
        return results.short_names(self.names)

    @property
    def published(self) -> bool:
        """Whether these are transcribed figures without single runs, so that nothing can be tested."""
        return self.transcribed and bool(self.runs["seed"].isna().all())

    @property
    def transcribed(self) -> bool:
        """Whether these are published figures, which come without counts per image."""
        return bool((self.runs["provenance"] == "published").all())

    @property
    def paired(self) -> bool:
        """Whether x and y have a seed in common at the epoch, so that nothing but equal seeds is compared."""
        at = self.curves.at(self.epoch).values
        return self.x in at and self.y in at and not np.isnan(at[self.x] - at[self.y]).all()

    @property
    def when(self) -> str:
        """The epoch, in words."""
        return "the last epoch of each" if self.epoch is None else f"epoch {self.epoch}"

    @property
    def one_clip(self) -> bool:
        """Whether neighbouring images are frames of one clip."""
        first = self.runs.iloc[0]
        return bool(clip_note(first["data_name"], first["split"]))

    @cached_property
    def keys(self) -> dict[str, image_counts.Key]:
        """Where each variant's counts are; variants without any are left out."""
        keys = {variant: image_counts.sources(self.runs, variant) for variant in self.names}
        return {variant: key for variant, key in keys.items() if key}

    @cached_property
    def counted(self) -> tuple[int, int] | None:
        """The epochs at which x and y have counts, nearest to the chosen one; none where they have none."""
        try:
            return counted_epochs(self._counted(self.x), self._counted(self.y), self.epoch)
        except RunError:
            return None

    @cached_property
    def counted_each(self) -> dict[str, int]:
        """The epoch of each variant's counts: that of x and y where it has them, else its last; without any, left out."""
        if self.counted is None:
            return {}
        known = dict(zip((self.x, self.y), self.counted, strict=True))
        for variant in self.names:
            try:
                epochs = self._counted(variant)
            except RunError:
                continue
            if epochs:
                same = self.counted[0] == self.counted[1] and self.counted[0] in epochs and self.epoch is not None
                known.setdefault(variant, self.counted[0] if same else epochs[-1])
        return {variant: known[variant] for variant in self.names if variant in known}

    def _counted(self, variant: str) -> list[int]:
        return image_counts.epochs(self.keys[variant]) if variant in self.keys else []

    @property
    def over(self) -> Over:
        """What the shown uncertainty is over: images only for IoU, and where there are counts."""
        return "images" if self.asked_over == "images" and not self.no_images else "seeds"

    @property
    def no_images(self) -> str:
        """Why there is no interval over images; empty where there is."""
        figure = f"{self.curves.title} is kept as a figure, not as counts that can be resampled; choose IoU"
        return self.no_counts or (figure if self.curves.metric != "miou" else "")

    @cached_property
    def no_counts(self) -> str:
        """Why there are no counts per image of x and y, as Markdown; empty where there are."""
        if self.transcribed:
            return "published figures come without counts per image"
        try:
            missing = [results.plain(self.names[v]) for v in (self.x, self.y) if not self._counted(v)]
        except RunError as error:
            return results.plain(error)
        if missing:
            return (
                f"{' and '.join(missing)} kept no counts per image (trainers write counts.npz every tenth epoch "
                "and at the last one)"
            )
        return ""

    @property
    def counts_at(self) -> str:
        """A sentence on the epoch of the counts where it is not the chosen one; else empty."""
        if self.counted is None or self.counted == (self.epoch, self.epoch):
            return ""
        of_x, of_y = self.counted
        if of_x != of_y:
            x, y = (results.plain(self.short[variant]) for variant in (self.x, self.y))
            each = f"of {x} are of epoch {of_x}, of {y} of epoch {of_y}"
            return f"Counts {each}, the last of each. "
        if self.epoch is None:
            return f"Counts are of epoch {of_x}. "
        return f"No counts were kept at epoch {self.epoch}: these are of epoch {of_x}, the nearest that has them. "


def pick_class(label: str, classes: Sequence[str]) -> str:
    """Let the reader choose a class; tabs share the choice."""
    options = list(classes)
    default = next((i for i, name in enumerate(options) if name in TELLING), 0)
    chosen = st.selectbox(label, options, default, key="class", bind="query-params", width=240)
    return chosen if chosen in options else options[default]


def controls(runs: pd.DataFrame) -> View:
    """Let the reader choose experiment, two variants, epoch, metric and uncertainty; all of it is in the link."""
    columns = st.columns([4, 3, 3], gap="medium")
    with columns[0]:
        chosen = results.measured_alike(results.pick_experiments(runs, "study"))
    known = {key: found for key in CLASS_METRICS if len((found := class_data.curves(chosen, key)).values) > 1}
    if not known:
        st.info(
            f"{chosen['experiment'].iloc[0]} does not have figures per class for two variants or more. Choose another "
            f"experiment, or train one that has them: `{results.MADE_BY}`"
        )
        st.stop()
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="medium")
    metric = next(iter(known))
    if len(known) > 1:
        with row:
            metric = _segments("Metric", {key: CLASS_METRICS[key] for key in known}, "metric", metric)
    curves = known[metric]
    names = {v: title for v, title in results.titles(chosen).items() if v in curves.values}
    x, y = _pick_pair(names, columns[1:])
    several = len(curves.seeds) > 1 or curves.seeds == ("",)
    with row:
        over = _segments("Uncertainty over", OVER, "uncertainty", "seeds" if several else "images")
        results.image_format()
    finished = bool(chosen["status"].isin(["finished"]).all())
    return View(chosen, curves, names, x, y, _pick_epoch(curves, x, y, finished), over)


def _segments(label: str, options: Mapping[Any, str], key: str, default: str) -> Any:
    """Show a choice of a few; return the key of the chosen words."""
    chosen = st.segmented_control(
        label,
        list(options),
        default=default,
        format_func=options.__getitem__,
        key=key,
        bind="query-params",
        required=True,
    )
    return chosen if chosen in options else default


def _pick_pair(names: Mapping[str, str], columns: Sequence[Any]) -> tuple[str, str]:
    options = list(names)
    with columns[0]:
        x = st.selectbox(
            "Variant",
            options,
            len(options) - 1,
            format_func=names.__getitem__,
            key="x",
            bind="query-params",
            help="Differences are this one minus the other: a plus says that this one is better.",
        )
    with columns[1]:
        y = st.selectbox("minus", options, 0, format_func=names.__getitem__, key="y", bind="query-params")
    if x == y:
        st.info("Choose two different variants: a variant minus itself is nothing.")
        st.stop()
    return x, y


def _pick_epoch(curves: ClassCurves, x: str, y: str, finished: bool) -> int | None:
    """Return the epoch at which the two are compared; none for the last of each, where finished runs differ in it."""
    ends = {curves.epochs_of(variant)[-1] for variant in curves.variants}
    epochs: list[int | str] = [*curves.epochs_of(x, y)]
    if len(ends) > 1 and finished:
        epochs.append(LAST)
    if not epochs:
        st.info("These two have figures, but at no epoch both. Choose another variant.")
        st.stop()
    if len(epochs) == 1:
        st.caption(f"Figures are of {epochs[0] if epochs[0] == LAST else f'epoch {epochs[0]}'}.")
        return None if epochs[0] == LAST else int(epochs[0])
    chosen = st.select_slider("Epoch", epochs, epochs[-1], key="epoch", bind="query-params")
    return None if chosen == LAST else int(chosen)
