"""Trackers get what the record has, go on with a resumed run, and never stop a training."""

import socket
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from seglab.records.runs import read_epochs
from seglab.records.writer import RunWriter
from tests import tiny
from tests.training import NAME, THREE, Killed, once, record_of
from trainers import export_results
from trainers.train import main, train
from trainers.training import tracking
from trainers.training.tracking import SCENE_SIZE, MlflowSink, Tracking, figures, open_sink, push


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder with a real SQLite store."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return tmp_path


def tracked() -> tuple[MlflowClient, list[Any]]:
    """Return the store's runs of the tiny experiment."""
    client = MlflowClient(f"sqlite:///{Path('mlflow.db').resolve()}")
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return client, list(client.search_runs([experiment.experiment_id]))


def run(camvid: Path, results: Path, *trackers: Tracking) -> dict[str, Any]:
    return train(THREE, camvid, results, progress=False, watchers=trackers)


def after(original: Any, *args: Any, **more: Any) -> None:
    original(*args, **more)
    raise Killed


def test_mlflow_has_parameters_every_metric_of_every_epoch_pictures_and_weights(camvid: Path, here: Path) -> None:
    record = run(camvid, here, Tracking("mlflow"))
    client, (one,) = tracked()
    assert one.info.status == "FINISHED"
    assert one.info.run_name == "deeplabv3plus-seed42"
    assert one.data.params["lr"] == "0.001"
    assert one.data.params["model.options.decoder_channels"] == "16"
    assert one.data.params["data.train.fingerprint"] == record["data"]["train"]["fingerprint"]
    assert one.data.tags["environment.device"] == record["environment"]["device"]
    for row in read_epochs(here / NAME):
        for key, value in figures(row).items():
            history = {m.step: m.value for m in client.get_metric_history(one.info.run_id, key)}
            assert history[row["epoch"]] == value
    assert one.data.metrics["system/peak_memory_mib"] > 100
    kept = {a.path for a in client.list_artifacts(one.info.run_id)}
    assert kept == {"run.json", "epochs.jsonl", "weights.safetensors", "predictions"}
    path = client.download_artifacts(one.info.run_id, "weights.safetensors", str(here))
    assert Path(path).read_bytes() == (here / NAME / "weights.safetensors").read_bytes()
    pictures = [a.path for a in client.list_artifacts(one.info.run_id, "predictions")]
    assert pictures == [f"predictions/scene{n}-epoch0003.png" for n in (1, 2, 3)]


@pytest.mark.parametrize("moment", [2, 3])
def test_a_resumed_run_goes_on_in_the_same_tracked_run(
    camvid: Path, here: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    with monkeypatch.context() as patch:
        once(patch, RunWriter, "append_epoch", after, moment)
        with pytest.raises(Killed):
            run(camvid, here, Tracking("mlflow"))
    _, (half,) = tracked()
    run(camvid, here, Tracking("mlflow"))
    client, (one,) = tracked()
    assert one.info.run_id == half.info.run_id
    assert one.info.status == "FINISHED"
    assert [m.step for m in client.get_metric_history(one.info.run_id, "miou")] == [1, 2, 3]


def test_two_runs_of_one_name_are_two_tracked_runs(camvid: Path, here: Path) -> None:
    for name in ("first", "second"):
        folder = here / name
        record = run(camvid, folder)
        (folder / NAME / "run.json").write_text(
            yaml.safe_dump(record | {"started": f"2026-01-0{len(name) - 4}T00:00:00+00:00"})
        )
        push(MlflowSink(), folder / NAME, yaml.safe_load((folder / NAME / "run.json").read_text()))
    assert len(tracked()[1]) == 2


class Broken:
    """A tracker whose server goes away at some call."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __getattr__(self, name: str) -> Any:
        def call(*_: Any) -> int:
            self.left -= 1
            if self.left < 0:
                raise ConnectionError("connection refused\nby somebody")
            return 0

        return call


@pytest.mark.parametrize("calls", [0, 1, 2, 5, 7])
def test_a_tracker_that_is_down_never_stops_training_and_says_so_once(
    camvid: Path, here: Path, reference: Path, capsys: pytest.CaptureFixture[str], calls: int
) -> None:
    run(camvid, here, Tracking("mlflow", Broken(calls)))
    assert record_of(here / NAME)["metrics"] == record_of(reference)["metrics"]
    said = capsys.readouterr().err
    assert said.count("tracking with mlflow stopped (ConnectionError: connection refused)") == 1
    assert "python -m trainers.export_results --to mlflow" in said


def test_a_server_that_does_not_answer_is_given_up(
    camvid: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    assert run(camvid, here, Tracking("mlflow"))["status"] == "finished"
    assert "tracking with mlflow stopped" in capsys.readouterr().err


def test_a_server_that_accepts_and_stays_silent_is_given_up(
    camvid: Path, here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tracking, "BEGIN_S", 0.5)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{silent.getsockname()[1]}")
        assert run(camvid, here, Tracking("mlflow"))["status"] == "finished"
    assert "tracking with mlflow stopped (TimeoutError" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["mlflow", "tensorboard"])
def test_what_a_tracker_missed_is_sent_when_it_is_back(
    camvid: Path, here: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    with monkeypatch.context() as patch:
        once(patch, RunWriter, "append_epoch", after, 3)
        with pytest.raises(Killed):
            run(camvid, here)
    run(camvid, here, Tracking(name))
    if name == "mlflow":
        client, (one,) = tracked()
        assert [m.step for m in client.get_metric_history(one.info.run_id, "miou")] == [1, 2, 3]
    else:
        assert [e.step for e in events(here / "tensorboard" / NAME).Scalars("miou")] == [1, 2, 3]


def test_a_fresh_run_of_the_same_name_has_a_curve_of_its_own(camvid: Path, here: Path) -> None:
    for start in ("2026-01-01T00:00:00+00:00", "2026-01-02T00:00:00+00:00"):
        sink = open_sink("tensorboard")
        assert sink.begin("exp/v-seed1", {"started": start}, 0) == 0
        sink.metrics(1, {"miou": 0.5}, 0.0)
    assert len(list((here / "tensorboard/exp/v-seed1").iterdir())) == 2


def test_a_record_cannot_send_a_tracker_out_of_its_folder(here: Path) -> None:
    for names in ({"experiment": "../../x", "variant": "v"}, {"experiment": "e", "variant": "/tmp/x"}):
        with pytest.raises(ValueError, match="expected"):
            push(open_sink("tensorboard"), here, names | {"seed": 1})
    assert not list(here.iterdir())


def test_a_run_that_is_being_trained_is_left_to_its_trainer(
    here: Path, reference: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(export_results, "is_locked", lambda folder: True)
    assert export_results.main(["--to", "mlflow", str(reference)]) == 0
    assert "is being trained" in capsys.readouterr().out
    assert not (here / "mlflow.db").exists()


def test_a_failed_run_is_tracked_as_failed(camvid: Path, here: Path) -> None:
    recipe = tiny.recipe(lr=1e30, clip_norm=0.0, warmup_epochs=0.0)
    with pytest.raises(ValueError, match="not finite"):
        train(recipe, camvid, here, progress=False, watchers=[Tracking("mlflow")])
    assert tracked()[1][0].info.status == "FAILED"


def events(folder: Path) -> EventAccumulator:
    (one,) = folder.iterdir()  # named by the run's start
    accumulator = EventAccumulator(str(one))
    accumulator.Reload()
    return accumulator


def test_tensorboard_has_every_metric_of_every_epoch_and_pictures(
    camvid: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        once(patch, RunWriter, "append_epoch", after, 2)
        with pytest.raises(Killed):
            run(camvid, here, Tracking("tensorboard"))
    run(camvid, here, Tracking("tensorboard"))
    found = events(here / "tensorboard" / NAME)
    rows = read_epochs(here / NAME)
    for key in ("miou", "iou/road", "train_loss", "lr"):
        assert [e.step for e in found.Scalars(key)] == [1, 2, 3]
        np.testing.assert_allclose([e.value for e in found.Scalars(key)], [row[key] for row in rows], rtol=1e-6)
    assert found.Images("predictions/scene1")[-1].width == 2 * SCENE_SIZE[1]
    assert any("lr" in str(found.Tensors(tag)[0].tensor_proto) for tag in found.Tags()["tensors"] if "recipe" in tag)


def test_pictures_are_of_our_own_scenes_only(camvid: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    watcher = Tracking("tensorboard")
    monkeypatch.setattr(watcher.sink, "picture", lambda name, epoch, pixels: seen.append(pixels))
    run(camvid, here, watcher)
    from seglab.data.scenes import make_scene
    from trainers.training.tracking import SCENES

    assert len(seen) == 3
    for pixels, seed in zip(seen, SCENES, strict=True):
        assert np.array_equal(pixels[:, : SCENE_SIZE[1]], make_scene(seed, *SCENE_SIZE).image)


def test_existing_runs_are_pushed_once(
    camvid: Path, here: Path, reference: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for expected in ("3 epochs sent", "0 epochs sent"):
        assert export_results.main(["--to", "mlflow", str(reference)]) == 0
        assert f"tiny/deeplabv3plus-seed42: {expected}" in capsys.readouterr().out
    client, (one,) = tracked()
    assert [m.step for m in client.get_metric_history(one.info.run_id, "miou")] == [1, 2, 3]
    for _ in range(2):
        assert export_results.main(["--to", "tensorboard", str(reference.parent)]) == 0
        assert [e.step for e in events(here / "tensorboard" / NAME).Scalars("miou")] == [1, 2, 3]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_curves_are_written_as_one_table(reference: Path, here: Path, kind: str) -> None:
    assert export_results.main(["--to", kind, str(reference.parents[1])]) == 0
    table = pd.read_csv("curves.csv") if kind == "csv" else pd.read_parquet("curves.parquet")
    assert list(table.columns[:5]) == ["experiment", "variant", "seed", "provenance", "epoch"]
    rows = read_epochs(reference)
    assert table["epoch"].tolist() == [1, 2, 3]
    np.testing.assert_allclose(table["iou/road"], [row["iou/road"] for row in rows])


def test_the_projects_own_results_can_be_written(here: Path) -> None:
    out = here / "all.parquet"
    assert export_results.main(["--to", "parquet", "--out", str(out)]) == 0
    table = pd.read_parquet(out)
    ablation = table[table["experiment"] == "camvid-boundary-ablation"]
    assert ablation.groupby(["variant", "seed"]).size().tolist() == [160] * 12


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--to", "csv", "nowhere"], "found no run.json"),
    ],
)
def test_what_cannot_be_exported_is_said(
    here: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert export_results.main(words) == 1
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("name", "module"), [("mlflow", "mlflow"), ("tensorboard", "torch.utils.tensorboard")])
def test_a_tracker_that_is_not_installed_says_how_to_add_it(
    here: Path,
    camvid: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    name: str,
    module: str,
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=r"is not installed: pip install -r requirements-track\.txt"):
        open_sink(name)
    path = here / "one.yaml"
    path.write_text(yaml.safe_dump(tiny.recipe_values()))
    assert main([str(path), "--data", str(camvid), "--results", str(here), "--track", name]) == 1
    assert "pip install -r requirements-track.txt" in capsys.readouterr().err
    assert not (here / "tiny").exists(), "asked for a tracker, nothing is trained without"
