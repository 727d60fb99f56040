"""Evaluation reproduces a run's headline from its stored weights."""

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from seglab.data import Subset
from seglab.data.camvid import CamVid
from seglab.labels import space
from seglab.measure.counts import count_image, summarise_images
from seglab.models import build
from seglab.predict.networks import load_run
from seglab.records.runs import read_counts, read_epochs
from tests import tiny
from trainers import explain
from trainers.evaluate import main
from trainers.train import train
from trainers.training.evaluation import measure, predict
from trainers.training.loading import normalise, say_once


def test_the_headline_is_reproduced_from_the_stored_weights(tiny_run: Path, camvid: Path) -> None:
    record = json.loads((tiny_run / "run.json").read_text())
    per_image = measure(load_run(tiny_run), CamVid(camvid, "val"))
    again = summarise_images(per_image, space("camvid-11").names)
    assert set(again) == set(record["metrics"])
    for name, value in again.items():
        recorded = record["metrics"][name]
        assert (recorded is None and np.isnan(value)) or value == pytest.approx(recorded, abs=1e-6)
    kept = read_counts(tiny_run)
    assert {f"e2/{name}" for name in per_image} == set(kept) - {"stems"}
    for name, values in per_image.items():
        np.testing.assert_array_equal(kept[f"e2/{name}"], values)
    assert read_epochs(tiny_run)[-1]["miou"] == record["metrics"]["miou"]


def test_the_command_prints_every_metric_beside_the_recorded_one(
    tiny_run: Path, camvid: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tiny_run), "--data", str(camvid)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "deeplabv3plus-seed42 on camvid val, 3 images"
    headlines = [line for line in lines[1:] if "/" not in line]
    names = ["miou", "pixel_accuracy", "dice", "boundary_f1", "trimap_iou"]
    assert [line.split()[0] for line in headlines] == names
    for line in headlines:
        _, value, word, recorded = line.split()
        assert word == "recorded"
        assert float(value) == pytest.approx(float(recorded), abs=1e-6)


def test_a_run_at_a_working_size_is_evaluated_at_that_size(
    camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny.recipe(epochs=1, data={"size_px": [40, 56], "crop_px": [0, 0]})
    train(recipe, camvid, tmp_path, progress=False)
    folder = tmp_path / "tiny" / recipe.run_name
    assert read_counts(folder)["e1/confusion"].sum((1, 2)).max() <= 40 * 56
    assert main([str(folder), "--data", str(camvid)]) == 0
    _, value, _, recorded = capsys.readouterr().out.splitlines()[1].split()
    assert value == recorded


def test_other_data_is_named(tiny_run: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = Path(shutil.copytree(camvid, tmp_path / "camvid"))
    path = sorted((other / "val").iterdir())[0]
    cv2.imwrite(str(path), np.zeros((64, 96, 3), np.uint8))
    assert main([str(tiny_run), "--data", str(other)]) == 0
    assert "note: the data's fingerprint differs from the record's" in capsys.readouterr().out


def test_a_run_on_turned_frames_is_evaluated_on_turned_frames_and_others_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tiny.write_camvid(tmp_path / "camvid", upside_down=(0, 1))
    for turned in (False, True):
        recipe = tiny.recipe(epochs=1, variant=f"turned-{turned}".lower(), data={"turned": turned})
        train(recipe, root, tmp_path, progress=False)
        say_once.cache_clear()
        capsys.readouterr()
        assert main([str(tmp_path / "tiny" / recipe.run_name), "--data", str(root)]) == 0
        out = capsys.readouterr().out
        assert ("EXIF would turn 2 of the 3 images in camvid val" in out) is not turned
        assert "fingerprint differs" not in out
        _, value, _, recorded = next(line for line in out.splitlines() if " miou " in line).split()
        assert value == recorded


def test_a_run_that_cannot_be_evaluated_is_named_while_the_others_go_on(
    tiny_run: Path, run_copy: Path, camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((run_copy / "run.json").read_text())
    del record["data"]
    (run_copy / "run.json").write_text(json.dumps(record))
    assert main([str(tmp_path), str(run_copy), str(tiny_run), "--data", str(camvid)]) == 1
    captured = capsys.readouterr()
    assert f"{tmp_path.name}: expected a run.json" in captured.err
    assert "its run.json does not say which data it was validated on" in captured.err
    assert "3 images" in captured.out


def test_missing_data_is_named(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tiny_run), "--data", str(tmp_path)]) == 1
    assert "found no folder" in capsys.readouterr().err


def test_evaluation_leaves_the_model_in_the_mode_it_was_in(tiny_run: Path, camvid: Path) -> None:
    model = load_run(tiny_run)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    for mode in (True, False):
        model.train(mode)
        measure(model, CamVid(camvid, "val"))
        assert model.training is mode
    assert all(torch.equal(v, before[k]) for k, v in model.state_dict().items())


def test_a_query_models_labels_are_those_of_its_scores() -> None:
    torch.manual_seed(0)
    model = build("mask2former", 11).eval()
    with torch.inference_mode():
        labels = predict(model, torch.randn(1, 3, 65, 97))
    assert labels.shape == (1, 65, 97)
    assert labels.max() < 11


def test_full_masks_are_scored_with_enlarged_answers_and_a_part_of_val_is_found_again(
    camvid: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = {"size_px": [32, 48], "crop_px": [0, 0], "full_masks": True, "train_images": 4, "val_images": 2}
    recipe = tiny.recipe(epochs=1, data=options)
    record = train(recipe, camvid, tmp_path, progress=False)
    assert record["data"]["train"]["images"] == 4
    assert (record["data"]["val"]["size_px"], record["data"]["val"]["input_px"]) == ([64, 96], [32, 48])
    folder = tmp_path / "tiny" / recipe.run_name
    counts = read_counts(folder)
    assert len(counts["stems"]) == 2
    labelled = sum((mask != 255).sum() for _, mask in (CamVid(camvid, "val")[i] for i in (0, 2)))
    assert counts["e1/confusion"].sum() == labelled, "every labelled pixel of the masks' own size"
    image, mask = CamVid(camvid, "val")[0]
    small = cv2.resize(image, (48, 32), interpolation=cv2.INTER_AREA)
    with torch.inference_mode():
        logits = load_run(folder)(normalise(torch.from_numpy(small)[None]))
    large = torch.nn.functional.interpolate(logits, size=(64, 96), mode="bilinear", align_corners=False)
    expected = count_image(large.argmax(1)[0].numpy().astype(np.uint8), mask, 11)
    np.testing.assert_array_equal(counts["e1/confusion"][0], expected["confusion"])
    assert main([str(folder), "--data", str(camvid)]) == 0
    assert f"recorded {record['metrics']['miou']:.6f}"[:14] in " ".join(capsys.readouterr().out.split())
    assert explain.main([str(folder), "--data", str(camvid)]) == 1
    assert "its masks are larger than its images" in capsys.readouterr().err


def test_a_part_of_a_split_is_spread_over_it_and_has_a_fingerprint_of_its_own(camvid: Path) -> None:
    whole = CamVid(camvid, "train")
    part = Subset(whole, 3)
    assert part.stems == [whole.stems[i] for i in part.kept] == [whole.stems[i] for i in (0, 2, 5)]
    np.testing.assert_array_equal(part[2][0], whole[5][0])
    assert len({whole.fingerprint(), part.fingerprint(), Subset(whole, 2).fingerprint()}) == 3
    assert Subset(whole, 99).stems == whole.stems
