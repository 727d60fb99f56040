"""The fast engine gives the reference's answer, keeps its conversions, and gives way where it cannot run."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from seglab.models import DenseModel, QueryModel, build
from seglab.models.mask2former import load_published
from seglab.predict import engines
from seglab.predict.engines import (
    OpenVINOEngine,
    Scorer,
    TorchEngine,
    cache_folder,
    convert,
    import_openvino,
    make_engine,
)
from tests.predict.marks import needs_openvino

ov = import_openvino()
SIZES = [(64, 96), (256, 160)]  # a conversion traces (384, 512)


def picture(height: int, width: int) -> NDArray[np.float32]:
    """Return a normalised picture with structure, ``(1, 3, H, W)``."""
    y, x = np.mgrid[:height, :width] / 32
    noise = np.random.default_rng(0).standard_normal((3, height, width)) / 4
    return (np.stack([np.sin(x), np.cos(y), np.sin(x + y)]) + noise)[None].astype(np.float32)


class Tiny(nn.Module):
    """Stands for a network: quick to convert."""

    def __init__(self, classes: int = 4) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encoder = nn.Conv2d(3, 8, 3, padding=1)
        self.encoder.out_channels = [3, 8, 8]  # type: ignore[assignment]
        self.segmentation_head = nn.Conv2d(8, classes, 1)


def tiny() -> DenseModel:
    net = Tiny()
    model = DenseModel(net, 4)
    model.forward_all = lambda image: type("Out", (), {"logits": 5 * net.segmentation_head(net.encoder(image))})()  # type: ignore[method-assign,assignment,return-value]
    return model.eval()


def lively(model: nn.Module) -> nn.Module:
    """Give a fresh model answers that differ from pixel to pixel, as training would."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "sampling_offsets.weight" in name:  # 0 in a fresh model, and the heart of the pixel decoder
                parameter.normal_(0, 0.05, generator=generator)
            elif "segmentation_head" in name or "mask_embedder.2" in name:
                parameter.normal_(0, 1, generator=generator)
            elif "class_predictor" in name:
                parameter.normal_(0, 2, generator=generator)
            elif "mask_projection" in name:
                parameter.normal_(0, 0.5, generator=generator)
    return model.eval()


@pytest.fixture(scope="module")
def models(published: Path) -> dict[str, nn.Module]:
    torch.manual_seed(0)
    dense = build("deeplabv3plus", 11, decoder_channels=16)
    return {
        "deeplabv3plus": lively(dense),
        "mask2former": lively(build("mask2former", 11)),
        "published": lively(load_published(published)),
    }


@pytest.fixture(scope="module")
def pairs(models: dict[str, nn.Module], cache: Path) -> dict[str, tuple[OpenVINOEngine, TorchEngine]]:
    fast = {key: OpenVINOEngine(model, key, cache) for key, model in models.items()}
    for (
        engine
    ) in fast.values():  # random weights tell rounding from error only in float32; the bundled ones run as served
        engine._config["INFERENCE_PRECISION_HINT"] = "f32"
    return {key: (fast[key], TorchEngine(model)) for key, model in models.items()}


@needs_openvino
@pytest.mark.parametrize("key", ["deeplabv3plus", "mask2former", "published"])
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_openvino_gives_the_scores_and_labels_of_torch_at_every_size(
    pairs: Any, key: str, size: tuple[int, int]
) -> None:
    fast, reference = pairs[key]
    image = picture(*size)
    ours, theirs = fast.scores(image), reference.scores(image)
    assert ours.shape == theirs.shape == (theirs.shape[0], *size)
    assert ours.dtype == theirs.dtype == np.float32
    np.testing.assert_allclose(ours, theirs, atol=1e-3)
    assert (ours.argmax(0) == theirs.argmax(0)).mean() >= 0.995
    assert len(np.unique(theirs.argmax(0))) > 1


@pytest.mark.parametrize("key", ["deeplabv3plus", "mask2former"])
def test_scores_sum_to_one_over_the_classes(models: dict[str, nn.Module], key: str) -> None:
    np.testing.assert_allclose(TorchEngine(models[key]).scores(picture(64, 96)).sum(0), 1, rtol=1e-5)


def test_the_scorer_leaves_the_models_numbers_alone(models: dict[str, nn.Module]) -> None:
    model = models["deeplabv3plus"]
    assert isinstance(model, DenseModel)
    image = torch.from_numpy(picture(64, 96))
    with torch.inference_mode():
        assert torch.equal(Scorer(model).eval()(image), model(image).softmax(1))
    assert isinstance(models["mask2former"], QueryModel)


@pytest.fixture
def conversions(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return a list that grows by the file name of each conversion."""
    done: list[str] = []

    def counted(library: Any, scorer: nn.Module, path: Path) -> None:
        done.append(path.name)
        convert(library, scorer, path)

    monkeypatch.setattr(engines, "convert", counted)
    return done


@needs_openvino
def test_a_conversion_is_made_once_for_a_key_and_again_for_another(tmp_path: Path, conversions: list[str]) -> None:
    model, image = tiny(), picture(64, 96)
    first = OpenVINOEngine(model, "a", tmp_path).scores(image)
    assert len(conversions) == 1
    assert np.array_equal(OpenVINOEngine(model, "a", tmp_path).scores(image), first)
    assert len(conversions) == 1
    OpenVINOEngine(model, "b", tmp_path)
    assert len(conversions) == 2
    assert all(torch.__version__ in name and ov.__version__.split("-")[0] in name for name in conversions)
    assert sorted({p.suffix for p in tmp_path.iterdir() if p.is_file()}) == [".bin", ".xml"]
    assert len([p for p in tmp_path.iterdir() if p.is_file()]) == 4  # nothing partial is left


@needs_openvino
@pytest.mark.parametrize("suffix", [".xml", ".bin"])
@pytest.mark.parametrize("damage", ["gone", "empty", "half", "garbage"])
def test_a_damaged_conversion_is_made_again(tmp_path: Path, conversions: list[str], suffix: str, damage: str) -> None:
    model, image = tiny(), picture(64, 96)
    expected = OpenVINOEngine(model, "a", tmp_path).scores(image)
    path = next(tmp_path.glob(f"*{suffix}"))
    data = path.read_bytes()
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes({"empty": b"", "half": data[: len(data) // 2], "garbage": b"<x" * 20}[damage])
    assert np.array_equal(OpenVINOEngine(model, "a", tmp_path).scores(image), expected)
    assert len(conversions) == 2


@needs_openvino
def test_few_compiled_shapes_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = OpenVINOEngine(tiny(), "a", tmp_path)
    for width in range(32, 32 * 7, 32):
        assert engine.scores(picture(32, width)).shape == (4, 32, width)
    assert list(engine._compiled) == [(1, 3, 32, w) for w in (128, 160, 192)]
    engine.scores(picture(32, 128))
    assert list(engine._compiled)[-1] == (1, 3, 32, 128)
    for i, blob in enumerate(sorted((tmp_path / "compiled").glob("*.blob"))):
        os.utime(blob, (i, i))
    newest = sorted((tmp_path / "compiled").glob("*.blob"))[-2:]
    monkeypatch.setattr(engines, "_CACHED_SHAPES", 2)
    OpenVINOEngine(tiny(), "a", tmp_path)
    assert sorted((tmp_path / "compiled").glob("*.blob")) == newest


@needs_openvino
def test_an_answer_is_not_overwritten_by_the_next(tmp_path: Path) -> None:
    engine = OpenVINOEngine(tiny(), "a", tmp_path)
    first = engine.scores(picture(32, 32))
    kept = first.copy()
    engine.scores(-picture(32, 32))
    assert np.array_equal(first, kept)


def test_without_openvino_torch_answers_and_says_so(monkeypatch: pytest.MonkeyPatch, own_cache: Path) -> None:
    monkeypatch.setattr(engines, "import_openvino", lambda: None)
    engine, note = make_engine(tiny(), "a")
    assert isinstance(engine, TorchEngine)
    assert note == (
        "Running on torch because OpenVINO is not installed; pip install openvino for about three times the speed."
    )
    with pytest.raises(
        ValueError, match="the OpenVINO engine was asked for and cannot be used: OpenVINO is not installed"
    ):
        make_engine(tiny(), "a", "openvino")


@needs_openvino
def test_a_model_that_cannot_be_converted_runs_on_torch_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("an operator is missing\nsecond line")

    monkeypatch.setenv("SEGLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(engines, "convert", broken)
    engine, note = make_engine(tiny(), "a")
    assert isinstance(engine, TorchEngine)
    assert note == "Running on torch because an operator is missing."


@needs_openvino
def test_a_cache_that_cannot_be_written_does_not_stop_the_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("SEGLAB_CACHE", str(tmp_path / "file"))
    engine, note = make_engine(tiny(), "a")
    assert isinstance(engine, TorchEngine)
    assert note is not None
    assert note.startswith("Running on torch because ")
    assert engine.scores(picture(32, 32)).shape == (4, 32, 32)


@needs_openvino
def test_the_fast_engine_is_the_default_without_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    engine, note = make_engine(tiny(), "a")
    assert isinstance(engine, OpenVINOEngine)
    assert engine.name.startswith("OpenVINO 20")
    assert note is None
    assert isinstance(make_engine(tiny(), "a", "torch")[0], TorchEngine)


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEGLAB_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("SEGLAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "seglab"


def test_the_converters_telemetry_is_off() -> None:
    import_openvino()
    assert sys.modules["openvino_telemetry"] is None


SIGNAL_AFTER_ENGINES = """
import gc, signal, subprocess, sys
from pathlib import Path
from torch import nn
from seglab.predict.engines import OpenVINOEngine
first = OpenVINOEngine(nn.Conv2d(3, 2, 1), "first", Path(sys.argv[1]))
first.prepare((1, 3, 64, 64))
second = OpenVINOEngine(nn.Conv2d(3, 2, 1), "second", Path(sys.argv[1]))
second.prepare((1, 3, 64, 64))
del first
gc.collect()
del second
gc.collect()
signal.signal(signal.SIGCHLD, lambda *_: None)
subprocess.run(["true"], check=True)
print("alive")
"""


@needs_openvino
def test_a_signal_after_engines_came_and_went_does_not_kill_the_process(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SIGNAL_AFTER_ENGINES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2], timeout=300)
    assert done.stdout.strip() == "alive", (done.returncode, done.stderr[-500:])


def test_under_a_limit_of_instructions_at_which_openvino_crashes_torch_answers(
    models: dict[str, nn.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX2")
    monkeypatch.setenv("SEGLAB_CACHE", str(tmp_path))
    monkeypatch.setattr(engines, "openvino_core", engines.openvino_core.__wrapped__)  # asked anew, and no second core
    engine, note = engines.make_engine(models["deeplabv3plus"], "limited")
    assert engine.name.startswith("torch")
    assert note is not None
    assert "OpenVINO crashes with ONEDNN_MAX_CPU_ISA=AVX2; unset it" in note
