"""The Compare page's ground truth: the sample's own or an uploaded mask, IoU per model and class, error maps."""

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from seglab.images import blend, resize_labels
from seglab.labels import GROUPS, VOID, remap, rolls_up, space
from seglab.measure import metrics
from seglab.ui.asking import Settings
from seglab.ui.compare.panels import Result, labels_at
from seglab.ui.photos import ShownPhoto
from seglab.ui.truth import mask_space, uploaded_mask

RIGHT, WRONG = (0, 114, 178), (230, 159, 0)


def truth(photo: ShownPhoto, results: list[Result], chosen: Settings) -> None:
    """Show how right each model is on this photo."""
    target = _choose_truth(photo, chosen)
    if target is None:
        return
    rows, maps = [], []
    shown = resize_labels(target, *photo.shown.shape[:2])
    for r in results:
        labels, _ = labels_at(photo, r.model, r.answer, chosen, (photo.height, photo.width))
        confusion = metrics.confusion_matrix(labels, target, chosen.space.num_classes)
        values = metrics.summarise(confusion, chosen.space.names)
        counted = int((~np.isnan(metrics.iou_per_class(confusion))).sum())
        row = {"model": r.model.title, "mIoU": values["miou"] * 100, "classes": counted}
        rows.append(row | {name: values[f"iou/{name}"] * 100 for name in chosen.space.names})
        maps.append((r.model.title, _error_map(photo.shown, r.labels, shown)))
    table = pd.DataFrame(rows).set_index("model")
    percent = {c: st.column_config.NumberColumn(format="%.1f") for c in table.columns if c != "classes"}
    st.dataframe(table, column_config=percent)
    st.caption(
        f"IoU in percent on this one photo of {photo.width} by {photo.height} pixels; a class that is neither in the "
        "mask nor predicted is empty and does not count. One photo says little about a model: "
        "the Models tab has the figures of the whole validation split."
    )
    for column, (title, image) in zip(st.columns(min(2, len(maps))) * 3, maps, strict=False):
        column.image(image, width="stretch", caption=title, alt=f"Error map of {title}")
    st.caption("Error map: orange wrong, blue right, plain photo where nothing is labelled.")


def _choose_truth(photo: ShownPhoto, chosen: Settings) -> NDArray[np.uint8] | None:
    """Return the ground truth in the chosen label space: the sample's own, or an uploaded mask."""
    if photo.truth is not None:
        if not rolls_up(photo.truth_space, chosen.space.key):
            known = f"{space(photo.truth_space).title}; choose that label space or {space(GROUPS).short}"
            st.info(f"This sample's mask has {known}.")
            return None
        st.caption(
            "Ground truth: the exact mask of this procedural scene. It was chosen so that the models differ "
            "(docs/data.md), so it ranks none of them."
        )
        return remap(photo.truth, photo.truth_space, chosen.space.key)
    source = mask_space()
    if not rolls_up(source, chosen.space.key):
        st.info(f"{space(source).title} cannot be told as {chosen.space.title}; choose {space(GROUPS).short} above.")
        return None
    mask = uploaded_mask(photo, source)
    if mask is None:
        st.info("With a mask of the photo you get the IoU of every model and class, and an error map.")
        return None
    return remap(mask, source, chosen.space.key)


def _error_map(photo: NDArray[np.uint8], labels: NDArray[np.uint8], truth: NDArray[np.uint8]) -> NDArray[np.uint8]:
    state = np.where(truth == VOID, VOID, (labels != truth).astype(np.uint8)).astype(np.uint8)
    lut = np.zeros((256, 3), np.uint8)
    lut[:2] = RIGHT, WRONG
    return blend(photo, state, lut, 0.6)
