"""The table of bundled models in docs/models.md, made from their records so that no figure is typed by hand."""

import re
from collections.abc import Sequence
from pathlib import Path

from seglab.labels import GROUPS, remap_table, space
from seglab.measure import metrics
from seglab.predict.sources.run import starts_from
from seglab.records import held_out
from seglab.records.runs import Record, read_counts

MARKS = ("<!-- models -->", "<!-- /models -->")


def rolled_up_miou(run: Record, target: str = GROUPS) -> float:
    """Return the mIoU of a run's last evaluation in a coarser label space, from the stored confusions."""
    name = f"e{run.fields['epochs']}/confusion"
    confusion = read_counts(run.folder, [name])[name].astype("int64").sum(0)
    table = remap_table(run.fields["label_space"], target)
    return metrics.miou(metrics.roll_up(confusion, table, space(target).num_classes))


def _test(run: Record) -> str:
    found, why = held_out.of_run(run)
    return f"**{found.miou * 100:.1f}**" if found else why


def models_table(runs: Sequence[Record]) -> str:
    """Return two Markdown tables: one line per model, and IoU per class."""
    own = space(runs[0].fields["label_space"])
    lines = [
        f"| model | parameters | starts from | epochs | s/epoch | val mIoU, {own.short} | test mIoU "
        f"| val mIoU, {space(GROUPS).short} "
        "| val pixel accuracy | weights |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        record, values = run.fields, run.fields["metrics"]
        lines.append(
            f"| {record['title']} (`{record['model']['key']}`) | {record['model']['parameters'] / 1e6:.2f} M "
            f"| {starts_from(record)} | {record['epochs']} | {record['seconds_per_epoch']:.0f} | **{values['miou'] * 100:.1f}** "
            f"| {_test(run)} | {rolled_up_miou(run) * 100:.1f} | {values['pixel_accuracy'] * 100:.1f} "
            f"| {record['weights']['bytes'] / 2**20:.1f} MiB |"
        )
    lines += ["", "| val IoU (%) | " + " | ".join(own.names) + " |", "|---" * (own.num_classes + 1) + "|"]
    for run in runs:
        values = run.fields["metrics"]
        cells = [f"{(values[f'iou/{name}'] or 0) * 100:.1f}" for name in own.names]
        lines.append(f"| `{run.fields['model']['key']}` | " + " | ".join(cells) + " |")
    lines += ["", "| test IoU (%) | " + " | ".join(own.names) + " |", "|---" * (own.num_classes + 1) + "|"]
    tested = [(run, found) for run in runs if (found := held_out.of_run(run)[0])]
    for run, found in tested:
        cells = [f"{found.iou[name] * 100:.0f}" if name in found.iou else "" for name in own.names]
        lines.append(f"| `{run.fields['model']['key']}` | " + " | ".join(cells) + " |")
    first = runs[0].fields
    val = first["data"]["val"]
    devices = sorted(
        {f"{r.fields['environment']['device']}, {r.fields['environment']['threads']} thread" for r in runs}
    )
    lines += [
        "",
        f"Data: CamVid train ({first['data']['train']['images']} frames); figures on val ({val['images']} frames of 480x360, "
        f"fingerprint `{val['fingerprint'][:12]}`), dataset-level, at the last epoch, from the stored float16 weights. "
        f"Seed {first['seed']}; trained on {'; '.join(devices)}. Weights: research use (NOTICE.md).",
    ]
    lines += ["", f"Test: {tested[0][1].origin}."] if tested else []
    return "\n".join(lines)


def write_table(page: Path, table: str) -> bool:
    """Put the table between a page's marks; return whether anything changed."""
    text = page.read_text(encoding="utf-8")
    new = re.sub(
        f"{re.escape(MARKS[0])}.*{re.escape(MARKS[1])}", lambda _: f"{MARKS[0]}\n{table}\n{MARKS[1]}", text, flags=re.S
    )
    if new != text:
        page.write_text(new, encoding="utf-8")
    return new != text
