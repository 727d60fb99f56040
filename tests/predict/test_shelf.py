"""A deployment's shelf: what stands in the folder that ``SEGLAB_MODELS`` names."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from seglab.predict.apart import ApartSource
from seglab.predict.deployment import deployment
from seglab.predict.shelf import BUNDLED, deployed, served, shelf


def test_without_a_folder_there_are_the_bundled_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SEGLAB_MODELS", raising=False)
    assert deployed() == ([], [])
    assert list(served()) == list(BUNDLED)


def test_what_stands_in_the_folder_comes_first_and_a_bad_entry_hides_no_other(
    published: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(published, tmp_path / "Mask2Former")
    shutil.copytree(tiny_run, tmp_path / "tiny")
    (tmp_path / "broken.onnx").write_bytes(b"no model")
    (tmp_path / "notes.txt").write_text("no model either, and no folder")
    monkeypatch.setenv("SEGLAB_MODELS", str(tmp_path))
    found, problems = deployed()
    assert [model.key for model in found] == ["mask2former-here", "tiny"]
    assert len(problems) == 1
    assert problems[0].startswith("broken.onnx: ")
    assert [model.key for model in shelf()][:3] == ["mask2former-here", "tiny", BUNDLED[0]]
    assert list(served())[:2] == ["mask2former-here", "tiny"]
    assert deployed()[0][0].source is found[0].source, "each is loaded once"


def test_weights_that_are_replaced_in_place_are_loaded_anew(
    published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = Path(shutil.copytree(published, tmp_path / "models" / "one"))
    monkeypatch.setenv("SEGLAB_MODELS", str(folder.parent))
    (before,), _ = deployed()
    weights = folder / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-2] ^= 1
    weights.write_bytes(data)
    (after,), _ = deployed()
    assert after.sha256 != before.sha256


def test_a_folder_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEGLAB_MODELS", str(tmp_path / "nowhere"))
    assert "which is not there" in deployed()[1][0]
    assert list(served()) == list(BUNDLED)


@pytest.fixture
def listed(published: Path, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(published, tmp_path / "theirs")
    shutil.copytree(tiny_run, tmp_path / "tiny")
    monkeypatch.setenv("SEGLAB_MODELS", str(tmp_path))
    yield tmp_path / "seglab.yaml"
    for model in deployed()[0]:
        if isinstance(model.source, ApartSource):
            model.source.apart.close()


def test_a_list_says_which_models_there_are_how_they_are_called_and_in_which_order(listed: Path) -> None:
    listed.write_text(
        "models:\n- {source: tiny, title: Ours}\n- {source: bundled:fpn_resnet, shown: false}\n"
        "- source: theirs/\nlabel_space: cityscapes-8\n"
    )
    found, problems = deployed()
    assert problems == []
    assert [(model.key, model.shown) for model in found] == [("tiny", True), ("fpn_resnet", False), ("theirs", True)]
    assert found[0].title == "Ours"
    assert [model.key for model in shelf()] == list(served()) == ["tiny", "fpn_resnet", "theirs"], "and no others"
    assert deployment().label_space == "cityscapes-8"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: []", "models: expected a list of 1 to 64"),
        ("[1]", "expected a mapping with models"),
        ("models: [{title: x}]", "model 1: expected a mapping with source"),
        ("models: [{source: 7}]", "model 1, source: expected what --model takes"),
        ("models: [{source: tiny, shown: maybe}]", "model 1, shown: expected true or false"),
        ("models: [{source: tiny, title: [x]}]", "model 1, title: expected a text"),
        ("models: [{source: tiny}, {source: ../..}]", "model 2, source: expected a place below the folder of the list"),
        ("models: [{source: /etc}]", "expected a place below the folder"),
        ("models: [{source: 'masks:/etc'}]", "expected a place below the folder"),
        ("models: [{source: tiny}]\nlabel_space: mine", "label_space: expected one of"),
        ("models: [{source: tiny}]\nmore: 1", "expected a mapping with models"),
        ("models: [", "seglab.yaml"),
    ],
)
def test_a_list_that_cannot_be_used_says_where(listed: Path, text: str, said: str) -> None:
    listed.write_text(text)
    found, problems = deployed()
    assert found == []
    assert said in problems[0]
    assert list(served()) == list(BUNDLED), "the bundled models stay"


def test_an_entry_that_is_no_model_hides_no_other(listed: Path) -> None:
    listed.write_text("models: [{source: nowhere}, {source: 'bundled:vgg'}, {source: tiny}, {source: tiny}]")
    found, problems = deployed()
    assert [model.key for model in found] == ["tiny", "tiny-2"]
    assert "expected a model, got 'nowhere'" in problems[0]
    assert "expected a bundled model out of" in problems[1]
