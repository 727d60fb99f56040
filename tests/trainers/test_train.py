"""A run learns, says what it did, and goes on where it stopped, however it stopped."""

import errno
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import time
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

from seglab.checkpoints import load_run
from seglab.models import build
from seglab.runs import RunWriter, read_counts, read_epochs, read_record
from tests import tiny
from trainers import setup
from trainers import train as module
from trainers.setup import TrainingError, build_optimizer, learning_rate, open_splits, pick_precision
from trainers.train import Training, explain, main, train

ROOT = Path(__file__).parents[2]
NAME = "tiny/deeplabv3plus-seed42"
THREE = tiny.recipe(epochs=3)


class Killed(BaseException):
    """Stands for SIGKILL: no handler of the trainer may see it."""


def run(recipe: Any, data: Path, results: Path) -> dict[str, Any]:
    return train(recipe, data, results, progress=False)


def rows(folder: Path) -> list[dict[str, Any]]:
    """Return the epochs as recorded, apart from how long they took."""
    return [{k: v for k, v in row.items() if k != "seconds"} for row in read_epochs(folder)]


def record_of(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "run.json").read_text())
    return record


def once(monkeypatch: pytest.MonkeyPatch, owner: Any, name: str, act: Any, at: int = 1) -> None:
    """Let the ``at``-th call of ``owner.name`` do ``act(original, *args)`` instead; the others as ever."""
    original, calls = getattr(owner, name), []

    def patched(*args: Any, **more: Any) -> Any:
        calls.append(1)
        return act(original, *args, **more) if len(calls) == at else original(*args, **more)

    monkeypatch.setattr(owner, name, patched)


def die(*_: Any, **__: Any) -> Any:
    raise Killed


@pytest.fixture(scope="module")
def reference(camvid: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a run of three epochs that nothing disturbed."""
    results = tmp_path_factory.mktemp("reference")
    run(THREE, camvid, results)
    return results / NAME


def same_run(folder: Path, reference: Path) -> None:
    """Check that a run that was stopped ended as the one that was not."""
    assert rows(folder) == rows(reference)
    ours, theirs = record_of(folder), record_of(reference)
    assert ours["status"] == theirs["status"] == "finished"
    assert ours["metrics"] == theirs["metrics"]
    assert ours["weights"] == theirs["weights"]
    assert "message" not in ours
    counts, expected = read_counts(folder), read_counts(reference)
    assert sorted(counts) == sorted(expected)
    assert all(np.array_equal(counts[name], expected[name]) for name in counts)
    assert {p.name for p in folder.iterdir()} == {p.name for p in reference.iterdir()}
    load_run(folder)


# -- what a run learns and says -----------------------------------------------------------------------------------------


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
        epochs=60,
        eval_every=60,
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
        assert list(row)[:7] == ["epoch", "train_loss", "lr", "seconds", "miou", "pixel_accuracy", "dice"]
        assert sum(name.startswith("iou/") for name in row) == 11
        assert row["iou/bicyclist"] in (None, 0.0)  # never drawn
        assert 0 < row["train_loss"] < 100
    assert record_of(reference)["metrics"]["miou"] == epochs[-1]["miou"]


def test_counts_are_kept_per_image_for_the_last_epoch(reference: Path) -> None:
    counts = read_counts(reference)
    assert sorted(counts) == ["e3/confusion", "stems"]
    assert counts["e3/confusion"].shape == (3, 11, 11)
    assert counts["e3/confusion"].dtype == np.uint32
    assert counts["stems"].tolist() == [f"0016E5_{i:05d}" for i in (100, 101, 102)]
    valid = tiny.HEIGHT * tiny.WIDTH - 3 * tiny.WIDTH
    assert counts["e3/confusion"].sum((1, 2)).tolist() == [valid] * 3


def test_a_finished_run_is_not_trained_again(reference: Path, camvid: Path) -> None:
    before = {p.name: p.read_bytes() for p in reference.iterdir()}
    assert run(THREE, camvid, reference.parents[1])["metrics"] == record_of(reference)["metrics"]
    assert {p.name: p.read_bytes() for p in reference.iterdir()} == before


# -- stopped at any moment ----------------------------------------------------------------------------------------------


def half_a_line(original: Any, writer: RunWriter, row: dict[str, Any]) -> None:
    original(writer, row)
    path = writer.folder / "epochs.jsonl"
    data = path.read_bytes()
    path.write_bytes(data[: -len(data) // 5])
    raise Killed


def half_a_state(original: Any, state: Any, file: Any) -> None:
    file.write(b"PK\x03\x04 half")
    raise Killed


def after(original: Any, *args: Any, **more: Any) -> None:
    original(*args, **more)
    raise Killed


DEATHS: dict[str, tuple[Any, str, Any, int]] = {
    "before the first line": (RunWriter, "append_epoch", die, 1),
    "in the middle of a line": (RunWriter, "append_epoch", half_a_line, 2),
    "between a line and the state": (RunWriter, "append_epoch", after, 2),
    "in the middle of the state": (torch, "save", half_a_state, 2),
    "after the state": (Training, "save_state", after, 2),
    "between the last weights and the last line": (Training, "_store_weights", after, 1),
    "between the last line and the counts": (RunWriter, "append_epoch", after, 3),
    "between the counts and the end": (RunWriter, "save_counts", after, 1),
}


@pytest.mark.parametrize("moment", DEATHS)
def test_a_run_killed_at_any_write_ends_as_if_nothing_had_happened(
    reference: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    owner, name, act, at = DEATHS[moment]
    with monkeypatch.context() as patch:
        once(patch, owner, name, act, at)
        with pytest.raises(Killed):
            run(THREE, camvid, tmp_path)
    assert record_of(tmp_path / NAME)["status"] == "running"
    record = run(THREE, camvid, tmp_path)
    assert len(record["resumed"]) == 1
    (tmp_path / NAME / "state.pt.tmp").unlink(missing_ok=True)
    same_run(tmp_path / NAME, reference)


def start(recipe: Path, data: Path, results: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "trainers.train", str(recipe), "--data", str(data), "--results", str(results)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_epochs(process: subprocess.Popen[str], folder: Path, count: int) -> None:
    path = folder / "epochs.jsonl"
    while not (path.exists() and len(path.read_text().splitlines()) >= count):
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)


def test_a_process_stopped_by_sigint_and_then_by_sigkill_ends_as_if_nothing_had_happened(
    camvid: Path, tmp_path: Path
) -> None:
    values = tiny.recipe_values(epochs=12, data={"workers": 1})
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    folder, words = tmp_path / "stopped" / NAME, (tmp_path / "recipe.yaml", camvid, tmp_path / "stopped")
    delay = np.random.default_rng(7).uniform(0, 0.4, 2)

    process = start(*words)
    wait_for_epochs(process, folder, 1)
    time.sleep(delay[0])
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.strip().endswith("interrupted; run the same command to go on")
    assert "Traceback" not in errors
    record = record_of(folder)
    assert record["status"] == "interrupted"
    assert record["message"].startswith("stopped by hand after epoch ")
    done = len(rows(folder))
    assert done < 12

    process = start(*words)
    wait_for_epochs(process, folder, done + 1)
    time.sleep(delay[1])
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    assert record_of(folder)["status"] == "running"
    assert len(rows(folder)) < 12

    common = ["--data", str(camvid), "--results"]
    assert main([str(words[0]), *common, str(tmp_path / "stopped")]) == 0
    assert main([str(words[0]), *common, str(tmp_path / "whole")]) == 0
    (folder / "state.pt.tmp").unlink(missing_ok=True)
    same_run(folder, tmp_path / "whole" / NAME)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_a_run_with_its_record_whole_and_its_handlers_back(
    reference: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    before = signal.getsignal(number)

    def interrupted(original: Any, *args: Any) -> Any:
        signal.raise_signal(number)
        return original(*args)

    with monkeypatch.context() as patch:
        once(patch, module, "confusions", interrupted, at=2)
        with pytest.raises(KeyboardInterrupt):
            run(THREE, camvid, tmp_path)
    assert signal.getsignal(number) is before
    record = record_of(tmp_path / NAME)
    assert (record["status"], record["message"]) == ("interrupted", "stopped by hand after epoch 1")
    run(THREE, camvid, tmp_path)
    same_run(tmp_path / NAME, reference)


def test_an_interrupt_that_torch_turns_into_another_error_is_still_an_interrupt(
    reference: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(original: Any, *args: Any) -> Any:
        with suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        raise RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")

    with monkeypatch.context() as patch:
        once(patch, torch, "save", interrupted, at=2)
        with pytest.raises(KeyboardInterrupt):
            run(THREE, camvid, tmp_path)
    assert record_of(tmp_path / NAME)["status"] == "interrupted"
    run(THREE, camvid, tmp_path)
    (tmp_path / NAME / "state.pt.tmp").unlink(missing_ok=True)
    same_run(tmp_path / NAME, reference)


def test_a_full_disk_fails_with_what_to_do_and_the_run_goes_on_when_there_is_room(
    reference: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(tiny.recipe_values(epochs=3)))
    words = [str(tmp_path / "recipe.yaml"), "--data", str(camvid), "--results", str(tmp_path)]
    with monkeypatch.context() as patch:
        once(patch, torch, "save", full, at=2)
        assert main(words) == 1
    assert "error: the disk is full; free some space and run the same command" in capsys.readouterr().err
    record = record_of(tmp_path / NAME)
    assert record["status"] == "failed"
    assert record["message"].startswith("the disk is full")
    with monkeypatch.context() as patch:  # not even the record can be written
        patch.setattr(os, "fsync", full)
        assert main(words) == 1
    assert record_of(tmp_path / NAME)["status"] == "failed"
    assert main(words) == 0
    (tmp_path / NAME / "state.pt.tmp").unlink(missing_ok=True)
    same_run(tmp_path / NAME, reference)


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


def test_a_loss_that_is_not_finite_fails_with_what_to_do_and_keeps_what_was_recorded(
    reference: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    once(monkeypatch, Training, "_loss", lambda original, *args: original(*args) * float("nan"), at=5)
    with pytest.raises(TrainingError, match="the loss is not finite at epoch 2, step 2; lower lr"):
        run(THREE, camvid, tmp_path)
    record = record_of(tmp_path / NAME)
    assert record["status"] == "failed"
    assert "train that as another variant" in record["message"]
    assert rows(tmp_path / NAME) == rows(reference)[:1]
    monkeypatch.undo()
    run(THREE, camvid, tmp_path)
    same_run(tmp_path / NAME, reference)


def test_a_learning_rate_that_is_far_too_large_is_named_in_one_line(
    camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = tiny.recipe_values(lr=1e30, clip_norm=0.0, warmup_epochs=0.0, schedule="constant", optimizer="sgd")
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(values))
    assert main([str(tmp_path / "recipe.yaml"), "--data", str(camvid), "--results", str(tmp_path / "results")]) == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: the loss is not finite at epoch 1, step 2")


# -- what is refused ----------------------------------------------------------------------------------------------------


@pytest.fixture
def own(camvid: Path, tmp_path: Path) -> Path:
    """Return a copy of the tiny CamVid that a test may damage."""
    return Path(shutil.copytree(camvid, tmp_path / "camvid"))


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
        (["--set", "model.key=unet"], "expected a model out of deeplabv3plus"),
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


def test_another_recipe_for_a_runs_folder_is_refused_by_what_differs(reference: Path, camvid: Path, own: Path) -> None:
    before = (reference / "run.json").read_bytes()
    with pytest.raises(TrainingError, match=r"was started with another recipe \(differs in lr, epochs\)"):
        run(tiny.recipe(epochs=4, lr=0.5), camvid, reference.parents[1])
    shutil.copy(own / "val" / "0016E5_00100.png", own / "val" / "0016E5_00101.png")
    with pytest.raises(TrainingError, match=r"differs in the data"):
        run(THREE, own, reference.parents[1])
    assert (reference / "run.json").read_bytes() == before


def test_a_folder_that_was_not_trained_here_is_refused(reference: Path, camvid: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(reference, tmp_path / NAME))
    record = record_of(folder)
    del record["recipe"]
    (folder / "run.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match="was not trained here; choose another variant or seed"):
        run(THREE, camvid, tmp_path)


def test_two_processes_never_train_one_run(reference: Path, camvid: Path) -> None:
    with open(reference / "run.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(TrainingError, match="is being trained by another process"):
            run(THREE, camvid, reference.parents[1])
    (reference / "run.lock").unlink()
    assert run(THREE, camvid, reference.parents[1])["status"] == "finished"


def test_a_recording_left_out_of_train_validates_the_run(camvid: Path) -> None:
    train_data, val_data = open_splits(
        tiny.recipe(data={"recordings": ["-0006R0"], "val_recordings": ["0006R0"]}), camvid
    )
    assert {stem[:6] for stem in train_data.stems} == {"0001TP", "0016E5"}
    assert {stem[:6] for stem in val_data.stems} == {"0006R0"}
    with pytest.raises(TrainingError, match="2 images are in train and in val"):
        open_splits(tiny.recipe(data={"val_recordings": ["0006R0"]}), camvid)


# -- how it learns ------------------------------------------------------------------------------------------------------


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
    original, left = module.metrics.summarise, list(mious)
    monkeypatch.setattr(
        module.metrics, "summarise", lambda *args: {**original(*args), "miou": left.pop(0) if left else mious[-1]}
    )


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
        {"data": {"name": "cityscapes", "label_space": "cityscapes-8", "rare_classes": [1]}},
    ],
    ids=["queries", "auxiliary head", "bf16", "teacher", "encoder of a run", "scenes", "cityscapes"],
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


def test_a_student_resumes_with_its_projections(
    reference: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "RESULTS", reference.parents[1])
    recipe = tiny.recipe(variant="student", distil={"teacher": NAME, "features": 0.5})
    run(recipe, camvid, tmp_path / "whole")
    with monkeypatch.context() as patch:
        once(patch, RunWriter, "append_epoch", die, at=2)
        with pytest.raises(Killed):
            run(recipe, camvid, tmp_path / "stopped")
    run(recipe, camvid, tmp_path / "stopped")
    student = "tiny/student-seed42"
    same_run(tmp_path / "stopped" / student, tmp_path / "whole" / student)


def test_a_run_does_not_go_on_with_another_teacher_and_takes_the_one_beside_it_first(
    reference: Path, tiny_run: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup, "RESULTS", reference.parents[1])
    recipe = tiny.recipe(variant="student", distil={"teacher": NAME})
    with monkeypatch.context() as patch:
        once(patch, RunWriter, "append_epoch", die, at=2)
        with pytest.raises(Killed):
            run(recipe, camvid, tmp_path)
    folder = tmp_path / "tiny" / "student-seed42"
    assert record_of(folder)["teacher"] == {"run": NAME, "sha256": record_of(reference)["weights"]["sha256"]}
    shutil.copytree(tiny_run, tmp_path / NAME)
    with pytest.raises(TrainingError, match="was started with another teacher; bring that run back"):
        run(recipe, camvid, tmp_path)
    shutil.rmtree(folder)
    assert run(recipe, camvid, tmp_path)["teacher"]["sha256"] == record_of(tiny_run)["weights"]["sha256"]


def test_precision_is_as_asked_or_as_the_hardware_likes(monkeypatch: pytest.MonkeyPatch) -> None:
    cpu = torch.device("cpu")
    assert pick_precision(tiny.recipe(precision="fp32"), cpu) == "fp32"
    assert pick_precision(tiny.recipe(precision="bf16"), cpu) == "bf16"
    for amx, avx in ((True, False), (False, True), (False, False)):
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda amx=amx: amx)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda avx=avx: avx)
        assert pick_precision(tiny.recipe(precision="auto"), cpu) == ("bf16" if amx or avx else "fp32")


def test_dropout_and_norms_are_in_training_mode_while_learning_and_not_while_evaluating(
    camvid: Path, tmp_path: Path
) -> None:
    training = Training(tiny.recipe(epochs=2), camvid, tmp_path, progress=False)
    modes = set()
    norm = next(m for m in training.model.modules() if isinstance(m, nn.BatchNorm2d))
    norm.register_forward_hook(lambda m, inputs, _: modes.add((m.training, torch.is_inference_mode_enabled())))
    training.run()
    assert modes == {(True, False), (False, True)}
