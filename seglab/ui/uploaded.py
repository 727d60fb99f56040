"""Models that a reader uploads: checked, kept in a temporary folder, each asked in a process of its own.

A run's two files, a zip of a folder (a run, or what Transformers or segmentation-models-pytorch saved), or an ONNX or
.pt2 file with its YAML. Nothing of a zip but JSON, YAML and safetensors is written, and nothing outside its one folder.
"""

import io
import re
import shutil
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath

import streamlit as st

from seglab.predict.apart import ApartSource, open_apart
from seglab.predict.model import Model
from seglab.predict.sources import hub
from seglab.predict.sources.run import check_shown, run_model
from seglab.records.files import RunError
from seglab.records.runs import Record, read_record
from seglab.ui.workbench import workbench

MAX_OWN_RUNS = 6  # per session; which of them are in memory, memory decides
MAX_ZIP_BYTES = 4 * 2**30  # of what comes out
MAX_ZIP_FILES = 500
KINDS = ("json", "safetensors", "zip", "onnx", "pt2", "yaml")
_KEPT = (".json", ".safetensors", ".yaml")
_KEPT_NAMES = ("merges.txt",)  # of a tokenizer


@st.cache_resource(show_spinner=False)  # type: ignore[untyped-decorator]
def _uploads() -> tempfile.TemporaryDirectory[str]:
    """Return the folder of uploaded models; it goes when the process ends."""
    return tempfile.TemporaryDirectory(prefix="seglab-")


def missing(names: Mapping[str, object]) -> str:
    """Return what is missing for the uploaded files to be one model, as a sentence; empty where they are one."""
    kinds = sorted(name.rsplit(".", 1)[-1].lower() for name in names)
    if kinds in (["zip"], ["json", "safetensors"], ["onnx", "yaml"], ["onnx"], ["pt2", "yaml"], ["pt2"]):
        return ""
    return (
        "One model at a time: run.json and weights.safetensors; or a zip of a folder that Transformers or "
        "segmentation-models-pytorch saved; or an .onnx or .pt2 file and its .yaml."
    )


def add_model(files: Mapping[str, bytes], number: int) -> Model:
    """Check an uploaded model and keep it for this session in a temporary folder.

    Args:
        files: bytes by name; :func:`missing` says which belong together.
        number: of the session's own models.

    Raises:
        ValueError: where it cannot be used; one sentence.
    """
    home = Path(tempfile.mkdtemp(dir=_uploads().name))
    try:
        path = _written(files, home, number)
        if (path / "run.json").is_file():
            return _run(path, number)
        found = open_apart(path, f"own{number}")
        return replace(found, title=f"{found.title[:60]} (own {number})", shown=False, measured=path)
    except Exception as error:  # a file from outside: whatever it upsets, the page goes on
        shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, ValueError):
            raise
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise RunError(f"this model cannot be used: {reason}") from error


def add_from_hub(name: str, revision: str | None, number: int) -> Model:
    """Fetch a checkpoint of the hub and keep it for this session.

    Raises:
        ValueError: where it cannot be fetched or used; one sentence.
    """
    folder = hub.fetch(name, revision)
    found = open_apart(folder, f"own{number}")
    return replace(found, title=f"{name.rpartition('/')[2][:60]} (own {number})", shown=False)


def _run(folder: Path, number: int) -> Model:
    checked = read_record(folder)
    if checked["status"] != "finished":
        raise RunError(f"the run is {checked['status']}, not finished; finish its training first")
    check_shown(checked)
    title = f"{checked['title'][:60]} (own {number})"
    model = run_model(Record(folder, checked), f"own{number}", title, shown=False)
    model.source.network()
    return model


def _written(files: Mapping[str, bytes], home: Path, number: int) -> Path:
    """Write what was uploaded below a folder; return the model's folder or file."""
    by_kind = {name.rsplit(".", 1)[-1].lower(): (name, data) for name, data in files.items()}
    if "zip" in by_kind:
        name, data = by_kind["zip"]
        folder = home / _safe(name.rsplit(".", 1)[0])
        folder.mkdir()
        unpack(data, folder)
        return folder
    if kind := next((one for one in ("onnx", "pt2") if one in by_kind), ""):
        name, data = by_kind[kind]
        path = home / f"{_safe(name.rsplit('.', 1)[0])}.{kind}"
        path.write_bytes(data)
        if "yaml" in by_kind:
            path.with_suffix(".yaml").write_bytes(by_kind["yaml"][1])
        return path
    folder = home / f"own-run-{number}"  # the name that messages show
    folder.mkdir()
    (folder / "run.json").write_bytes(by_kind["json"][1])
    (folder / "weights.safetensors").write_bytes(by_kind["safetensors"][1])
    return folder


def _safe(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:60] or "model"


def _kept(path: PurePosixPath) -> bool:
    return path.suffix.lower() in _KEPT or path.name in _KEPT_NAMES


def unpack(data: bytes, folder: Path) -> None:
    """Write the JSON, YAML and safetensors files of a zip into a folder, by their own names alone.

    Raises:
        ValueError: where it is no zip, holds several folders with models, too many files or too many bytes.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        entries = archive.infolist()
        if len(entries) > MAX_ZIP_FILES:
            raise ValueError(f"the zip holds more than {MAX_ZIP_FILES} files; zip one model's folder")
        kept = [one for one in entries if not one.is_dir() and _kept(PurePosixPath(one.filename))]
        kept = [one for one in kept if "__MACOSX" not in one.filename]
        if len({str(PurePosixPath(one.filename).parent) for one in kept}) > 1:
            raise ValueError("the zip holds models in several folders; zip one model's folder")
        if not kept:
            raise ValueError("the zip holds no JSON, YAML or safetensors file; zip the model's folder")
        left = MAX_ZIP_BYTES
        for one in kept:
            with archive.open(one) as source, open(folder / _safe(PurePosixPath(one.filename).name), "wb") as target:
                while chunk := source.read(2**22):
                    left -= len(chunk)
                    if left < 0:
                        raise ValueError(f"the zip unpacks to more than {MAX_ZIP_BYTES // 2**30} GiB")
                    target.write(chunk)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, IndexError) as error:
        raise ValueError(f"the zip cannot be unpacked: {type(error).__name__}; zip the folder again") from None


def remove_model(model: Model) -> None:
    """Delete an uploaded model's files and let go of it; what came from the hub stays in the hub's cache."""
    if isinstance(model.source, ApartSource):
        model.source.apart.close()
    if model.measured is not None:
        shutil.rmtree(model.measured.parent, ignore_errors=True)
    workbench().forget(model)
