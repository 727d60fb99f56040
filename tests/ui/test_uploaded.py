"""Uploaded models: what belongs together, and zips that want to write elsewhere or fill the disk."""

import contextlib
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from seglab.ui import uploaded
from seglab.ui.uploaded import missing, unpack


def zipped(**files: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize(
    ("names", "fine"),
    [
        (["a.zip"], True),
        (["run.json", "weights.safetensors"], True),
        (["m.onnx", "m.yaml"], True),
        (["m.onnx"], True),
        (["m.pt2", "m.yaml"], True),
        (["m.pt2", "m.onnx"], False),
        (["run.json"], False),
        (["a.zip", "b.zip"], False),
        (["m.yaml"], False),
        (["m.pt"], False),
    ],
)
def test_files_belong_together_or_it_is_said_what_does(names: list[str], fine: bool) -> None:
    assert (missing(dict.fromkeys(names)) == "") == fine


def test_a_zip_is_unpacked_by_the_names_of_its_files_alone(tmp_path: Path) -> None:
    unpack(
        zipped(**{"my model/config.json": b"{}", "my model/model.safetensors": b"x", "my model/README.md": b"hi"}),
        tmp_path,
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "model.safetensors"]


HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "no zip": (lambda: b"PK no", "cannot be unpacked"),
    "nothing of a model": (lambda: zipped(**{"a.txt": b"x"}), "holds no JSON, YAML or safetensors"),
    "pickles alone": (lambda: zipped(**{"pytorch_model.bin": b"x"}), "holds no JSON, YAML or safetensors"),
    "two models": (lambda: zipped(**{"a/config.json": b"{}", "b/config.json": b"{}"}), "several folders"),
    "many files": (lambda: zipped(**{f"{i}.json": b"" for i in range(501)}), "more than 500 files"),
    "a bomb": (lambda: zipped(**{"a.json": bytes(3 * 2**20)}), "unpacks to more than"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_zip_that_cannot_be_a_model_is_refused(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploaded, "MAX_ZIP_BYTES", 2**20)
    make, said = HOSTILE[kind]
    with pytest.raises(ValueError, match=said):
        unpack(make(), tmp_path)


@pytest.mark.parametrize("name", ["../../evil.json", "/etc/evil.json", "a/../../evil.json", "..\\evil.json"])
def test_nothing_is_written_outside_the_folder(name: str, tmp_path: Path) -> None:
    folder = tmp_path / "inside"
    folder.mkdir()
    with contextlib.suppress(ValueError):
        unpack(zipped(**{name: b"{}"}), folder)
    assert [path.name for path in tmp_path.iterdir()] == ["inside"]
    assert all(path.parent == folder for path in folder.rglob("*"))
