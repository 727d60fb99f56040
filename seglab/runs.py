"""The only reader and writer of ``results/``: one folder per run, a record that survives whatever stops it.

``run.json`` says what was run, ``epochs.jsonl`` how it went, ``counts.npz`` keeps per-image counts, and
``weights.safetensors`` the float16 weights of runs that the dashboard serves. No torch here.
"""

import hashlib
import io
import json
import math
import os
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pandas as pd

SCHEMA_VERSION = 1
EXPERIMENT = "camvid-architectures"  # of the bundled models
COMPARED = ("deeplabv3plus", "mask2former", "fpn_convnextv2", "upernet_convnextv2")  # in the order of the panels
BUNDLED = (*COMPARED, "fpn_resnet")  # the last, the baseline of a published comparison, is a choice and off by default
BUNDLED_SEED = 42
RESULTS = Path(os.environ.get("SEGLAB_RESULTS") or Path(__file__).resolve().parent.parent / "results")
Status = Literal["running", "finished", "failed", "interrupted"]
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}")
_REQUIRED = ("schema_version", "experiment", "variant", "title", "seed", "model", "label_space", "provenance", "status")
MAX_JSON_BYTES = 4 * 2**20
MAX_COUNTS_BYTES = 2**31  # unpacked; 500 images of Cityscapes make 12 MB


# What a damaged or lying archive makes NumPy, zlib and JSON raise.
_DAMAGE = (
    *(ValueError, TypeError, OSError, EOFError, KeyError, AttributeError, MemoryError, RecursionError),
    *(zipfile.BadZipFile, zlib.error, NotImplementedError),
)


class RunError(ValueError):
    """A run's record that cannot be used; the message says what is wrong and what to do."""


def check_name(name: str, what: str) -> str:
    """Return ``name`` where it is safe as a folder name.

    Raises:
        RunError: for anything but lower-case letters, digits, dot, dash and underscore.
    """
    if not _NAME.fullmatch(name) or ".." in name:
        raise RunError(f"expected {what} of lower-case letters, digits, '.', '-' and '_' (at most 80), got {name!r}")
    return name


def write_atomic(path: Path, data: bytes) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never a part."""
    partial = path.with_name(path.name + ".tmp")
    try:
        with open(partial, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


def _jsonable(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(k): _jsonable(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_jsonable(v) for v in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file, as hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class RunWriter:
    """Writes one run's record. The only code that creates files in a run's folder."""

    def __init__(self, folder: Path, record: Mapping[str, Any]) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.record: dict[str, Any] = dict(record)
        self.update()

    def update(self, **changes: Any) -> None:
        """Change fields of ``run.json`` and write it."""
        self.record.update(changes)
        text = json.dumps(_jsonable(self.record), indent=2, sort_keys=False, allow_nan=False)
        write_atomic(self.folder / "run.json", text.encode() + b"\n")

    def append_epoch(self, row: Mapping[str, Any]) -> None:
        """Append one evaluated epoch to ``epochs.jsonl`` and make sure it is on disk."""
        with open(self.folder / "epochs.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(_jsonable(row), allow_nan=False) + "\n")
            file.flush()
            os.fsync(file.fileno())

    def rewind(self, epoch: int) -> None:
        """Drop what was recorded after ``epoch`` (a run that died between its record and its state does it again)."""
        path = self.folder / "epochs.jsonl"
        if path.exists():
            rows = [row for row in read_epochs(self.folder) if row["epoch"] <= epoch]
            write_atomic(path, "".join(json.dumps(row) + "\n" for row in rows).encode())
        counts = read_counts(self.folder)
        late = [f"e{e}/" for e in epochs_with_counts(self.folder) if e > epoch]
        if late:
            self._save_npz({k: v for k, v in counts.items() if not k.startswith(tuple(late))})

    def save_counts(self, epoch: int, stems: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add an epoch's per-image arrays to ``counts.npz``."""
        counts = read_counts(self.folder)
        counts["stems"] = np.array(stems)
        counts.update({f"e{epoch}/{name}": value for name, value in arrays.items()})
        self._save_npz(counts)

    def _save_npz(self, counts: Mapping[str, NDArray[Any]]) -> None:
        buffer = io.BytesIO()
        np.savez_compressed(buffer, allow_pickle=False, **counts)
        write_atomic(self.folder / "counts.npz", buffer.getvalue())


def read_counts(folder: Path, names: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Read ``counts.npz``: per-image arrays named ``e<epoch>/<what>``, and ``stems``; empty where there is none.

    Args:
        names: read only these, where they exist; the others stay packed.

    Raises:
        RunError: where the file is damaged, or holds far more than a run's counts.
    """
    with _counts_file(folder) as file:
        wanted = [name for name in file.files if names is None or name in names] if file else []
        return {name: file[name] for name in wanted}


def epochs_with_counts(folder: Path, what: str = "confusion") -> tuple[int, ...]:
    """Return the epochs for which ``counts.npz`` holds that array; see :func:`read_counts`."""
    with _counts_file(folder) as file:
        keys = [re.fullmatch(rf"e(\d{{1,9}})/{re.escape(what)}", name) for name in file.files] if file else []
        return tuple(sorted(int(key[1]) for key in keys if key))


@contextmanager
def _counts_file(folder: Path) -> Iterator[Any]:
    path = folder / "counts.npz"
    if not path.exists():
        yield None
        return
    with open_npz(path, f"{folder.name}/counts.npz cannot be read; restore it or delete it", MAX_COUNTS_BYTES) as file:
        yield file


@contextmanager
def open_npz(path: Path, problem: str, max_bytes: int) -> Iterator[Any]:
    """Open an archive of arrays that may come from outside; what is read from it counts as part of it.

    Raises:
        RunError: with ``problem`` where it is missing, damaged, lies about itself, or unpacks to more than ``max_bytes``.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(part.file_size for part in file.zip.infolist()) > max_bytes:
                raise RunError(f"{problem}: it unpacks to more than {max_bytes >> 20} MiB")
            yield file
    except RunError:
        raise
    except _DAMAGE:
        raise RunError(problem) from None


def read_epochs(folder: Path) -> list[dict[str, Any]]:
    """Read ``epochs.jsonl``, one dict per evaluated epoch; a last line cut short by a crash is left out.

    Raises:
        RunError: where a line before the last cannot be read.
    """
    path = folder / "epochs.jsonl"
    if not path.exists():
        return []
    lines = path.read_text(encoding="utf-8", errors="replace").removesuffix("\n").split("\n")
    rows: list[dict[str, Any]] = []
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            if not isinstance(row, dict) or not isinstance(row.get("epoch"), int):
                raise ValueError("no epoch")
        except (ValueError, RecursionError):
            if number == len(lines):
                break
            raise RunError(f"line {number} of {folder.name}/epochs.jsonl cannot be read; delete the line") from None
        rows.append(row)
    return rows


def read_record(folder: Path) -> dict[str, Any]:
    """Read and check a run's ``run.json``.

    Raises:
        RunError: where it is missing, too large, not JSON, of another schema or incomplete.
    """
    path = folder / "run.json"
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise RunError(f"{folder.name}/run.json is larger than {MAX_JSON_BYTES // 2**20} MiB; it is no run record")
        record = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunError(f"expected a run.json in {folder.name}, found none; give the folder of a finished run") from None
    except (ValueError, OSError, RecursionError) as error:
        if isinstance(error, RunError):
            raise
        raise RunError(f"{folder.name}/run.json cannot be read as JSON; restore it or train again") from None
    return check_record(record, folder.name)


def check_record(record: Any, where: str) -> dict[str, Any]:
    """Return a run record after checking what every reader relies on.

    Raises:
        RunError: naming the field that is missing or wrong.
    """
    if not isinstance(record, dict):
        raise RunError(f"expected an object in {where}/run.json, got {type(record).__name__}")
    missing = [field for field in _REQUIRED if field not in record]
    if missing:
        raise RunError(f"{where}/run.json lacks {', '.join(missing)}; it was not written by these trainers")
    if record["schema_version"] != SCHEMA_VERSION:
        raise RunError(f"{where}/run.json has schema {record['schema_version']!r}, this version reads {SCHEMA_VERSION}")
    model = record["model"]
    if not isinstance(model, dict) or not isinstance(model.get("key"), str) or not isinstance(model.get("size"), str):
        raise RunError(f"{where}/run.json: expected model to name a key and a size")
    for field in ("label_space", "status", "title", "experiment"):
        if not isinstance(record[field], str):
            raise RunError(f"{where}/run.json: expected {field} as text, got {type(record[field]).__name__}")
    if not _is_seed(record["seed"]) and (record["seed"] is not None or record["provenance"] != "published"):
        raise RunError(f"{where}/run.json: expected seed as a whole number; only published figures may have none")
    if not isinstance(record.get("weights"), (dict, type(None))):
        raise RunError(f"{where}/run.json: expected weights to name a file and its hash")
    return record


def _is_seed(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


@dataclass(frozen=True)
class Run:
    """One run as a reader sees it; ``problem`` says what is wrong with a damaged one."""

    folder: Path
    record: Mapping[str, Any]
    problem: str | None = None

    @property
    def name(self) -> str:
        """``experiment/variant-seedN``, as shown."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def weights(self) -> Path:
        """Path of the float16 weights; may not exist."""
        return self.folder / "weights.safetensors"

    @property
    def servable(self) -> bool:
        """Whether the dashboard can run this model."""
        return self.problem is None and self.record["status"] == "finished" and self.weights.is_file()


class RunStore:
    """Reads every run below a folder; a damaged run is listed with what is wrong and never hides the others."""

    def __init__(self, root: Path = RESULTS) -> None:
        self.root = root

    def __iter__(self) -> Iterator[Run]:
        return self._below("*")

    def _below(self, experiment: str) -> Iterator[Run]:
        for path in sorted(self.root.glob(f"{experiment}/*/run.json")):
            try:
                yield Run(path.parent, read_record(path.parent))
            except RunError as error:
                yield Run(path.parent, {}, str(error))

    def servable(self, experiment: str) -> list[Run]:
        """Return the finished runs with weights of one experiment, in the order of their folders."""
        return [run for run in self._below(check_name(experiment, "an experiment name")) if run.servable]

    def runs(self) -> "pd.DataFrame":
        """Return one row a run, from the columnar index; see :mod:`seglab.run_index`."""
        from seglab.run_index import load_runs

        return load_runs(self.root)

    def curves(self, experiment: str | None = None, metric: str | None = None) -> "pd.DataFrame":
        """Return tidy curves: run, experiment, variant, seed, epoch, metric, class (empty for all), value (NaN: not counted).

        A page names both: the index then reads one metric of one experiment, whatever the store holds.
        """
        from seglab.run_index import load_curves

        return load_curves(self.root, experiment, metric)


def bundled_runs(root: Path = RESULTS) -> dict[str, Run]:
    """Return the run that ships for each model of :data:`BUNDLED`, by model key, in that order.

    It is the folder ``<key>-seed42``; other seeds and variants of the experiment never take its place.
    """
    servable = {run.folder.name: run for run in RunStore(root).servable(EXPERIMENT)}
    names = {key: f"{key}-seed{BUNDLED_SEED}" for key in BUNDLED}
    return {key: servable[name] for key, name in names.items() if name in servable}
