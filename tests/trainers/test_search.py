"""A search: what it tries, what it keeps, who may share it, and what a killed process leaves to the next."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
import yaml

from seglab.records.studies import find_studies, read_study, trials_table
from seglab.records.writer import RunWriter
from tests import tiny
from tests.training import Killed, once
from trainers import search as module
from trainers.search import Search, Study, main, open_studies, work_through
from trainers.training.errors import TrainingError
from trainers.training.recipe import RECIPES, Recipe, load_recipe

SPACE = {
    "lr": {"low": 1e-4, "high": 1e-2, "log": True},
    "loss": {"low": 0.0, "high": 0.5, "text": "ce + {}*dice"},
    "optimizer": {"choices": ["adam", "adamw"]},
    "batch_size": {"low": 2, "high": 3, "whole": True},
}
BLOCK: dict[str, Any] = {"sampler": "random", "pruner": "none", "trials": 3, "space": SPACE, "trial": {"epochs": 1}}


def write(folder: Path, **changes: Any) -> Path:
    """Write a search recipe of the tiny model."""
    path = folder / "search.yaml"
    path.write_text(yaml.safe_dump(tiny.recipe_values() | {"search": BLOCK | changes}))
    return path


def open_one(folder: Path, data: Path = Path("nowhere"), **changes: Any) -> Study:
    (study,) = open_studies(write(folder, **changes), [], data, folder / "results", "")
    return study


def pretend(monkeypatch: pytest.MonkeyPatch, curve: Any) -> list[Recipe]:
    """Let a trial's training be its curve of mIoU by recipe; return the recipes that are trained."""
    trained: list[Recipe] = []

    def train(recipe: Recipe, data: Path, results: Path, progress: bool, watchers: Sequence[Any]) -> dict[str, Any]:
        trained.append(recipe)
        training = SimpleNamespace(recipe=recipe, folder=results / "none")
        values = curve(recipe)
        try:
            for watcher in watchers:
                watcher.started(training)
            for epoch, miou in enumerate(values, 1):
                for watcher in watchers:
                    watcher.evaluated(training, {"epoch": epoch, "miou": miou})
        except Exception as error:
            raise TrainingError(str(error)) from error
        return {"metrics": {"miou": values[-1]}, "environment": {"git_commit": "abc"}, "data": {"name": "camvid"}}

    monkeypatch.setattr(module, "train", train)
    return trained


def test_trials_are_trained_counted_and_the_best_becomes_a_recipe(camvid: Path, tmp_path: Path) -> None:
    study = open_one(tmp_path, camvid)
    assert work_through(study) == 0
    (path,) = find_studies(tmp_path / "results")
    found = read_study(path)
    assert [t["state"] for t in found["trials"]] == ["complete"] * 3
    assert [len(t["miou"]) for t in found["trials"]] == [1, 1, 1]
    values = [t["value"] for t in found["trials"]]
    assert found["best"] == values.index(max(values))
    assert found["environment"]["data"]["train"]["images"] == 6
    assert {t["number"] for t in found["trials"]} == {0, 1, 2}
    best = load_recipe(path.with_name("deeplabv3plus-best.yaml"))
    params = found["trials"][found["best"]]["params"]
    assert (best.lr, best.optimizer, best.batch_size) == (params["lr"], params["optimizer"], params["batch_size"])
    assert best.loss == f"ce + {params['loss']:.4f}*dice"
    assert best.epochs == 2, "the trials' epochs are theirs"
    assert best.variant == "deeplabv3plus-best"
    assert not list((tmp_path / "results/.search").glob("*/*/run.json")), "a trial that ended leaves nothing"
    assert work_through(open_one(tmp_path, camvid)) == 0
    assert read_study(path)["trials"] == found["trials"], "it is finished"


def test_two_processes_share_one_study(camvid: Path, tmp_path: Path) -> None:
    path = write(tmp_path, trials=8)
    command = [sys.executable, "-m", "trainers.search", str(path), "--data", str(camvid), "--results", str(tmp_path)]
    both = [subprocess.Popen(command, cwd=RECIPES.parents[1], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    said = [child.communicate(timeout=300)[0] for child in both]
    assert [child.returncode for child in both] == [0, 0]
    found = read_study(tmp_path / "tiny/deeplabv3plus.study.json")
    assert [t["number"] for t in found["trials"]] == list(range(8))
    assert {t["state"] for t in found["trials"]} == {"complete"}
    assert len({json.dumps(t["params"]) for t in found["trials"]}) == 8, "no two tried the same"
    lines = [sum(" trial " in line for line in text.splitlines()) for text in said]
    assert sum(lines) == 8
    assert min(lines) >= 1, "both worked"


@pytest.mark.parametrize("storage", ["", "study.journal", "sqlite:///{folder}/study.db"])
def test_a_file_or_a_database_keeps_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str) -> None:
    monkeypatch.chdir(tmp_path)
    pretend(monkeypatch, lambda recipe: [recipe.lr])
    for planned in (2, 5):
        path = write(tmp_path, trials=planned)
        (study,) = open_studies(path, [], tmp_path, tmp_path / "results", storage.format(folder=tmp_path))
        assert work_through(study) == 0
        assert len(study.load().trials) == planned


def test_a_killed_trial_is_taken_up_where_it_stopped(
    camvid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def after(original: Any, *args: Any, **more: Any) -> None:
        original(*args, **more)
        raise Killed

    with monkeypatch.context() as patch:
        once(patch, RunWriter, "append_epoch", after, 2)
        study = open_one(tmp_path, camvid, trials=2, trial={"epochs": 3})
        trial = study.ask()
        assert trial is not None
        with pytest.raises(Killed):
            study.run(trial)
    assert [t.state.name for t in study.load().trials] == ["RUNNING"]
    trained = []
    original = module.train
    monkeypatch.setattr(module, "train", lambda *args, **more: trained.append(original(*args, **more)) or trained[-1])
    assert work_through(open_one(tmp_path, camvid, trials=2, trial={"epochs": 3})) == 0
    found = read_study(tmp_path / "results/tiny/deeplabv3plus.study.json")["trials"]
    assert [t["state"] for t in found] == ["fail", "complete", "complete"]
    assert found[0]["params"] == found[1]["params"] != found[2]["params"]
    assert trained[0]["resumed"][0]["epoch"] == 1, "two epochs were recorded, one was stored"
    assert found[1]["epochs"] == [1, 2, 3]


def test_a_trial_of_a_living_process_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = open_one(tmp_path, trials=2)
    alive = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        for host in (f"{module.socket.gethostname()}:{alive.pid}", "another-machine:1"):
            monkeypatch.setattr(module, "owner", lambda host=host: host)
            assert study.ask() is not None
        assert study.ask() is None
        assert [t.state.name for t in study.load().trials] == ["RUNNING", "RUNNING"]
    finally:
        alive.communicate(b"\n")
    taken = study.ask()
    assert taken is not None
    assert taken.params == study.load().trials[0].params, (
        "its process is gone; the other machine's is not ours to judge"
    )


def test_a_trial_that_is_worse_than_half_of_the_others_is_pruned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    curves = iter([[0.2, 0.4, 0.6, 0.8]] * 3 + [[0.2, 0.1, 0.1, 0.9]])
    pretend(monkeypatch, lambda _: next(curves))
    block = {"pruner": "median", "startup": 3, "warmup": 1, "trials": 4, "sampler": "tpe", "trial": {"epochs": 4}}
    study = open_one(tmp_path, **block)
    assert work_through(study) == 0
    last = read_study(study.folder / "deeplabv3plus.study.json")["trials"][-1]
    assert (last["state"], last["epochs"], last["value"]) == ("pruned", [1, 2], None)


def test_a_failed_configuration_is_noted_and_three_in_a_row_end_the_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = iter([False, True, False, False, False])

    def curve(_: Recipe) -> list[float]:
        if next(answers):
            return [0.5]
        raise TrainingError("the loss is not finite at epoch 1")

    pretend(monkeypatch, curve)
    study = open_one(tmp_path, trials=9)
    assert work_through(study) == 1
    found = read_study(study.folder / "deeplabv3plus.study.json")
    assert [t["state"] for t in found["trials"]] == ["fail", "complete", "fail", "fail", "fail"]
    assert found["trials"][0]["message"] == "the loss is not finite at epoch 1"
    assert "3 trials failed one after the other" in capsys.readouterr().err


def test_importance_finds_the_parameter_that_matters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, lambda recipe: [recipe.lr])
    study = open_one(tmp_path, trials=30)
    assert work_through(study) == 0
    found = read_study(study.folder / "deeplabv3plus.study.json")
    assert max(found["importance"], key=found["importance"].__getitem__) == "lr"
    assert sum(found["importance"].values()) == pytest.approx(1, abs=1e-3)
    table = trials_table(found)
    assert table["best"].is_monotonic_increasing
    assert table["best"].iloc[-1] == max(t["params"]["lr"] for t in found["trials"])


def test_the_committed_search_is_the_published_one() -> None:
    values = yaml.safe_load((RECIPES / "camvid-search.yaml").read_text())["search"]
    ranges = {key: (float(v["low"]), float(v["high"]), v.get("log", False)) for key, v in values["space"].items()}
    assert ranges == {
        "lr": (5e-4, 2e-2, True),
        "loss": (0.0, 0.5, False),
        "model.options.decoder_aspp_dropout": (0.0, 0.3, False),
        "poly_power": (0.7, 1.0, False),
    }
    assert (values["sampler"], values["pruner"]) == ("tpe", "median")
    data = values["trial"]["data"]
    assert data["recordings"] == [f"-{r}" for r in data["val_recordings"]], "judged on frames that are not learned"


def test_the_random_search_is_ten_configurations_of_ten_epochs_for_each_model(tmp_path: Path) -> None:
    studies = open_studies(RECIPES / "camvid-search-random.yaml", [], tmp_path, tmp_path, "")
    assert [s.base.model.key for s in studies] == ["deeplabv3plus", "mask2former"]
    for study in studies:
        recipe = study.recipe_of({"lr": 1e-3, "weight_decay": 1e-2}, 7)
        assert recipe.variant == f"{study.base.variant}-t7"
        assert (study.search.sampler, study.search.trials, recipe.epochs) == ("random", 10, 10)
        assert (recipe.data.train_images, recipe.data.val_images) == (300, 50)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"space": {}}, "at least one parameter in search.space"),
        ({"space": {"lr": {"low": 2, "high": 1}}}, "expected a range low < high"),
        ({"space": {"lr": {"low": 0, "high": 1, "log": True}}}, "expected a range low < high"),
        ({"space": {"colour": {"low": 0, "high": 1}}}, "unknown key colour in the recipe"),
        ({"space": {"lr": {"from": 0}}}, "expected search.space.lr out of choices, high, log"),
        ({"sampler": "grid"}, "expected search.sampler out of random, tpe"),
        ({"patience": 3}, "unknown key search.patience"),
        ({"space": {"loss": {"choices": ["ce", "dice"]}}, "trial": {"epochs": 0}}, "expected epochs of 1 or more"),
        ({"space": {"optimizer": {"choices": ["adam", "lion"]}}}, "expected optimizer out of adamw, adam, sgd"),
    ],
)
def test_what_cannot_be_searched_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], changes: Mapping[str, Any], words: str
) -> None:
    assert main([str(write(tmp_path, **changes)), "--data", str(tmp_path), "--results", str(tmp_path / "results")]) == 1
    said = capsys.readouterr().err
    assert words in said
    assert said.count("\n") == 1


def test_a_recipe_without_a_search_and_a_search_as_a_recipe_say_which_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain.yaml"
    plain.write_text(yaml.safe_dump(tiny.recipe_values()))
    assert main([str(plain), "--data", str(tmp_path), "--results", str(tmp_path)]) == 1
    assert "python -m trainers.train trains a recipe" in capsys.readouterr().err
    with pytest.raises(ValueError, match=r"use python -m trainers\.search"):
        load_recipe(write(tmp_path))


def test_a_wrong_data_folder_ends_the_search_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(write(tmp_path)), "--data", str(tmp_path / "no"), "--results", str(tmp_path / "results")]) == 1
    assert "found no folder" in capsys.readouterr().err


def test_a_database_that_is_not_there_is_said_in_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    storage = f"sqlite:///{tmp_path}/no/such/folder/study.db"
    words = [str(write(tmp_path)), "--data", str(tmp_path), "--results", str(tmp_path), "--storage", storage]
    assert main(words) == 1
    said = capsys.readouterr().err
    assert "unable to open database file" in said
    assert said.count("\n") == 1


def test_a_database_without_its_driver_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = [str(write(tmp_path)), "--data", str(tmp_path), "--results", str(tmp_path)]
    assert main([*words, "--storage", "postgresql://user@host/optuna"]) == 1
    said = capsys.readouterr().err
    assert "a database needs its driver, PostgreSQL psycopg2-binary" in said
    assert said.count("\n") == 1


def test_a_study_of_another_space_or_other_trials_is_not_gone_on_with(tmp_path: Path) -> None:
    open_one(tmp_path)
    open_one(tmp_path, trials=30)
    for changes in ({"trial": {"epochs": 2}}, {"space": {"lr": {"low": 1e-4, "high": 1e-3}}}):
        with pytest.raises(ValueError, match=r"was begun with another (epochs|space); choose another variant"):
            open_one(tmp_path, **changes)


def test_equal_configurations_have_folders_of_their_own(tmp_path: Path) -> None:
    study = open_one(tmp_path, space={"optimizer": {"choices": ["adam"]}}, trials=2)
    trials = []
    for _ in range(2):
        trial = study.ask()
        assert trial is not None
        trials.append(study.recipe_of(trial.params, trial.number).run_name)
        study.load().tell(trial.number, 0.5)
    assert len(set(trials)) == 2


def test_a_configuration_that_kills_its_process_is_given_up_after_two_attempts(tmp_path: Path) -> None:
    study = open_one(tmp_path, trials=1)
    asked = [study.ask() for _ in range(3)]  # each finds the one before left alone: this process "runs" it no more
    assert [trial is not None for trial in asked] == [True, True, True]
    first, again, other = (trial.params for trial in asked if trial)
    assert first == again != other


def test_a_storage_that_is_away_for_a_moment_stops_no_trial(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pretend(monkeypatch, lambda _: [0.1, 0.5])

    def away(*_: Any, **__: Any) -> None:
        raise ConnectionError("server closed the connection\nmore")

    monkeypatch.setattr(optuna.Trial, "report", away)
    study = open_one(tmp_path, trials=1)
    assert work_through(study) == 0
    assert "server closed the connection; the trial goes on" in capsys.readouterr().err
    assert read_study(study.folder / "deeplabv3plus.study.json")["trials"][0]["value"] == 0.5


def test_a_full_disk_is_no_fault_of_the_configuration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any, **__: Any) -> None:
        try:
            raise OSError(28, "No space left on device")
        except OSError as error:
            raise TrainingError("the disk is full") from error

    monkeypatch.setattr(module, "train", full)
    study = open_one(tmp_path, trials=2)
    with pytest.raises(TrainingError, match="disk is full"):
        work_through(study)
    assert [t.state.name for t in study.load().trials] == ["RUNNING"]


def test_without_optuna_the_command_says_how_to_add_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "optuna", None)
    assert main([str(write(tmp_path)), "--data", str(tmp_path)]) == 1
    assert "pip install -r requirements-search.txt" in capsys.readouterr().err


def test_the_sampler_is_random_or_tpe_with_a_seed_of_its_own_for_each_trial(tmp_path: Path) -> None:
    study = open_one(tmp_path)
    assert isinstance(study.load().sampler, optuna.samplers.RandomSampler)
    assert isinstance(open_one(tmp_path, sampler="tpe").load().sampler, optuna.samplers.TPESampler)
    first = study.ask()
    assert first is not None
    study.load().tell(first.number, 0.5)
    second = study.ask()
    assert second is not None
    assert first.params != second.params


def test_a_search_is_small_data() -> None:
    assert Search(space={}).trials == 20
