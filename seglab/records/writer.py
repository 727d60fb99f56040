"""The only writer of a run's record."""

import io
import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.records.files import write_atomic
from seglab.records.runs import epochs_with_counts, read_counts, read_epochs


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
