"""How a run's model stands corruption: ``robustness.npz`` of its record, and tables of what it loses. No torch.

Kept are confusions per image and condition, so that any figure and any interval over images can be had. No frames are kept.
"""

import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.data.corruptions import CORRUPTIONS, SEVERITIES
from seglab.records.files import RunError, open_npz, write_atomic

FILE = "robustness.npz"
CLEAN = "clean"
CONDITIONS = (CLEAN, *(f"{key}/{severity}" for key in CORRUPTIONS for severity in SEVERITIES))
MAX_BYTES = 2**28  # unpacked; 500 images of Cityscapes make 33 MB


@dataclass(frozen=True)
class Robustness:
    """What ``trainers.robustness`` measured for one run. N images, C classes of the run's label space."""

    about: Mapping[str, Any]  # data, split, fingerprint, every, weights_sha256, parameters, git_commit, ...
    stems: tuple[str, ...]  # (N,)
    confusions: NDArray[np.uint32]  # (len(CONDITIONS), N, C, C), those of conditions that are not done yet 0

    @property
    def done(self) -> int:
        """How many of :data:`CONDITIONS` are measured."""
        done = self.about.get("done", len(CONDITIONS))
        return done if isinstance(done, int) else 0

    def of(self, condition: str) -> NDArray[np.int64]:
        """Return ``(N, C, C)`` of a condition."""
        return np.asarray(self.confusions[CONDITIONS.index(condition)], np.int64)


def save(folder: Path, found: Robustness) -> Path:
    """Write a run's measurement, atomically."""
    buffer = io.BytesIO()
    arrays = {"about": np.array(json.dumps(dict(found.about))), "stems": np.array(found.stems)}
    np.savez_compressed(buffer, allow_pickle=False, confusions=found.confusions.astype(np.uint32), **arrays)
    write_atomic(folder / FILE, buffer.getvalue())
    return folder / FILE


def load(folder: Path, num_classes: int) -> Robustness:
    """Read a run's measurement, finished or not.

    Raises:
        RunError: where it is missing, damaged, too large or of other shapes.
    """
    path = folder / FILE
    problem = f"{folder.name}/{FILE} cannot be read; run trainers.robustness again"
    with open_npz(path, problem, MAX_BYTES) as file:
        about = json.loads(str(file["about"]))
        stems = tuple(str(stem) for stem in file["stems"])
        confusions = file["confusions"]
        fits = (
            confusions.shape == (len(CONDITIONS), len(stems), num_classes, num_classes)
            and confusions.dtype == np.uint32
        )
        if not fits or not isinstance(about, dict) or not isinstance(about.get("weights_sha256"), str):
            raise RunError(problem)
    return Robustness(about, stems, confusions)
