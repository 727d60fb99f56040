"""A run is built from its recipe: splits, optimizer, learning rate, precision and a lock."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seglab.models import build
from tests import tiny
from trainers.train import Training
from trainers.training.errors import TrainingError
from trainers.training.loading import say_once
from trainers.training.setup import build_optimizer, learning_rate, open_splits, pick_precision


def test_the_learning_rate_rises_linearly_and_then_follows_its_schedule() -> None:
    def curve(**changes: Any) -> np.ndarray[Any, Any]:
        recipe = tiny.recipe(lr=2.0, epochs=10, **changes)
        return np.array([learning_rate(recipe, step, 5) for step in range(50)])

    at = np.arange(50) / 50
    flat = {"warmup_epochs": 0.0}
    np.testing.assert_allclose(curve(schedule="constant", **flat), 2.0)
    np.testing.assert_allclose(curve(schedule="plateau", **flat), 2.0)
    np.testing.assert_allclose(curve(schedule="poly", poly_power=0.9, **flat), 2 * (1 - at) ** 0.9)
    np.testing.assert_allclose(curve(schedule="cosine", **flat), 1 + np.cos(np.pi * at))
    rising = np.minimum(1, (np.arange(50) + 1) / 10)
    for schedule in ("constant", "poly", "cosine"):
        np.testing.assert_allclose(
            curve(schedule=schedule, warmup_epochs=2.0), curve(schedule=schedule, **flat) * rising
        )


def test_biases_and_norms_do_not_decay_and_the_encoder_learns_at_its_own_rate(camvid: Path, tmp_path: Path) -> None:
    training = Training(tiny.recipe(encoder_lr_factor=0.25, weight_decay=0.5), camvid, tmp_path, progress=False)
    training._set_lr(5)
    named = {id(p): name for name, p in training.model.named_parameters()}
    seen = 0
    for group in training.optimizer.param_groups:
        for parameter in group["params"]:
            seen += 1
            assert group["weight_decay"] == (0.5 if parameter.ndim > 1 else 0)
            assert group["factor"] == (0.25 if "encoder." in named[id(parameter)] else 1)
            assert group["lr"] == pytest.approx(learning_rate(training.recipe, 5, 3) * group["factor"])
    assert seen == len(named)
    kinds = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    for name, kind in kinds.items():
        assert type(build_optimizer(tiny.recipe(optimizer=name), training.model, None)) is kind


def test_a_query_models_backbone_alone_counts_as_its_encoder() -> None:
    recipe = tiny.recipe(encoder_lr_factor=0.25)
    model = build("mask2former", 11)
    groups = build_optimizer(recipe, model, None).param_groups
    slow = {id(p) for group in groups if group["factor"] == 0.25 for p in group["params"]}
    named = dict(model.named_parameters())
    assert slow == {id(p) for name, p in named.items() if "._backbone." in name}
    assert 0 < len(slow) < len([name for name in named if "encoder." in name])  # its pixel decoder has encoder layers


def test_precision_is_as_asked_or_as_the_hardware_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert pick_precision(tiny.recipe(precision="fp32"), cpu) == "fp32"
    assert pick_precision(tiny.recipe(precision="bf16"), cpu) == "bf16"
    for amx, avx in ((True, False), (False, True), (False, False)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        assert pick_precision(tiny.recipe(precision="auto"), cpu) == ("bf16" if amx or avx else "fp32")


def test_a_recording_left_out_of_train_validates_the_run(camvid: Path) -> None:
    train_data, val_data = open_splits(
        tiny.recipe(data={"recordings": ["-0006R0"], "val_recordings": ["0006R0"]}), camvid
    )
    assert {stem[:6] for stem in train_data.stems} == {"0001TP", "0016E5"}
    assert {stem[:6] for stem in val_data.stems} == {"0006R0"}
    with pytest.raises(TrainingError, match="2 images are in train and in val"):
        open_splits(tiny.recipe(data={"val_recordings": ["0006R0"]}), camvid)


def test_orientation_tags_are_told_once_and_followed_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tiny.write_camvid(tmp_path / "camvid", upside_down=(1,))
    say_once.cache_clear()
    splits = [open_splits(tiny.recipe(), root) for _ in range(2)]
    said = capsys.readouterr().out.splitlines()
    assert [line.split(" in camvid ")[0] for line in said] == [
        "note: EXIF would turn 1 of the 6 images",
        "note: EXIF would turn 1 of the 3 images",
    ]
    turned = open_splits(tiny.recipe(data={"turned": True}), root)
    assert capsys.readouterr().out == ""
    for stored, other in zip(splits[0], turned, strict=True):
        for before, after in zip(stored[1], other[1], strict=True):
            np.testing.assert_array_equal(after, before[::-1, ::-1])
