"""Experiments that were never trained: records with curves and counts drawn from a seed, in the real layout."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from seglab.labels import space
from seglab.measure.counts import summarise_images
from seglab.records.runs import SCHEMA_VERSION
from seglab.records.writer import RunWriter

VARIANTS = {
    "a-ce": "A: CE",
    "b-ce-dice": "B: CE + Dice",
    "c-ce-dice-boundary": "C: CE + Dice + 0.2 boundary",
    "d-ce-boundary": "D: CE + 0.2 boundary",
}


def image_counts(rng: np.random.Generator, images: int, classes: int, accuracy: float) -> dict[str, Any]:
    """Return per-image counts of a model that is right on about that share of the pixels."""
    size = rng.integers(200, 900, classes)
    confusion = np.zeros((images, classes, classes), np.uint32)
    for image in range(images):
        level = np.clip(accuracy + 0.05 * np.sin(image / 9) + rng.normal(0, 0.02), 0.02, 0.98)
        for c in range(classes):
            if (image + c) % 7 == 0 and c > classes // 2:
                continue  # a rare class is not in every image
            right = rng.binomial(size[c], level)
            wrong = rng.multinomial(size[c] - right, np.full(classes - 1, 1 / (classes - 1)))
            confusion[image, c] = np.insert(wrong, c, right)
    there = confusion.sum(2) > 0
    f1 = np.where(there, np.clip(rng.normal(accuracy - 0.1, 0.05, there.shape), 0, 1), np.nan).astype(np.float32)
    union = (there * 100).astype(np.uint32)
    return {
        "confusion": confusion,
        "boundary_f1": f1,
        "trimap_intersection": (union * np.clip(accuracy - 0.2, 0, 1)).astype(np.uint32),
        "trimap_union": union,
    }


def write_experiment(
    results: Path,
    experiment: str = "camvid-boundary-ablation",
    seeds: Sequence[int] = (42, 123, 456),
    epochs: int = 160,
    label_space: str = "camvid-11",
    images: int = 24,
    counts_at: Sequence[int] = (10, 160),
    variants: dict[str, str] | None = None,
    **record: Any,
) -> Path:
    """Write an experiment in which the third variant leads early and the fourth late; fields of the record override."""
    names = space(label_space).names
    for v, (variant, title) in enumerate((variants or VARIANTS).items()):
        for seed in seeds:
            rng = np.random.default_rng([v, seed, len(experiment)])
            writer = RunWriter(
                results / experiment / f"{variant}-seed{seed}",
                {
                    "schema_version": SCHEMA_VERSION,
                    "experiment": experiment,
                    "variant": variant,
                    "title": title,
                    "seed": seed,
                    "model": {"key": "upernet_convnextv2", "size": "atto", "options": {}, "parameters": 4_170_000},
                    "label_space": label_space,
                    "data": {
                        "name": "camvid",
                        "train": {"split": "train", "recordings": [], "images": 367, "size_px": [96, 128]},
                        "val": {
                            "split": "val",
                            "recordings": [],
                            "images": images,
                            "size_px": [96, 128],
                            "fingerprint": "f" * 64,
                        },
                    },
                    "recipe": {"lr": 1e-3, "loss": title.split(": ")[-1], "epochs": epochs, "seed": seed},
                    "environment": {"git_commit": "0123456789abcdef", "device": "CPU (test)", "threads": 1},
                    "provenance": "trained",
                    "status": "finished",
                    "started": "2026-11-21T10:00:00+00:00",
                    "finished": "2026-11-21T10:40:00+00:00",
                    "epochs": epochs,
                    "seconds_per_epoch": 15.0,
                    "peak_memory_mib": 800,
                    **record,
                },
            )
            offset = rng.normal(0, 0.004)
            lines = []
            for epoch in range(1, epochs + 1):
                early = (0.0, 0.01, 0.03, 0.005)[v % 4] * np.exp(-epoch / 25)
                late = (0.0, -0.002, 0.001, 0.012)[v % 4] * (1 - np.exp(-epoch / 60))
                level = 0.45 * (1 - np.exp(-epoch / 20)) + early + late + offset + rng.normal(0, 0.004)
                shift = np.linspace(0.3, -0.3, len(names))
                iou = np.clip(level + shift + rng.normal(0, 0.01, len(names)), 0, 1)
                lines.append(
                    {
                        "epoch": epoch,
                        "train_loss": 2 * np.exp(-epoch / 30) + 0.2,
                        "lr": 1e-3 * (1 - (epoch - 1) / epochs),
                        "seconds": 15.0,
                        "miou": float(iou.mean()),
                        "pixel_accuracy": float(level + 0.3),
                        "dice": float(level + 0.1),
                        **{f"iou/{name}": float(x) for name, x in zip(names, iou, strict=True)},
                        "boundary_f1": float(level - 0.05),
                        **{f"boundary_f1/{name}": float(x - 0.05) for name, x in zip(names, iou, strict=True)},
                        "trimap_iou": float(level - 0.1),
                        **{f"trimap_iou/{name}": float(x - 0.1) for name, x in zip(names, iou, strict=True)},
                    }
                )
            (writer.folder / "epochs.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
            stems = [f"0016E5_{i:05d}" for i in range(images)]
            for epoch in counts_at:
                if epoch <= epochs:
                    counts = image_counts(rng, images, len(names), 0.6 + 0.01 * v)
                    writer.save_counts(epoch, stems, counts)
                    if epoch == epochs:
                        writer.update(metrics=summarise_images(counts, names))
    return results / experiment


def study_values() -> dict[str, Any]:
    """Return the content of a search's file: four complete trials, one pruned, one failed."""
    rows = [(0.2, 1e-3, "adam"), (0.35, 4e-3, "adamw"), (None, 2e-3, "adam"), (0.3, 5e-3, "adamw"), (0.4, 9e-3, "adam")]
    trials = [
        {
            "number": number,
            "state": "complete" if value else "pruned",
            "value": value,
            "params": {"lr": lr, "loss": 0.1 * number, "optimizer": optimizer},
            "epochs": [1, 2] if value else [1],
            "miou": [0.1, value] if value else [0.1],
            "started": "2026-11-22T00:00:00+00:00",
            "seconds": 12.5,
            "message": "",
        }
        for number, (value, lr, optimizer) in enumerate(rows)
    ]
    failed = {
        "number": 5,
        "state": "fail",
        "value": None,
        "epochs": [],
        "miou": [],
        "message": "the loss is not finite",
    }
    return {
        "schema_version": 1,
        "experiment": "exp",
        "variant": "v",
        "title": "A model",
        "objective": "val mIoU at a trial's last epoch",
        "sampler": "tpe",
        "pruner": "median",
        "seed": 42,
        "planned": 6,
        "space": {
            "lr": {"low": 1e-3, "high": 1e-2, "log": True},
            "loss": {"low": 0.0, "high": 0.5, "text": "ce + {}*dice"},
            "optimizer": {"choices": ["adam", "adamw"]},
        },
        "trial": {"epochs": 2},
        "recipe": {},
        "environment": {
            "device": "CPU",
            "git_commit": "abcdef1234",
            "data": {"train": {"images": 300}, "val": {"images": 50, "recordings": ["0006R0"]}},
        },
        "written": "2026-11-22T00:00:00+00:00",
        "importance": {"lr": 0.7, "loss": 0.2, "optimizer": 0.1},
        "best": 4,
        "trials": [*trials, {**trials[0], **failed}],
    }
