"""Tables of mean Grad-CAM records: how well evidence points at a class, with intervals over images. No torch, no Streamlit."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from seglab.evidence.images import block_of
from seglab.measure.bootstrap import bootstrap_mean
from seglab.records.cams import MeanCams

COLUMNS = ("class", "model", "images", "inside", "inside_low", "inside_high", "chance", "peak", "peak_low", "peak_high")
LEAST_IMAGES = 5  # for an interval


def pointing_table(found: Mapping[str, MeanCams], names: Sequence[str], one_clip: bool) -> pd.DataFrame:
    """Return one row a class and model, with :data:`COLUMNS`.

    ``inside`` is the mean over images of the share of evidence on the labelled pixels of the class, ``chance`` the mean share of
    the area that the class has in the same images, ``peak`` the share of images whose highest evidence lies on the class. Low
    and high: 95 % bootstrap interval over images, in blocks of neighbouring ones where they are of one clip; NaN for fewer
    than five images.

    Args:
        found: by the model's title; all of one label space.
        names: of the classes, by id.
        one_clip: the images are frames of one clip.
    """
    rows = []
    for c, name in enumerate(names):
        for model, cams in found.items():
            known = ~np.isnan(cams.energy[:, c])
            if not known.any():
                continue
            inside = _interval(cams.energy[:, c], one_clip)
            peak = _interval(cams.peak[:, c], one_clip)
            rows.append((name, model, int(known.sum()), *inside, float(cams.area[known, c].mean()), *peak))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _interval(values: np.ndarray, one_clip: bool) -> tuple[float, float, float]:
    counted = int((~np.isnan(values)).sum())
    if counted < LEAST_IMAGES:
        return float(np.nanmean(values)), float("nan"), float("nan")
    return bootstrap_mean(values, block=block_of(len(values), one_clip))


def coactivation_table(cams: MeanCams, names: Sequence[str]) -> pd.DataFrame:
    """Return ``(C, C)``: mean share of the evidence for the row's class that lies on the column's; NaN where there is none."""
    seen = ~np.isnan(cams.coactivation)
    count = seen.sum(0)
    total = np.where(seen, cams.coactivation, 0).sum(0)
    mean = np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
    return pd.DataFrame(mean, index=list(names), columns=list(names))
