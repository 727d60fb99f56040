"""Exported models: the labels of torch from the file alone, or a refusal that leaves nothing behind."""

import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from seglab.__main__ import main
from seglab.data.scenes import make_scene
from seglab.predict import export as exports
from seglab.predict.export import export
from seglab.predict.segmenter import Segmenter
from seglab.predict.shelf import bundled_runs
from seglab.predict.sources import open_model
from tests.predict.marks import needs_openvino

RUN = bundled_runs()["fpn_convnextv2"].folder


def test_an_onnx_file_and_its_description_are_enough_to_repeat_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(RUN), str(tmp_path), "--to", "onnx"]) == 0
    assert "of the labels equal torch's, at least (onnxruntime" in capsys.readouterr().out
    about = json.loads((tmp_path / f"{RUN.name}.onnx.json").read_text())
    assert about["equal_labels_frac"] >= exports.LEAST_EQUAL
    assert about["output"]["classes"][3] == "road"
    session = onnxruntime.InferenceSession(tmp_path / f"{RUN.name}.onnx", providers=["CPUExecutionProvider"])
    for height, width in ((96, 160), (192, 128)):
        pixels = make_scene(5, height, width).image
        mean, std = np.array(about["input"]["mean"], np.float32), np.array(about["input"]["std"], np.float32)
        image = ((pixels - mean) / std).transpose(2, 0, 1)[None].astype(np.float32)
        labels = session.run(["scores"], {"image": image})[0][0].argmax(0)
        assert (labels == Segmenter(open_model(RUN), "torch").predict(pixels).labels).mean() > 0.999


@pytest.mark.parametrize(
    ("to", "suffixes"),
    [pytest.param("openvino", {".xml", ".bin"}, marks=needs_openvino), ("safetensors", {".safetensors", ".json"})],
)
def test_other_formats_agree_too(tmp_path: Path, to: exports.To, suffixes: set[str]) -> None:
    made = export(open_model(RUN), to, tmp_path)
    assert made.equal_frac >= exports.LEAST_EQUAL
    assert {file.suffix for file in made.files} == suffixes | {".json"}
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in made.files}


@pytest.mark.parametrize("to", ["onnx", pytest.param("openvino", marks=needs_openvino), "safetensors"])
def test_what_does_not_agree_is_refused_and_an_earlier_file_stays(
    tmp_path: Path, to: exports.To, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = (
        ".onnx",
        ".onnx.json",
        ".xml",
        ".bin",
        ".openvino.json",
        ".fp32.safetensors",
        ".safetensors.json",
        ".run.json",
    )
    earlier = {tmp_path / f"{RUN.name}{suffix}" for suffix in names}
    for file in earlier:
        file.write_text("mine")
    monkeypatch.setattr(exports, "equal_labels", lambda *_: 0.9)
    with pytest.raises(ValueError, match=r"cannot be exported .* honestly.*only 90\.00% of the labels equal torch's"):
        export(open_model(RUN), to, tmp_path)
    assert set(tmp_path.iterdir()) == earlier
    assert {file.read_text() for file in earlier} == {"mine"}


def test_missing_packages_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert main(["export", str(RUN), str(tmp_path), "--to", "onnx"]) == 1
    with pytest.raises(ValueError, match=r"pip install -r requirements-export\.txt"):
        export(open_model(RUN), "onnx", tmp_path)


def test_a_run_without_weights_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["export", str(tmp_path / "nothing"), str(tmp_path), "--to", "openvino"]) == 1
    assert capsys.readouterr().err.startswith("error: ")
