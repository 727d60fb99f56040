"""The Classes page's table for consumers: who should take which variant, and on what evidence."""

from collections.abc import Mapping

import pandas as pd
import streamlit as st

from seglab.evidence.classes import CLASS_METRICS, Over
from seglab.evidence.consumers import (
    ADVICE_SOURCE,
    CONSUMERS,
    NO_EVIDENCE,
    Choice,
    Consumer,
    advice,
    choose,
    evidence_text,
)
from seglab.evidence.curves import pairwise, ranking
from seglab.evidence.images import block_of
from seglab.evidence.words import points
from seglab.ui import image_counts, results
from seglab.ui.classes import data as class_data
from seglab.ui.classes.choices import TOO_NARROW, View

_NONE = "–"
Row = tuple[str, Choice | None, str]  # what was looked at, what it says, why it says nothing


def consumers(view: View) -> None:
    """Show one row a consumer: what matters to it, who is best, and whether that is more than noise."""
    space = view.runs["label_space"].iloc[0]
    known = {key: one for key, one in CONSUMERS.items() if space in one.classes}
    if not known:
        st.info(
            f"Which of the classes of {results.plain(space)} matter to whom is not written down in seglab/evidence/consumers.py."
        )
        return
    over: Over = "images" if view.asked_over == "images" and not view.transcribed else "seeds"
    try:
        rows = _over_images(view, known) if over == "images" else _over_seeds(view, known)
    except ValueError as error:
        st.error(results.plain(error), icon=":material/error:")
        return
    table = pd.DataFrame([_shown(view, known[key], row, over) for key, row in rows.items()])
    st.table(
        table, hide_index=True, border="horizontal", alt="Which variant each consumer should pick, and on what evidence"
    )
    st.caption(f"{_how(view, over)}{results.origin(view.runs)}")
    st.caption(f"Published advice, for reference, is not drawn from the figures above: {ADVICE_SOURCE}.")


def _over_seeds(view: View, known: Mapping[str, Consumer]) -> dict[str, Row]:
    space = view.runs["label_space"].iloc[0]
    curves = {metric: class_data.curves(view.runs, metric) for metric in CLASS_METRICS}
    rows: dict[str, Row] = {}
    for key, consumer in known.items():
        classes = consumer.classes[space]
        metric = next((m for m in consumer.metrics if set(classes) & set(curves[m].classes)), None)
        if metric is None:
            rows[key] = _looked_at(consumer.metrics[0], classes), None, "not measured here"
            continue
        found = curves[metric].at(view.epoch).of(classes)
        epoch = int(found.epochs[-1])
        means = ranking(found, epoch)
        choice = choose(dict(zip(means["variant"], means["mean"], strict=True)), pairwise(found, epoch))
        counted = [name for name in classes if name in curves[metric].classes]
        rows[key] = _looked_at(metric, counted), choice, "no figure of two variants at this epoch"
    return rows


def _over_images(view: View, known: Mapping[str, Consumer]) -> dict[str, Row]:
    space = view.runs["label_space"].iloc[0]
    iou = {key: one for key, one in known.items() if "miou" in one.metrics}
    groups = {key: [view.classes.index(name) for name in one.classes[space]] for key, one in iou.items()}
    at = {variant: (view.keys[variant], epoch) for variant, epoch in view.counted_each.items()}
    rows: dict[str, Row] = {}
    found = image_counts.group_pairs(at, groups, len(view.classes), view.one_clip) if len(at) > 1 else None
    for key, consumer in known.items():
        looked_at = _looked_at("miou" if key in iou else consumer.metrics[0], consumer.classes[space])
        if found is None:
            rows[key] = looked_at, None, "fewer than two variants kept counts"
        elif key not in iou:
            rows[key] = looked_at, None, "kept as a figure, so only seeds can tell"
        else:
            rows[key] = looked_at, choose(found[0][key], found[1][key]), "no pixel of these classes"
    return rows


def _looked_at(metric: str, classes: tuple[str, ...] | list[str]) -> str:
    return f"{CLASS_METRICS[metric]} of {', '.join(classes)}"


def _shown(view: View, consumer: Consumer, row: Row, over: Over) -> dict[str, str]:
    """Return a row of the table, as Markdown."""
    looked_at, choice, why = row
    shown = {"Who": consumer.title, "Looked at": looked_at, "Verdict": f"**{NO_EVIDENCE}**"}
    published = {"Published advice": consumer.advice or _NONE}
    if choice is None:
        return shown | {"Best by mean": _NONE, "Lead": _NONE, "Evidence": why, "Significant pairs": _NONE} | published
    names = {variant: results.plain(name) for variant, name in view.names.items()}
    short = {variant: results.plain(name) for variant, name in view.short.items()}
    beaten = {v: [short[behind] for ahead, behind in choice.surely if ahead == v] for v in names}
    pairs = "; ".join(f"{short[v]} > {', '.join(behind)}" for v, behind in beaten.items() if behind)
    return (
        shown
        | {
            "Verdict": f"**{advice(choice, names, over, view.published)}**",
            "Best by mean": f"{names[choice.best]}, {choice.value * 100:.1f} %",
            "Lead": f"{points(choice.lead)} over {short[choice.second]}",
            "Evidence": evidence_text(choice, over, view.published),
            "Significant pairs": pairs or "none",
        }
        | published
    )


def _how(view: View, over: Over) -> str:
    """Return how the table was made, in a caption's words."""
    common = (
        "A pick needs the best to be significantly ahead of every other variant; p is Holm-corrected over the pairs of its "
        "row, not over the rows. "
    )
    if view.published:
        return f"Mean over the named classes at {view.when}. Published figures carry no single seeds, so nothing can be tested. "
    if over == "seeds":
        tests = "pairs by t-tests paired by seed (unpaired where two share none)"
        return f"Mean over the named classes at {view.when}; {tests}. {common}"
    images = view.runs["val_images"].iloc[0]
    block = block_of(0 if pd.isna(images) else int(images), view.one_clip)
    clip = ", taken as independent; they say nothing of another training"
    if view.one_clip:
        clip = f", in blocks of {block} frames of one clip. {TOO_NARROW}"
    return f"Mean IoU of the named classes. {view.counts_at}Pairs by a paired bootstrap over images{clip}. {common}"
