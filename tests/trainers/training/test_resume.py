"""A run goes on where it stopped, however it stopped, and never as another one."""

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

import numpy as np
import pytest
import torch
import yaml

from seglab.records.writer import RunWriter
from tests import tiny
from tests.training import NAME, THREE, Killed, die, once, record_of, rows, run, same_run
from trainers import train as module
from trainers.train import Training, main
from trainers.training import setup
from trainers.training.errors import TrainingError

ROOT = Path(__file__).parents[3]


def test_a_finished_run_is_not_trained_again(reference: Path, camvid: Path) -> None:
    before = {p.name: p.read_bytes() for p in reference.iterdir()}
    assert run(THREE, camvid, reference.parents[1])["metrics"] == record_of(reference)["metrics"]
    assert {p.name: p.read_bytes() for p in reference.iterdir()} == before


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


@pytest.mark.parametrize(("save_every", "goes_on_from"), [(1, 3), (2, 2), (3, 3), (9, 0)])
def test_a_run_that_stores_its_state_seldom_trains_the_lost_epochs_again(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, save_every: int, goes_on_from: int
) -> None:
    recipe = tiny.recipe(epochs=5, save_every=save_every, loss="ce + dice + 0.2*boundary")
    run(recipe, camvid, tmp_path / "whole")
    with monkeypatch.context() as patch:
        once(patch, RunWriter, "append_epoch", after, at=4)
        with pytest.raises(Killed):
            run(recipe, camvid, tmp_path / "stopped")
    assert len(rows(tmp_path / "stopped" / NAME)) == 4
    record = run(recipe, camvid, tmp_path / "stopped")
    assert [again["epoch"] for again in record["resumed"]] == [goes_on_from]
    same_run(tmp_path / "stopped" / NAME, tmp_path / "whole" / NAME)


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
        once(patch, module, "measure", interrupted, at=2)
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


def test_another_recipe_for_a_runs_folder_is_refused_by_what_differs(reference: Path, camvid: Path, own: Path) -> None:
    before = (reference / "run.json").read_bytes()
    with pytest.raises(TrainingError, match=r"was started with another recipe \(differs in lr, epochs\)"):
        run(tiny.recipe(epochs=4, lr=0.5), camvid, reference.parents[1])
    shutil.copy(own / "val" / "0016E5_00100.png", own / "val" / "0016E5_00101.png")
    with pytest.raises(TrainingError, match=r"differs in the data"):
        run(THREE, own, reference.parents[1])
    assert (reference / "run.json").read_bytes() == before


def test_a_setting_that_this_version_does_not_know_is_no_reason_to_go_on_without_it(
    reference: Path, camvid: Path, tmp_path: Path
) -> None:
    shutil.copytree(reference, tmp_path / NAME)
    record = record_of(tmp_path / NAME)
    record["recipe"]["mixup"] = 0.5
    (tmp_path / NAME / "run.json").write_text(json.dumps(record))
    with pytest.raises(TrainingError, match=r"differs in mixup\)"):
        run(THREE, camvid, tmp_path)


def forget(folder: Path) -> None:
    """Take out of a record what older versions did not write."""
    record = record_of(folder)
    del record["recipe"]["save_every"], record["recipe"]["data"]["size_px"]
    for split in ("train", "val"):
        del record["data"][split]["size_px"]
    (folder / "run.json").write_text(json.dumps(record))


def test_a_run_of_an_older_version_goes_on_where_what_it_did_not_know_has_its_default(
    reference: Path, camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        once(patch, Training, "save_state", after, at=2)
        with pytest.raises(Killed):
            run(THREE, camvid, tmp_path)
    forget(tmp_path / NAME)
    with pytest.raises(TrainingError, match=r"differs in save_every\)"):
        run(tiny.recipe(epochs=3, save_every=2), camvid, tmp_path)
    with pytest.raises(TrainingError, match=r"differs in data\)"):
        run(tiny.recipe(epochs=3, data={"size_px": [32, 48]}), camvid, tmp_path)
    record = run(THREE, camvid, tmp_path)
    assert record["resumed"][0]["epoch"] == 2
    same_run(tmp_path / NAME, reference)
    assert run(THREE, camvid, tmp_path)["status"] == "finished"


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
