"""The Grad-CAM page on average: mean maps over a split, how well they point, whose ground evidence lies on. No torch."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import streamlit as st

from seglab.data import clip_note
from seglab.evidence.pointing import coactivation_table, pointing_table
from seglab.explain.pointing import METHODS
from seglab.figures.cams import coactivation_figure, pointing_figure
from seglab.figures.heat import heat_alone, limit, scale_bar
from seglab.labels import LabelSpace, space
from seglab.predict.model import Model
from seglab.predict.shelf import shelf
from seglab.records import cams as cam_records
from seglab.records.cams import MeanCams
from seglab.records.files import RunError
from seglab.ui import results
from seglab.ui.explaining import PREFERRED

MADE_BY = "python -m trainers.explain results/camvid-architectures/*-seed42 --data DIR"
MAX_CLASSES = 3

Found = list[tuple[Model, MeanCams]]


@st.cache_data(max_entries=32, show_spinner=False)  # type: ignore[untyped-decorator]
def _load(folder: str, name: str, num_classes: int, written: int) -> MeanCams:
    return cam_records.load(Path(folder), name, num_classes)


def average() -> None:
    """Show what ``trainers.explain`` has found for the models of the repository."""
    stored = [(ref, names) for ref in shelf() if ref.measured and (names := cam_records.names(ref.measured))]
    if not stored:
        st.info(f"There are no mean maps here yet. This makes them: `{MADE_BY}`")
        return
    found = _chosen(stored)
    if not found:
        return
    label_space = space(found[0][0].label_space)
    _maps(found, label_space)
    _pointing(found, label_space)
    _coactivation(found, label_space)


def _chosen(stored: list[tuple[Model, list[str]]]) -> Found:
    """Let the reader choose layer and method where there are several; return what can be read, of one label space."""
    others = sorted({name for _, names in stored for name in names[1:]})
    choice = None
    if others:
        choice = st.selectbox(
            "Layer and method", ["each model's default", *others], key="maps", bind="query-params", width=320
        )
    found: Found = []
    for ref, names_of in stored:
        name = choice if choice in names_of else names_of[0] if choice in (None, "each model's default") else None
        if name is None:
            continue
        assert ref.measured is not None  # it has maps
        path = ref.measured / "cam" / f"{name}.npz"
        try:
            cams = _load(str(ref.measured), name, space(ref.label_space).num_classes, path.stat().st_mtime_ns)
        except (RunError, OSError) as error:
            st.error(results.plain(error), icon=":material/broken_image:")
            continue
        if cams.about["weights_sha256"] != ref.sha256:
            st.warning(
                f"The maps of {results.plain(ref.title)} are of other weights and left out. Make them anew: `{MADE_BY}`"
            )
        elif not cams.images.any():
            st.warning(f"{results.plain(ref.title)} has no map of any class and is left out.")
        elif not found or _measured_on(ref, cams) == _measured_on(*found[0]):
            found.append((ref, cams))
        else:
            st.warning(f"{results.plain(ref.title)} was explained on other images or classes and is left out.")
    return found


def _measured_on(ref: Model, cams: MeanCams) -> tuple[object, ...]:
    return ref.label_space, cams.stems, *(cams.about.get(key) for key in ("data", "split", "fingerprint"))


def _maps(found: Found, label_space: LabelSpace) -> None:
    offered = [n for i, n in enumerate(label_space.names) if any(cams.images[i] for _, cams in found)]
    default = [next((name for name in PREFERRED if name in offered), offered[0])]
    chosen = st.pills(
        "Evidence for", offered, selection_mode="multi", default=default, key="mean-of", bind="query-params"
    )
    for name in (list(chosen) or default)[:MAX_CLASSES]:
        at = label_space.names.index(name)
        shown = {ref.key: cams.maps[at] for ref, cams in found if cams.images[at]}
        top = limit(list(shown.values()))
        st.markdown(f"#### {name.capitalize()}")
        for column, (ref, cams) in zip(st.columns(max(2, len(found)), gap="small"), found, strict=False):
            title = f"**{results.plain(ref.title)}**"
            if ref.key in shown:
                words = f"mean of {cams.images[at]} images; {cams.about['layer']}"
                column.image(
                    heat_alone(shown[ref.key], top), width="stretch", alt=f"Mean evidence of {ref.title} for {name}"
                )
                column.caption(f"{title} · {results.plain(words)}")
            else:
                column.caption(f"{title} · predicts no {name} in any image")
        st.image(scale_bar(), alt="Colour scale from no evidence, dark blue, to much, yellow")
        st.caption(f"Where the positive evidence for {name} lies: 0 to {top:.1f} times the average, one scale for all.")


def _pointing(found: Found, label_space: LabelSpace) -> None:
    st.markdown("#### How well does the evidence point at its class?")
    first = found[0][1]
    one_clip = bool(clip_note(first.about.get("data"), first.about["split"]))
    by_title = {ref.title: cams for ref, cams in found}
    table = pointing_table(by_title, label_space.names, one_clip)
    if table.empty:
        st.info("No class is both labelled and predicted in any image.")
        return
    results.chart(
        pointing_figure(table, list(by_title)), table, "pointing", "Share of the evidence on each class by model"
    )
    shown = table.assign(times=table["inside"] / table["chance"])
    shown[["inside", "inside_low", "inside_high", "chance", "peak", "peak_low", "peak_high"]] *= 100
    number = st.column_config.NumberColumn
    st.dataframe(
        shown[
            [
                "class",
                "model",
                "images",
                "inside",
                "inside_low",
                "inside_high",
                "chance",
                "times",
                "peak",
                "peak_low",
                "peak_high",
            ]
        ],
        hide_index=True,
        column_config={
            "inside": number("evidence inside (%)", format="%.1f"),
            "inside_low": number("from", format="%.1f"),
            "inside_high": number("to", format="%.1f"),
            "chance": number("chance (%)", format="%.2f"),
            "times": number("times chance", format="%.1f"),
            "peak": number("peak inside (%)", format="%.0f"),
            "peak_low": number("from ", format="%.0f"),
            "peak_high": number("to ", format="%.0f"),
        },
    )
    blocks = ", in blocks of 20 neighbouring frames of one clip: too narrow" if one_clip else ""
    st.caption(
        "Evidence inside: mean over images of the share of positive evidence on the *labelled* pixels of the class, in images "
        "where the model predicts it and has evidence for it; chance: the share of the area that the class has there. Peak: "
        f"images whose highest evidence lies on the class. Intervals: 95 % bootstrap over images{blocks}. {_origin(found)}"
    )


def _coactivation(found: Found, label_space: LabelSpace) -> None:
    st.markdown("#### On which class does the evidence lie?")
    titles = {ref.key: ref.title for ref, _ in found}
    key = st.selectbox(
        "Model", list(titles), format_func=titles.__getitem__, key="coactivation", bind="query-params", width=320
    )
    cams = next(cams for ref, cams in found if ref.key == key)
    table = coactivation_table(cams, label_space.names)
    strongest = _strongest(table.to_numpy(np.float64), label_space.names)
    results.chart(
        coactivation_figure(table), table.rename_axis("evidence for").reset_index(), "coactivation", strongest
    )
    st.caption(f"{strongest} Each row: mean over the images in which the model predicts the class. {_origin(found)}")


def _strongest(values: np.ndarray, names: Sequence[str]) -> str:
    """Say which class's evidence lies most on another class."""
    beside = np.where(np.eye(len(values), dtype=bool) | np.isnan(values), -1.0, values)
    if beside.max() < 0:
        return "No evidence lies on another class."
    row, column = divmod(int(beside.argmax()), len(names))
    return f"Most beside its own class: {beside[row, column]:.0%} of the evidence for {names[row]} lies on {names[column]}."


def _origin(found: Found) -> str:
    first = found[0][1].about
    methods = sorted({METHODS.get(cams.about["method"], cams.about["method"]) for _, cams in found})
    commits = sorted({str(cams.about.get("git_commit"))[:7] for _, cams in found if cams.about.get("git_commit")})
    images = len(found[0][1].stems)
    return results.plain(
        f"{first.get('data', '?')} {first['split']}, {images} images, fingerprint {str(first.get('fingerprint'))[:12]} · "
        f"{', '.join(methods)} · one training seed each · commit {', '.join(commits) or 'not recorded'}"
    )
