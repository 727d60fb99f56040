"""A grid trains every run as if alone, stops and goes on at will, and says how far each is."""

import fcntl
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from seglab.records.runs import read_counts, read_epochs, read_record
from seglab.records.writer import RunWriter
from tests import tiny
from tests.training import record_of, rows
from trainers import ablate
from trainers.ablate import Grid, Progress, duration, look, main, remaining_s, table
from trainers.training.recipe import RECIPES, Recipe, load_grid

NAMES = ["a-ce-seed1", "b-boundary-seed1", "a-ce-seed2", "b-boundary-seed2"]
OF_THE_MOMENT = ("started", "finished", "seconds_per_epoch", "peak_memory_mib", "resumed")


@pytest.fixture
def grid(tmp_path: Path) -> Path:
    """Return the file of a grid of two losses by two seeds."""
    values = tiny.recipe_values(epochs=5, data={"crop_px": [0, 0], "size_px": [32, 48]}, class_weights="none")
    for name in ("variant", "title", "seed"):
        del values[name]
    values["variants"] = {
        "a-ce": {"title": "A", "loss": "ce"},
        "b-boundary": {"title": "B", "loss": "ce + 0.2*boundary"},
    }
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump({**values, "seeds": [1, 2]}, sort_keys=False))
    return path


def write_run(recipe: Recipe, results: Path, status: str, done: int = 0, seconds: float = 2.0, **more: Any) -> Path:
    """Write the record of a run that is ``done`` epochs far."""
    folder = results / recipe.experiment / recipe.run_name
    record = {name: getattr(recipe, name) for name in ("experiment", "variant", "title", "seed")}
    record |= {"schema_version": 1, "model": {"key": "deeplabv3plus", "size": "bundled"}, "label_space": "camvid-11"}
    writer = RunWriter(folder, {**record, "provenance": "trained", "status": status, **more})
    for epoch in range(1, done + 1):
        writer.append_epoch({"epoch": epoch, "seconds": seconds, "miou": epoch / 10})
    return folder


class Child:
    """Stands for the process of one run: it has ended well when it is looked at for the third time."""

    def __init__(self, book: "Book", words: list[str], env: dict[str, str]) -> None:
        self.book, self.name, self.looks, self.returncode = book, words[-1], 0, None
        book.started.append(self.name)
        book.words.append(words)
        book.devices.append(env.get("CUDA_VISIBLE_DEVICES"))
        book.alive.add(self.name)
        book.most = max(book.most, len(book.alive))

    def poll(self) -> int | None:
        self.looks += 1
        if self.looks > 2:
            self.returncode = 0
            self.book.alive.discard(self.name)
            write_run(self.book.recipes[self.name], self.book.results, "finished", 5)
        return self.returncode


class Book:
    """What was started, when, and how many at once."""

    def __init__(self, recipes: list[Recipe], results: Path) -> None:
        self.recipes, self.results = {recipe.run_name: recipe for recipe in recipes}, results
        self.started: list[str] = []
        self.words: list[list[str]] = []
        self.devices: list[str | None] = []
        self.alive: set[str] = set()
        self.most = 0


@pytest.fixture
def book(grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Book:
    """Let the grid start stand-ins, and look without waiting."""
    book = Book(load_grid(grid), tmp_path / "results")
    monkeypatch.setattr(ablate, "LOOK_S", 0)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(ablate.subprocess, "Popen", lambda words, env, **_: Child(book, words, env))
    return book


def words(grid: Path, *more: str) -> list[str]:
    return [str(grid), "--data", str(grid.parent / "data"), "--results", str(grid.parent / "results"), *more]


def stop_when(condition: Callable[[], bool], monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process SIGTERM at the first look at which the condition holds."""
    sleep = ablate.time.sleep

    def look_again(_: float) -> None:
        sleep(0.05)
        if condition():
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(ablate.time, "sleep", look_again)


def test_a_grid_that_is_stopped_and_started_again_ends_as_its_runs_do_alone(
    grid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    camvid = tiny.write_camvid(tmp_path / "camvid", train=4, val=1)
    folders = {name: tmp_path / "grid" / "tiny" / name for name in NAMES}
    command = [str(grid), "--data", str(camvid), "--results", str(tmp_path / "grid"), "--jobs", "2"]
    command += ["--set", "epochs=8"]
    assert main([*command, "--only", NAMES[3]]) == 0  # what is finished already is left as it is
    finished = (folders[NAMES[3]] / "run.json").read_bytes()
    before = signal.getsignal(signal.SIGTERM)
    with monkeypatch.context() as patch:
        stop_when(lambda: any(read_epochs(folders[name]) for name in NAMES[:2]), patch)
        assert main(command) == 130
    assert signal.getsignal(signal.SIGTERM) is before
    assert capsys.readouterr().err.strip().endswith("interrupted; run the same command to go on")
    looks = [look(recipe, tmp_path / "grid") for recipe in load_grid(grid, ["epochs=8"])]
    stopped = [run.name for run in looks if run.state == "interrupted"]
    assert set(stopped) <= set(NAMES[:2])
    assert {run.state for run in looks[:3]} <= {"interrupted", "waiting"}  # one may have been stopped before its start
    assert 1 <= max(run.epoch for run in looks if run.name in stopped) < 8

    monkeypatch.setattr(ablate, "LOOK_S", 0.05)
    assert main(command) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "4 of 4 finished"
    assert (folders[NAMES[3]] / "run.json").read_bytes() == finished
    assert [name for name in NAMES if record_of(folders[name]).get("resumed")] == stopped

    for name in (*stopped, NAMES[2]):
        alone = tmp_path / "alone" / "tiny" / name
        assert main([*command, "--results", str(tmp_path / "alone"), "--only", name]) == 0
        assert rows(folders[name]) == rows(alone)
        ours, theirs = (record_of(folder) for folder in (folders[name], alone))
        for field in OF_THE_MOMENT:
            ours.pop(field, None), theirs.pop(field, None)
        del ours["environment"]["git_commit"], theirs["environment"]["git_commit"]  # somebody may be at work here
        assert ours == theirs
        counts, expected = read_counts(folders[name]), read_counts(alone)
        assert counts.keys() == expected.keys()
        assert all(values.tobytes() == expected[key].tobytes() for key, values in counts.items())


@pytest.mark.filterwarnings("ignore:For 'tu-':UserWarning")
def test_the_published_recipe_trains_on_a_small_cityscapes_and_records_nineteen_classes(
    cityscapes: Path, tmp_path: Path
) -> None:
    small = ["model.init_encoder=", "model.size=atto", "model.options.decoder_channels=16", "data.workers=0"]
    small += ["epochs=1", "precision=fp32", "data.size_px=[32, 64]", "threads=1"]
    overrides = [word for text in small for word in ("--set", text)]
    path, name = RECIPES / "cityscapes-boundary-ablation.yaml", "c-ce-dice-boundary-seed42"
    command = [str(path), "--data", str(cityscapes), "--results", str(tmp_path), *overrides, "--only", name]
    assert main(command) == 0
    folder = tmp_path / "cityscapes-boundary-ablation" / name
    record = read_record(folder)
    assert (record["status"], record["label_space"], record["data"]["name"]) == (
        "finished",
        "cityscapes-19",
        "cityscapes",
    )
    for metric in ("iou", "dice", "boundary_f1", "trimap_iou"):
        assert sum(key.startswith(f"{metric}/") for key in record["metrics"]) == 19
    assert record["metrics"]["boundary_f1"] is not None
    assert read_counts(folder)["e1/confusion"].shape == (2, 19, 19)
    assert np.isfinite(read_epochs(folder)[0]["train_loss"])


def test_a_run_that_cannot_be_trained_ends_with_one_line(
    grid: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [str(grid), "--data", str(camvid), "--results", str(tmp_path), "--only", NAMES[0]]
    assert main([*command, "--set", "batch_size=7"]) == 1
    assert capsys.readouterr().err == "error: expected at least one batch of 7 images, got 6 images; lower batch_size\n"
    run = look(load_grid(grid)[0], tmp_path)
    assert (run.state, run.message[:30]) == ("failed", "expected at least one batch of")


def test_no_more_runs_than_jobs_train_at_a_time_in_the_grids_order(grid: Path, book: Book) -> None:
    assert main(words(grid, "--jobs", "3", "--set", "lr=0.5", "--set", "momentum=0.5")) == 0
    assert book.started == NAMES
    assert book.most == 3
    assert all(said[-6:] == ["--set", "lr=0.5", "--set", "momentum=0.5", "--only", said[-1]] for said in book.words)
    assert book.devices == [None] * 4


def test_each_device_has_one_run_at_a_time(grid: Path, book: Book) -> None:
    assert main(words(grid, "--devices", "0, 3")) == 0
    assert book.most == 2
    assert book.devices == ["0", "3", "0", "3"]


def test_a_run_that_another_process_holds_is_shown_as_running_and_left_to_it(
    grid: Path, book: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes = load_grid(grid)
    folder = write_run(recipes[1], book.results, "running", 3)
    with open(folder / "run.lock", "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert look(recipes[1], book.results).state == "running"
        assert main(words(grid)) == 1
    assert book.started == [NAMES[0], NAMES[2], NAMES[3]]
    assert capsys.readouterr().out.splitlines()[-1].startswith("3 of 4 finished")
    assert look(recipes[1], book.results).state == "interrupted"  # nobody holds it any more: it was killed
    assert main(words(grid)) == 0
    assert book.started[3:] == [NAMES[1]]


def test_a_failed_run_is_listed_with_its_message_and_tried_again_only_when_asked(
    grid: Path, book: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(load_grid(grid)[0], book.results, "failed", 2, message="the disk is full")
    assert main(words(grid)) == 1
    assert NAMES[0] not in book.started
    last = capsys.readouterr().out.splitlines()[-5:]
    assert last[0].split()[:3] == [NAMES[0], "failed", "2/5"]
    assert last[0].endswith("the disk is full")
    assert main(words(grid, "--retry-failed")) == 0
    assert book.started[3:] == [NAMES[0]]


def test_a_damaged_record_is_listed_with_what_is_wrong_and_hides_no_other(
    grid: Path, book: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes = load_grid(grid)
    (write_run(recipes[0], book.results, "running") / "run.json").write_text("{")
    (write_run(recipes[2], book.results, "running", 2) / "epochs.jsonl").write_text("half\n{}\n")
    assert main(words(grid)) == 1
    assert book.started == [NAMES[1], NAMES[3]]
    lines = capsys.readouterr().out.splitlines()[-5:]
    assert lines[0].endswith(f"{NAMES[0]}/run.json cannot be read as JSON; restore it or train again")
    assert f"line 1 of {NAMES[2]}/epochs.jsonl cannot be read" in lines[2]
    assert [line.split()[1] for line in lines[:4]] == ["damaged", "finished", "damaged", "finished"]


@pytest.mark.parametrize(
    ("script", "says"),
    [("echo loading >&2; echo 'error: too hot' >&2; exit 1", "error: too hot"), ("exit 3", "ended with code 3")],
)
def test_what_a_run_said_at_its_end_is_repeated_and_it_is_not_started_twice(
    grid: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    script: str,
    says: str,
) -> None:
    monkeypatch.setattr(ablate, "LOOK_S", 0.01)
    trainer = Grid(load_grid(grid)[:2], tmp_path, ["sh", "-c", script], [""])
    assert trainer.run(jobs=1, retry_failed=True) == 1
    assert capsys.readouterr().err.splitlines() == [f"{name}: {says}" for name in NAMES[:2]]


def test_the_status_is_a_table_with_the_time_that_is_left(
    grid: Path, book: Book, capsys: pytest.CaptureFixture[str]
) -> None:
    recipes = load_grid(grid)
    write_run(recipes[0], book.results, "finished", 3, seconds=60.0, epochs=3)  # stopped early
    write_run(recipes[1], book.results, "interrupted", 1, seconds=180.0)
    write_run(recipes[2], book.results, "failed", message="too hot")
    assert main([str(grid), "--status", "--jobs", "2", "--results", str(book.results)]) == 0
    left = (4 * 180 + 5 * 120) / 2 / 60  # the run that waits: at the median of 60 and 180 s an epoch
    assert capsys.readouterr().out.splitlines() == [
        "run               state            epoch  s/epoch  val mIoU",
        "a-ce-seed1        finished           3/3     60.0     30.00",
        "b-boundary-seed1  interrupted        1/5    180.0     10.00",
        "a-ce-seed2        failed             0/5        -         -  too hot",
        "b-boundary-seed2  waiting            0/5        -         -",
        f"1 of 4 finished; {left:.0f} min left with 2 at a time",
    ]
    assert not book.started


def test_the_time_left_is_that_of_the_epochs_to_come_shared_by_the_jobs() -> None:
    def run(state: Any, epoch: int, seconds: float | None) -> Progress:
        return Progress("x", state, epoch, 10, seconds, None)

    assert remaining_s([run("waiting", 0, None)], 1) is None
    runs = [run("finished", 10, 5.0), run("running", 4, 10.0), run("interrupted", 8, 20.0), run("waiting", 0, None)]
    assert remaining_s(runs, 1) == 6 * 10 + 2 * 20 + 10 * 10
    assert remaining_s(runs, 2) == 100
    assert remaining_s([*runs, run("failed", 0, None), run("damaged", 0, None)], 1) == 200  # nobody will train these
    assert remaining_s(runs[:1], 4) == 0


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "unknown yet"), (0, "0 min"), (89, "1 min"), (3599, "1 h 00 min"), (3 * 3600 + 300, "3 h 05 min")],
)
def test_durations_are_said_in_hours_and_minutes(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_grid_that_is_done_has_no_time_left() -> None:
    assert table([Progress("x", "finished", 5, 5, 1.0, 0.5)], 1).splitlines()[-1] == "1 of 1 finished"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (["--only", "e-seed1"], f"expected --only out of {', '.join(NAMES)}; got 'e-seed1'"),
        (["--jobs", "0"], "expected --jobs of 1 or more, got 0"),
        (["--jobs", "-2"], "expected --jobs of 1 or more, got -2"),
        (["--set", "speed=1"], "unknown key speed in the recipe"),
        (["--set", "experiment=A B"], "expected an experiment name of lower-case letters"),
        (["--set", "variants={A: {title: A}}"], "expected a variant name of lower-case letters"),
        (["--set", "seeds=[]"], "found no grid"),
    ],
)
def test_what_cannot_be_trained_is_named_in_one_line(
    grid: Path, book: Book, capsys: pytest.CaptureFixture[str], more: list[str], says: str
) -> None:
    assert main(words(grid, *more)) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert says in error
    assert len(error.splitlines()) == 1
    assert not book.started
    assert not book.results.exists()


def test_a_grid_without_data_and_a_recipe_that_is_no_grid_say_what_is_missing(
    grid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(grid)]) == 1
    assert capsys.readouterr().err == "error: expected --data DIR, the data set's root folder\n"
    assert main([str(RECIPES / "camvid-deeplabv3plus.yaml"), "--status"]) == 1
    assert "found no grid" in capsys.readouterr().err
