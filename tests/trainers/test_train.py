"""A run learns and says what it did; what cannot be trained is named."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from safetensors import SafetensorError
from torch import nn

from seglab.predict.networks import load_run
from seglab.records.runs import read_counts, read_epochs, read_record
from tests import tiny
from tests.training import NAME, THREE, record_of, run
from trainers import train as module
from trainers.train import Training, main
from trainers.training import setup
from trainers.training.errors import TrainingError, explain
from trainers.training.loading import epoch_batches
from trainers.training.recipe import build_recipe


def test_two_images_are_learned_by_heart(tmp_path: Path) -> None:
    for split in ("train", "val"):
        images, masks = tmp_path / "data" / split, tmp_path / "data" / f"{split}annot"
        images.mkdir(parents=True)
        masks.mkdir()
        for seed in range(2):
            image, mask = tiny.street(seed)
            cv2.imwrite(str(images / f"{split}{seed}.png"), image[..., ::-1])
            cv2.imwrite(str(masks / f"{split}{seed}.png"), mask)
    recipe = tiny.recipe(
        data={"crop_px": [0, 0], "augment": []},
        epochs=100,  # at 60 it ends at 0.898 with AVX2 and at 0.902 with AVX-512: the order of sums decides
        eval_every=100,
        lr=4e-3,
        weight_decay=0.0,
        loss="ce + dice",
        class_weights="none",
        warmup_epochs=5.0,
    )
    record = run(recipe, tmp_path / "data", tmp_path / "results")
    assert record["metrics"]["miou"] > 0.9


def test_the_record_says_what_was_run_on_what_and_how_it_ended(reference: Path) -> None:
    record = read_record(reference)
    top = "schema_version experiment variant title seed model label_space data warm_start teacher recipe environment"
    assert list(record)[:12] == top.split()
    assert (record["status"], record["provenance"], record["epochs"]) == ("finished", "trained", 3)
    assert record["model"].keys() == {"key", "size", "options", "parameters"}
    assert record["data"]["name"] == "camvid"
    for split, images in (("train", 6), ("val", 3)):
        described = record["data"][split]
        assert (described["split"], described["images"]) == (split, images)
        assert described["size_px"] == [tiny.HEIGHT, tiny.WIDTH]
        assert len(described["fingerprint"]) == 64
    assert record["recipe"] == json.loads(json.dumps(THREE.as_dict()))
    environment = record["environment"]
    assert environment.keys() == {"git_commit", "python", "packages", "device", "threads", "precision"}
    assert environment["packages"]["torch"] == torch.__version__
    assert record["weights"].keys() == {"file", "sha256", "dtype", "bytes"}
    assert record["started"] <= record["finished"]
    assert record["seconds_per_epoch"] > 0
    assert record["peak_memory_mib"] > 50


def test_every_epoch_has_its_line_with_every_metric_also_by_class(reference: Path) -> None:
    epochs = read_epochs(reference)
    assert [row["epoch"] for row in epochs] == [1, 2, 3]
    for row in epochs:
        assert list(row)[:7] == ["epoch", "train_loss", "lr", "seconds", "eval_seconds", "miou", "pixel_accuracy"]
        assert {"boundary_f1", "trimap_iou"} <= set(row)
        for metric in ("iou", "dice", "boundary_f1", "trimap_iou"):
            assert sum(name.startswith(f"{metric}/") for name in row) == 11
        assert row["iou/bicyclist"] in (None, 0.0)  # never drawn
        assert 0 < row["train_loss"] < 100
    assert record_of(reference)["metrics"]["miou"] == epochs[-1]["miou"]


def test_counts_are_kept_per_image_for_the_last_epoch(reference: Path) -> None:
    counts = read_counts(reference)
    kept = {"confusion": "uint32", "boundary_f1": "float32", "trimap_intersection": "uint32", "trimap_union": "uint32"}
    assert {name: str(values.dtype) for name, values in counts.items() if name != "stems"} == {
        f"e3/{name}": kind for name, kind in kept.items()
    }
    assert counts["e3/confusion"].shape == (3, 11, 11)
    assert all(counts[f"e3/{name}"].shape == (3, 11) for name in list(kept)[1:])
    assert counts["stems"].tolist() == [f"0016E5_{i:05d}" for i in (100, 101, 102)]
    valid = tiny.HEIGHT * tiny.WIDTH - 3 * tiny.WIDTH
    assert counts["e3/confusion"].sum((1, 2)).tolist() == [valid] * 3


def test_a_full_disk_is_told_however_the_libraries_say_it() -> None:
    file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115
    with pytest.raises((RuntimeError, OSError)) as caught:
        torch.save({"a": torch.zeros(10_000)}, file)
    with suppress(OSError):
        file.close()
    assert explain(caught.value).startswith("the disk is full")
    wrapped = SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert explain(wrapped).startswith("the disk is full")
    assert explain(torch.OutOfMemoryError("CUDA out of memory")).startswith(
        "the device is out of memory; lower batch_size"
    )
    assert explain(ValueError("first\nlast")) == "last"
    assert explain(KeyError()) == "KeyError"


def test_a_learning_rate_that_is_far_too_large_is_named_in_one_line(
    camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = tiny.recipe_values(lr=1e30, clip_norm=0.0, warmup_epochs=0.0, schedule="constant", optimizer="sgd")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    assert main([str(tmp_path / "recipe.yaml"), "--data", str(camvid), "--results", str(tmp_path / "results")]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: the loss is not finite at epoch 1, step 2")


def test_wrong_ids_in_train_are_refused_before_anything_is_written(own: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(sorted((own / "trainannot").iterdir())[3]), np.full((64, 96), 40, np.uint8))
    with pytest.raises(ValueError, match=r"expected ids 0\.\.10 or void in .*got \[40\]"):
        run(THREE, own, tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_wrong_ids_in_val_fail_the_run_with_the_same_sentence(own: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(sorted((own / "valannot").iterdir())[1]), np.full((64, 96), 40, np.uint8))
    with pytest.raises(TrainingError, match=r"expected ids 0\.\.10 or void in .*got \[40\]"):
        run(THREE, own, tmp_path / "results")
    assert record_of(tmp_path / "results" / NAME)["status"] == "failed"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--set", "data.name=kitti"], "expected a data set out of camvid, cityscapes"),
        (["--set", "model.key=unet++"], "expected a model out of deeplabv3plus"),
        (["--set", "model.size=huge"], "expected a size of deeplabv3plus out of bundled"),
        (["--set", "model.options.pretrained=true"], "which a record cannot set"),
        (["--set", "model.init_encoder=lite0"], "expected model fpn_efficientnet, size lite0, for init_encoder lite0"),
        (["--set", "model.init_encoder=no/such-run"], "expected a run.json"),
        (["--set", "distil.teacher=no/such-run"], "expected a run.json"),
        (["--set", "loss=focal"], "expected a sum of ce, dice"),
        (["--set", "variant=../up"], "expected a variant name of lower-case letters"),
        (["--set", "experiment=A B"], "expected an experiment name of lower-case letters"),
        (["--set", "data.augment=[spin]"], "expected augmentation stages out of flip"),
        (["--set", "batch_size=7"], "expected at least one batch of 7 images, got 6 images; lower batch_size"),
        (["--pretrained"], "could not fetch the pretrained weights of deeplabv3plus"),
    ],
)
def test_what_cannot_be_trained_is_named_in_one_line(
    camvid: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    says: str,
) -> None:
    monkeypatch.setattr(setup, "RESULTS", tmp_path / "results")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny.recipe_values()))
    command = [str(tmp_path / "recipe.yaml"), "--data", str(camvid), "--results", str(tmp_path / "results"), *words]
    assert main(command) == 1
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[-1].startswith("error: ")
    assert says in lines[-1]
    assert "Traceback" not in "".join(lines)


def test_missing_data_is_named_and_nothing_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny.recipe_values()))
    words = [str(tmp_path / "recipe.yaml"), "--data", str(tmp_path / "none"), "--results", str(tmp_path / "results")]
    assert main(words) == 1
    assert capsys.readouterr().err.startswith("error: expected CamVid in the SegNet tutorial's layout, found no folder")
    assert not (tmp_path / "results").exists()


def test_accumulated_gradients_equal_those_of_a_big_batch(camvid: Path, tmp_path: Path) -> None:
    weights, steps = [], []
    for batch_size, accumulate in ((6, 1), (2, 3), (1, 6)):
        recipe = tiny.recipe(
            data={"crop_px": [0, 0], "augment": []},
            batch_size=batch_size,
            accumulate=accumulate,
            loss="ce",
            class_weights="none",
            optimizer="sgd",
            schedule="constant",
            warmup_epochs=0.0,
            lr=0.1,
        )
        training = Training(recipe, camvid, tmp_path, progress=False)
        training.model.eval()  # batch norm and dropout would see the batches
        training.model.train = lambda mode=True, model=training.model: model  # type: ignore[method-assign,assignment,misc]
        counted = training.optimizer.step
        calls: list[int] = []
        training.optimizer.step = lambda *a, calls=calls, step=counted: (calls.append(1), step(*a))  # type: ignore[method-assign,assignment,misc]
        training._one_epoch(1)
        steps.append(len(calls))
        weights.append(torch.cat([p.detach().flatten() for p in training.model.parameters()]))
    assert steps == [1, 1, 1]
    torch.testing.assert_close(weights[1], weights[0], rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(weights[2], weights[0], rtol=1e-4, atol=1e-6)


def test_what_is_left_of_an_epoch_is_a_step_of_its_own(camvid: Path, tmp_path: Path) -> None:
    training = Training(tiny.recipe(accumulate=2), camvid, tmp_path, progress=False)
    training._one_epoch(1)  # three batches: one step of two, one of one
    (state,) = {int(s["step"]) for s in training.optimizer.state.values()}
    assert state == 2
    assert all(p.grad is None for p in training.model.parameters())


@pytest.mark.filterwarnings("ignore:For 'tu-':UserWarning")
def test_the_auxiliary_head_learns_from_the_same_sum_at_its_weight(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = tiny.recipe_values(loss="ce + 0.2*boundary", aux_weight=0.3, class_weights="none")
    values["model"] = {"key": "upernet_convnextv2", "options": {"decoder_channels": 16}}
    training = Training(build_recipe(values), camvid, tmp_path, progress=False)
    image, target, maps = next(epoch_batches(training.samples, 1, 2))
    sums, original = [], module.weighted_sum

    def listen(*args: Any) -> torch.Tensor:
        assert args[4] is maps
        sums.append(original(*args))
        return sums[-1]

    monkeypatch.setattr(module, "weighted_sum", listen)
    loss = training._loss(image, target, maps)
    auxiliary, main_head = sums
    assert loss.item() == pytest.approx((main_head + 0.3 * auxiliary).item(), rel=1e-6)


def test_rare_classes_weigh_more_and_the_mean_weight_of_a_pixel_is_one(camvid: Path, tmp_path: Path) -> None:
    training = Training(tiny.recipe(), camvid, tmp_path, progress=False)
    frequency = training.samples.class_frequency(11)
    assert training.class_weights is not None
    weights = training.class_weights.numpy()
    present = np.argsort(frequency)
    assert (np.diff(weights[present]) <= 1e-6).all()
    assert (weights * frequency).sum() == pytest.approx(1, rel=1e-5)
    assert np.isfinite(weights).all()


def evaluations(monkeypatch: pytest.MonkeyPatch, mious: list[float]) -> None:
    """Let the evaluations find these mIoU, one after the other."""
    original, left = module.summarise_images, list(mious)

    def summary(*args: Any) -> dict[str, float]:
        return {**original(*args), "miou": left.pop(0) if left else mious[-1]}

    monkeypatch.setattr(module, "summarise_images", summary)


def test_training_stops_early_with_its_weights_stored(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    evaluations(monkeypatch, [0.2, 0.3, 0.3, 0.3, 0.3])
    record = run(tiny.recipe(epochs=50, early_stopping=2), camvid, tmp_path)
    assert (record["status"], record["epochs"]) == ("finished", 4)
    assert [row["epoch"] for row in read_epochs(tmp_path / NAME)] == [1, 2, 3, 4]
    assert "e4/confusion" in read_counts(tmp_path / NAME)
    load_run(tmp_path / NAME)


def test_a_plateau_lowers_the_learning_rate(camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evaluations(monkeypatch, [0.2, 0.1, 0.1, 0.3, 0.1, 0.1])
    recipe = tiny.recipe(
        epochs=6, schedule="plateau", plateau_patience=2, plateau_factor=0.1, lr=1e-3, warmup_epochs=0.0
    )
    run(recipe, camvid, tmp_path)
    rates = [row["lr"] for row in read_epochs(tmp_path / NAME)]
    np.testing.assert_allclose(rates, [1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-4])


def test_a_run_that_keeps_no_weights_says_so(camvid: Path, tmp_path: Path) -> None:
    record = run(tiny.recipe(epochs=1, keep_weights=False), camvid, tmp_path)
    assert record["weights"] is None
    assert record["metrics"]["miou"] == read_epochs(tmp_path / NAME)[-1]["miou"]
    assert sorted(p.name for p in (tmp_path / NAME).iterdir()) == ["counts.npz", "epochs.jsonl", "run.json"]


@pytest.mark.filterwarnings("ignore:For 'tu-':UserWarning")
@pytest.mark.parametrize(
    "changes",
    [
        {"model": {"key": "mask2former", "options": {"decoder_layers": 2, "train_num_points": 64}}},
        {"model": {"key": "upernet_convnextv2", "options": {"decoder_channels": 16}}},
        {"precision": "bf16"},
        {"distil": {"teacher": NAME, "features": 0.5}},
        {"model": {"key": "mask2former", "init_encoder": NAME, "options": {"decoder_layers": 2}}},
        {"data": {"scenes_frac": 0.5, "scenes": 2}},
        {"loss": "ce + dice + 0.2*boundary", "data": {"scenes_frac": 0.5, "scenes": 2, "workers": 1}},
        {"loss": "focal(2) + weighted_dice"},
        {"data": {"size_px": [32, 48], "crop_px": [0, 0]}},
        {"data": {"name": "cityscapes", "label_space": "cityscapes-8", "rare_classes": [1]}},
    ],
    ids=[
        "queries",
        "auxiliary head",
        "bf16",
        "teacher",
        "encoder of a run",
        "scenes",
        "boundary",
        "focal",
        "resized",
        "cityscapes",
    ],
)
def test_every_kind_of_run_trains_and_can_be_served(
    changes: dict[str, Any],
    reference: Path,
    camvid: Path,
    cityscapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(setup, "RESULTS", reference.parents[1])
    values = tiny.recipe_values(epochs=1, variant="other", **changes)
    if "key" in changes.get("model", {}):
        values["model"] = changes["model"]
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    data = cityscapes if "name" in changes.get("data", {}) else camvid
    assert main([str(tmp_path / "recipe.yaml"), "--data", str(data), "--results", str(tmp_path)]) == 0
    record = read_record(tmp_path / "tiny" / "other-seed42")
    assert record["status"] == "finished"
    assert np.isfinite(record["metrics"]["miou"])
    assert (record["warm_start"] is not None) == ("init_encoder" in values["model"])
    load_run(tmp_path / "tiny" / "other-seed42")


def test_dropout_and_norms_are_in_training_mode_while_learning_and_not_while_evaluating(
    camvid: Path, tmp_path: Path
) -> None:
    training = Training(tiny.recipe(epochs=2), camvid, tmp_path, progress=False)
    modes = set()
    norm = next(m for m in training.model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.register_forward_hook(lambda m, inputs, _: modes.add((m.training, torch.is_inference_mode_enabled())))
    training.run()
    assert modes == {(True, False), (False, True)}
