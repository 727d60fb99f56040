"""The Robustness page over a whole split: what each model loses by each corruption, and which loses least. No torch."""

import zlib
from pathlib import Path

import numpy as np
import pandas as pd
import streamlit as st

from seglab.data import clip_note
from seglab.data.corruptions import CORRUPTIONS, SEVERITIES
from seglab.evidence.curves import ALPHA
from seglab.evidence.images import block_of
from seglab.evidence.robustness import Loss, drop_table, mean_loss, ranking
from seglab.evidence.words import in_words, p_text
from seglab.figures.robust import class_loss_heatmap, loss_heatmap
from seglab.labels import space
from seglab.measure.metrics import iou_per_class
from seglab.predict.model import Model
from seglab.predict.shelf import shelf
from seglab.records import robustness
from seglab.records.files import RunError
from seglab.records.robustness import Robustness
from seglab.ui import results

MADE_BY = "python -m trainers.robustness results/camvid-architectures/*-seed42 --data DIR"
ALL = "mean of all three"

Found = list[tuple[Model, Robustness]]


@st.cache_data(max_entries=16, show_spinner=False)  # type: ignore[untyped-decorator]
def _load(folder: str, num_classes: int, written: int) -> Robustness:
    return robustness.load(Path(folder), num_classes)


@st.cache_data(max_entries=8, show_spinner="Resampling the images…")  # type: ignore[untyped-decorator]
def _loss(content: tuple[tuple[str, int], ...], block: int, _found: dict[str, Robustness]) -> Loss:
    return mean_loss(_found, block)


def whole_split() -> None:
    """Show what ``trainers.robustness`` has measured for the models of the repository."""
    found = _measured()
    if not found:
        return
    names = space(found[0][0].label_space).names
    by_title = {ref.title: one for ref, one in found}
    table = drop_table(by_title, names)
    if not table.empty:
        _answer(found, by_title, table)
        _matrices(found, table, names)


def _measured() -> Found:
    """Return what can be read and compared, and say why the rest is left out."""
    found: Found = []
    missing = []
    for ref in shelf():
        if ref.measured is None:
            continue
        path = ref.measured / robustness.FILE
        if not path.is_file():
            missing.append(ref.title)
            continue
        try:
            one = _load(str(ref.measured), space(ref.label_space).num_classes, path.stat().st_mtime_ns)
        except (RunError, OSError) as error:
            st.error(results.plain(error), icon=":material/broken_image:")
            continue
        title = results.plain(ref.title)
        if one.about["weights_sha256"] != ref.sha256:
            st.warning(f"What was measured for {title} is of other weights and left out. Measure anew: `{MADE_BY}`")
        elif one.done < len(robustness.CONDITIONS):
            st.info(
                f"{title} is measured in {one.done} of {len(robustness.CONDITIONS)} conditions; go on with `{MADE_BY}`"
            )
        elif len(one.stems) < 2 or not one.confusions.any((1, 2, 3)).all():
            st.warning(f"What was measured for {title} has no labelled pixels, or one image only, and is left out.")
        elif found and _measured_on(ref, one) != _measured_on(*found[0]):
            st.warning(f"{title} was measured on other images, classes or strengths of corruption and is left out.")
        else:
            found.append((ref, one))
    if not found:
        st.info(f"No model has been measured under corruption here yet. This does it: `{MADE_BY}`")
    elif missing:
        st.caption(f"Not measured: {results.plain(', '.join(missing))}. This does it: `{MADE_BY}`")
    return found


def _measured_on(ref: Model, one: Robustness) -> tuple[object, ...]:
    about = (one.about.get(key) for key in ("data", "split", "fingerprint", "parameters"))
    return ref.label_space, one.stems, *about


def _answer(found: Found, by_title: dict[str, Robustness], table: pd.DataFrame) -> None:
    """Say in a sentence which model loses least, and whether that is more than a few images would do."""
    about, images = found[0][1].about, len(found[0][1].stems)
    one_clip = bool(clip_note(about.get("data"), about.get("split")))
    every = about.get("every", 1)
    block = max(1, min(block_of(images, one_clip), round(20 / every) if isinstance(every, int) and every > 0 else 1))
    content = tuple((ref.title, zlib.crc32(one.confusions.tobytes())) for ref, one in found)
    loss = _loss(content, block, by_title)
    first, *others = loss.relative_drop
    mean, low, high = loss.relative_drop[first]
    said = f"**{results.plain(first)}** degrades least: over all 45 conditions it loses {mean:.0%} of its mIoU "
    said += f"({low:.0%} to {high:.0%})"
    if others:
        more, more_low, more_high, p = loss.leads[others[0]]
        said += f", {more * 100:.1f} points less than {results.plain(others[0])} "
        said += f"({more_low * 100:+.1f} to {more_high * 100:+.1f}): "
        if all(corrected < ALPHA for *_, corrected in loss.leads.values()):
            said += "more than the choice of images would do, against every other model"
        else:
            said += "not distinguishable from the choice of images"
        said += f" ({p_text(p)} after Holm over {in_words(len(others), 'comparison')} with the best)"
    st.markdown(f"{said}. One training seed each: another seed may change the order.")
    worst = str(table.groupby("corruption")["relative_drop"].mean().idxmax())
    st.markdown(
        f"What harms most, on average over the models: **{CORRUPTIONS[worst].title}** ({CORRUPTIONS[worst].what})."
    )
    shown = ranking(table)
    shown["low"] = [loss.relative_drop[model][1] for model in shown["model"]]
    shown["high"] = [loss.relative_drop[model][2] for model in shown["model"]]
    number = st.column_config.NumberColumn
    percent = shown[["clean", "miou", "relative_drop", "low", "high"]] * 100
    st.dataframe(
        pd.concat([shown[["model"]], percent], axis=1),
        hide_index=True,
        column_config={
            "clean": number("clean mIoU (%)", format="%.1f"),
            "miou": number("mean corrupted mIoU (%)", format="%.1f"),
            "relative_drop": number("loses (% of its mIoU)", format="%.1f"),
            "low": number("from", format="%.1f"),
            "high": number("to", format="%.1f"),
        },
    )
    sampled = f", every {every}th frame" if isinstance(every, int) and every > 1 else ""
    blocks = f"in blocks of {block} neighbouring frames of one clip: too narrow" if one_clip else "image by image"
    commits = sorted({str(one.about.get("git_commit"))[:7] for _, one in found if one.about.get("git_commit")})
    st.caption(
        results.plain(
            f"{about.get('data', '?')} {about.get('split', '?')}, {images} images{sampled}; dataset-level mIoU from the stored "
            f"float16 weights; the clean figure is on the same images. Intervals: 95 % bootstrap over images, {blocks}. "
            f"Commit {', '.join(commits) or 'not recorded'}.",
            600,
        )
    )


def _matrices(found: Found, table: pd.DataFrame, names: tuple[str, ...]) -> None:
    titles = {key: one.title for key, one in CORRUPTIONS.items()}
    severity = st.segmented_control(
        "Severity", [ALL, *map(str, SEVERITIES)], default=ALL, required=True, key="level", bind="query-params"
    )
    rows = table if severity == ALL else table[table["severity"] == int(severity)]
    order = [ref.title for ref, _ in found]
    wide = rows.pivot_table(index="model", columns="corruption", values="relative_drop").loc[order, list(CORRUPTIONS)]
    st.markdown("#### What each model loses, % of its clean mIoU")
    results.chart(loss_heatmap(wide, titles), table, "robustness", "Relative drop of mIoU by model and corruption")
    st.markdown("#### Which classes pay, points of IoU")
    key = st.selectbox(
        "Corruption", list(CORRUPTIONS), format_func=titles.__getitem__, key="of", bind="query-params", width=320
    )
    lost = {}
    for ref, one in found:
        clean = iou_per_class(one.of(robustness.CLEAN).sum(0))
        mine = rows[(rows["model"] == ref.title) & (rows["corruption"] == key)][[f"iou/{name}" for name in names]]
        lost[ref.title] = clean - mine.mean().to_numpy(np.float64)
    by_class = pd.DataFrame.from_dict(lost, orient="index", columns=list(names))
    data = by_class.rename_axis("model").reset_index()
    results.chart(class_loss_heatmap(by_class), data, "robustness-classes", f"IoU lost by class under {titles[key]}")
    st.caption(f"Clean minus corrupted ({titles[key]}, severity {severity}); a negative number is a gain.")
