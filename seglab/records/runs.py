"""The only reader and writer of ``results/``: one folder per run, a record that survives whatever stops it.

``run.json`` says what was run, ``epochs.jsonl`` how it went, ``counts.npz`` keeps per-image counts, and
``weights.safetensors`` the float16 weights of runs that the dashboard serves. No torch here.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from numpy.typing import NDArray

from seglab.records.files import RunError, open_npz

SCHEMA_VERSION = 1
Status = Literal["running", "finished", "failed", "interrupted"]
Provenance = Literal["trained", "evaluated", "published", "imported"]  # by these trainers, here, by others, from a file
_REQUIRED = ("schema_version", "experiment", "variant", "title", "seed", "model", "label_space", "provenance", "status")
MAX_JSON_BYTES = 4 * 2**20
MAX_COUNTS_BYTES = 2**31  # unpacked; 500 images of Cityscapes make 12 MB


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
class Record:
    """A fact with its origin, as a reader sees it; ``problem`` says what is wrong with a damaged one."""

    folder: Path
    fields: Mapping[str, Any]  # of run.json; empty where it cannot be read
    problem: str | None = None

    @property
    def name(self) -> str:
        """``experiment/variant-seedN``, as shown."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def provenance(self) -> str:
        """Where the figures come from: one of :data:`Provenance`, or what an odd record says."""
        return str(self.fields.get("provenance", ""))

    @property
    def weights(self) -> Path:
        """Path of the float16 weights; may not exist."""
        return self.folder / "weights.safetensors"

    @property
    def servable(self) -> bool:
        """Whether the dashboard can run this model."""
        return self.problem is None and self.fields["status"] == "finished" and self.weights.is_file()
