"""A run under corruption: each condition is what the library does to each image, resumable, and readable as tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from seglab.data.corruptions import corrupt
from seglab.evidence.robustness import drop_table, ranking
from seglab.labels import space
from seglab.measure.metrics import confusion_matrix, iou_per_class, miou
from seglab.predict.networks import load_run
from seglab.records import robustness
from seglab.records.files import RunError
from seglab.records.robustness import CLEAN, CONDITIONS, Robustness
from seglab.records.runs import read_counts, read_record
from trainers import robustness as module
from trainers.robustness import main, measure_run
from trainers.training.evaluation import open_validation, predict
from trainers.training.loading import normalise

C = space("camvid-11").num_classes
FEW = (CLEAN, "blur/3", "optical_distortion/2", "rain/1")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """Let there be four conditions only."""
    for place in (module, robustness):
        monkeypatch.setattr(place, "CONDITIONS", FEW)
    return FEW


def test_there_are_fifteen_by_three_and_the_clean_one_first() -> None:
    assert len(CONDITIONS) == len(set(CONDITIONS)) == 1 + 45
    assert CONDITIONS[0] == CLEAN


def test_each_condition_is_the_confusion_of_the_corrupted_image(
    run_copy: Path, camvid: Path, few: tuple[str, ...]
) -> None:
    found = measure_run(run_copy, camvid, progress=False)
    model, data = load_run(run_copy).eval(), open_validation(read_record(run_copy), camvid)
    for condition in few:
        for index in range(len(data)):
            image, mask = data[index]
            if condition != CLEAN:
                key, severity = condition.split("/")
                image, bent = corrupt(image, key, int(severity), index, mask)  # type: ignore[arg-type]
                assert bent is not None
                mask = bent
            with torch.inference_mode():
                pred = predict(model, normalise(torch.from_numpy(image)[None]))[0].numpy().astype(np.uint8)
            expected = confusion_matrix(pred, mask, C)
            assert np.array_equal(found.of(condition)[index], expected), condition
    epochs = read_record(run_copy)["epochs"]
    assert np.array_equal(found.of(CLEAN), read_counts(run_copy)[f"e{epochs}/confusion"]), (
        "clean is the run's own evaluation"
    )
    assert found.about["parameters"]["blur/3"].keys() == {"blur_limit"}
    loaded = robustness.load(run_copy, C)
    assert np.array_equal(loaded.confusions, found.confusions)
    assert loaded.done == len(few)
    assert {"git_commit", "time", "fingerprint", "every"} <= loaded.about.keys()


def test_every_nth_image_is_the_same_image_as_in_the_whole(run_copy: Path, camvid: Path, few: tuple[str, ...]) -> None:
    whole = measure_run(run_copy, camvid, progress=False)
    with pytest.raises(RunError, match=r"by other settings \(every\); move its robustness\.npz away, or say --again"):
        measure_run(run_copy, camvid, every=2, progress=False)
    half = measure_run(run_copy, camvid, every=2, progress=False, again=True)
    assert half.stems == whole.stems[::2]
    assert np.array_equal(half.confusions, whole.confusions[:, ::2])


def test_a_measurement_that_was_killed_goes_on_and_ends_alike(
    run_copy: Path,
    camvid: Path,
    few: tuple[str, ...],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    whole = measure_run(run_copy, camvid, progress=False).confusions.copy()
    (run_copy / "robustness.npz").unlink()
    measured: list[str] = []
    confusion = module._confusion

    def killed(model: Any, device: Any, data: Any, index: int, condition: str, classes: int) -> Any:
        if condition == few[2] and few[2] not in measured:
            measured.append(condition)
            raise KeyboardInterrupt
        measured.append(condition)
        return confusion(model, device, data, index, condition, classes)

    monkeypatch.setattr(module, "_confusion", killed)
    assert main([str(run_copy), "--data", str(camvid)]) == 130
    assert robustness.load(run_copy, C).done == 2
    assert main([str(run_copy), "--data", str(camvid)]) == 0
    assert measured.count(CLEAN) == measured.count(few[1]) == 3, "what was done is not done again"
    assert np.array_equal(robustness.load(run_copy, C).confusions, whole)
    assert "mean relative drop" in capsys.readouterr().out
    before = len(measured)
    assert main([str(run_copy), "--data", str(camvid)]) == 0
    assert len(measured) == before


def test_what_cannot_be_measured_is_told(
    run_copy: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "none"), "--data", str(camvid)]) == 1
    assert "expected a run.json" in capsys.readouterr().err
    assert main([str(run_copy), "--data", str(camvid), "--every", "0"]) == 1
    assert "expected --every of 1 or more" in capsys.readouterr().err


def invented(seed: int, done: int = len(CONDITIONS)) -> Robustness:
    rng = np.random.default_rng(seed)
    confusions = rng.integers(0, 50, (len(CONDITIONS), 4, 3, 3)).astype(np.uint32)
    confusions[0] += 200 * np.eye(3, dtype=np.uint32)
    return Robustness({"weights_sha256": "0", "done": done}, ("a", "b", "c", "d"), confusions)


def test_the_table_has_dataset_level_figures_of_each_condition() -> None:
    one = invented(0)
    table = drop_table({"M": one}, ("x", "y", "z"))
    assert len(table) == 45
    row = table[(table["corruption"] == "fog") & (table["severity"] == 2)].iloc[0]
    summed = one.of("fog/2").sum(0)
    assert row["miou"] == pytest.approx(miou(summed))
    assert row["iou/y"] == pytest.approx(iou_per_class(summed)[1])
    assert row["clean"] == pytest.approx(miou(one.of(CLEAN).sum(0)))
    assert row["drop"] == pytest.approx(row["clean"] - row["miou"])
    assert row["relative_drop"] == pytest.approx(row["drop"] / row["clean"])
    assert len(drop_table({"M": invented(0, done=4)}, ("x", "y", "z"))) == 3, "what is not measured is not in the table"


def test_the_ranking_begins_with_the_model_that_loses_least() -> None:
    better = invented(1)
    better.confusions[1:] += 100 * np.eye(3, dtype=np.uint32)
    order = ranking(drop_table({"worse": invented(0), "better": better}, ("x", "y", "z")))
    assert order["model"].tolist() == ["better", "worse"]
    assert (order["drop"] / order["clean"]).tolist() == pytest.approx(order["relative_drop"].tolist())


@pytest.mark.parametrize("damage", ["missing", "cut", "text", "shape", "about"])
def test_a_damaged_file_is_named(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    one = invented(0)
    if damage == "about":
        one = Robustness({"done": 1}, one.stems, one.confusions)
    path = robustness.save(folder, one)
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:400])
    elif damage == "text":
        path.write_text("x")
    with pytest.raises(RunError, match=r"run trainers\.robustness again"):
        robustness.load(folder, 5 if damage == "shape" else 3)
