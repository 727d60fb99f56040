"""An experiment of an MLflow tracking server, read by its name as a file would be."""

from pathlib import Path

import mlflow
import pytest

from seglab.records.imports import mlflow as door
from seglab.records.imports.problems import ImportProblem
from seglab.records.imports.table import parse_csv
from seglab.records.runs import read_epochs
from trainers.export_results import find_runs
from trainers.import_results import main


@pytest.fixture(scope="module")
def uri(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a store with two runs of one experiment; one logged a step twice and the machine's load."""
    folder = tmp_path_factory.mktemp("mlflow")
    uri = f"sqlite:///{folder}/mlflow.db"
    client = mlflow.MlflowClient(uri)
    experiment = client.create_experiment("street", artifact_location=(folder / "artifacts").as_uri())
    for name, parameters, base in (("first", {"variant": "A", "seed": "3"}, 0.4), ("B-seed4", {}, 0.5)):
        run = client.create_run(experiment, run_name=name).info.run_id
        for key, value in parameters.items():
            client.log_param(run, key, value)
        for step in (1, 2):
            client.log_metric(run, "val_miou", base + step / 10, step=step, timestamp=step)
        client.log_metric(run, "val_miou", base + 0.25, step=2, timestamp=9)
        client.log_metric(run, "system/cpu", 99.0, step=2)
    return uri


def test_every_run_comes_with_its_curve_and_the_last_figure_of_a_step_counts(uri: str) -> None:
    table = parse_csv(door.fetch("street", uri), "camvid-11")
    assert {(run.variant, run.seed): run.values[:, 0].tolist() for run in table.runs} == {
        ("a", 3): [0.5, 0.65],
        ("b", 4): [0.6, 0.75],
    }
    assert table.metrics == ("miou",)


def test_the_command_line_takes_it_in_place_of_a_file(uri: str, tmp_path: Path) -> None:
    words = ["mlflow:street", "--tracking-uri", uri, "--experiment", "mine", "--label-space", "camvid-11"]
    assert main([*words, "--results", str(tmp_path)]) == 0
    folders = find_runs([tmp_path])
    assert [folder.name for folder in folders] == ["a-seed3", "b-seed4"]
    assert [line["miou"] for line in read_epochs(folders[0])] == [0.5, 0.65]


def test_what_a_refusal_prints_names_the_server(uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mlflow:street", "--tracking-uri", uri, "--experiment", "mine", "--results", str(tmp_path)]) == 1
    assert f"mlflow:street --tracking-uri {uri} --experiment mine" in capsys.readouterr().err


def test_what_is_not_there_is_told_in_a_sentence(uri: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImportProblem, match="has no experiment 'road'; it has 'street', 'Default'"):
        door.fetch("road", uri)
    with pytest.raises(ImportProblem, match=r"MLflow at nowhere://x cannot be read: \w"):
        door.fetch("street", "nowhere://x")
    monkeypatch.setattr(door, "_MAX_RUNS", 1)
    with pytest.raises(ImportProblem, match="more than 1 runs"):
        door.fetch("street", uri)
