"""A deployment's shelf: what stands in the folder that ``SEGLAB_MODELS`` names."""

import shutil
from pathlib import Path

import pytest

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
    assert deployed()[0][0] is found[0], "each is loaded once"


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
    assert "cannot be read: No such file" in deployed()[1][0]
    assert list(served()) == list(BUNDLED)
