"""Mean Grad-CAM maps of a run over a split: ``cam/<layer>-<method>.npz`` in its record. No torch.

Arrays are per image, so that any interval over images can be had; maps are means at a fixed grid. No frames are kept.
"""

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seglab.records.files import RunError, open_npz, write_atomic

GRID = (48, 64)  # rows, columns
MAX_BYTES = 2**28  # unpacked
PARTIAL = "partial-"
_NAME = re.compile(r"[a-z0-9][a-z0-9+_-]{0,79}")
_ARRAYS = ("maps", "images", "energy", "area", "peak", "coactivation")


@dataclass(frozen=True)
class MeanCams:
    """What ``trainers.explain`` found for one run, layer and method. N images, C classes of the run's label space.

    NaN: the class is not labelled in the image, or the model does not predict it there, or has no evidence for it.
    """

    about: Mapping[str, Any]  # layer, method, split, fingerprint, weights_sha256, git_commit, ...
    stems: tuple[str, ...]  # (N,)
    maps: NDArray[np.float32]  # (C, *GRID) mean density of positive evidence, 1 on average; NaN where no image counts
    images: NDArray[np.int64]  # (C,) images that a map is the mean of
    energy: NDArray[np.float64]  # (N, C) share of the positive evidence on the labelled pixels of the class
    area: NDArray[np.float64]  # (N, C) share of the image that the class has
    peak: NDArray[np.float64]  # (N, C) 1 where the highest evidence lies on the class, else 0
    coactivation: NDArray[np.float64]  # (N, C, C) [a, b]: share of the evidence for a on the labelled pixels of b

    @property
    def name(self) -> str:
        """Name of the file, without its ending; another while only some images are done."""
        return PARTIAL * ("done" in self.about) + file_name(str(self.about["layer"]), str(self.about["method"]))


def file_name(layer: str, method: str) -> str:
    """Return the name under which a layer's maps by a method are stored.

    >>> file_name("encoder, stride 32", "gradcam++")
    'encoder-stride-32-gradcam++'
    """
    return f"{re.sub(r'[^a-z0-9]+', '-', layer.lower()).strip('-')}-{method}"


def names(folder: Path) -> list[str]:
    """Return the names of a run's finished maps, that of the decoder by Grad-CAM first."""
    found = [path.stem for path in (folder / "cam").glob("*.npz") if _NAME.fullmatch(path.stem)]
    found = [name for name in found if not name.startswith(PARTIAL)]
    return sorted(found, key=lambda name: (not _is_default(name), name))


def _is_default(name: str) -> bool:
    """Tell whether a file has the maps that families are compared by: of the decoder, by Grad-CAM."""
    return "decoder" in name and name.endswith("-gradcam")


def save(folder: Path, cams: MeanCams) -> Path:
    """Write a run's maps, atomically."""
    buffer = io.BytesIO()
    small: dict[str, NDArray[Any]] = {"maps": cams.maps.astype(np.float16), "images": cams.images.astype(np.int32)}
    small |= {name: getattr(cams, name).astype(np.float32) for name in ("energy", "area", "peak", "coactivation")}
    small |= {"about": np.array(json.dumps(dict(cams.about))), "stems": np.array(cams.stems)}
    np.savez_compressed(buffer, allow_pickle=False, **small)
    path = folder / "cam" / f"{cams.name}.npz"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, buffer.getvalue())
    return path


def load(folder: Path, name: str, num_classes: int) -> MeanCams:
    """Read a run's maps.

    Args:
        folder: of the run.
        name: of :func:`names`.
        num_classes: of the run's label space.

    Raises:
        RunError: where the file is missing, damaged, too large or of other shapes.
    """
    path = folder / "cam" / f"{name}.npz"
    problem = f"{folder.name}/cam/{path.name} cannot be read; run trainers.explain again"
    if not _NAME.fullmatch(name) or not path.is_file():
        raise RunError(problem)
    with open_npz(path, problem, MAX_BYTES) as file:
        about = json.loads(str(file["about"]))
        stems = tuple(str(stem) for stem in file["stems"])
        arrays = {key: file[key] for key in _ARRAYS}
        n, c = len(stems), num_classes
        shapes = dict(zip(_ARRAYS, ((c, *GRID), (c,), (n, c), (n, c), (n, c), (n, c, c)), strict=True))
        wrong = [key for key, array in arrays.items() if array.shape != shapes[key] or array.dtype.kind not in "fiu"]
        if wrong or not all(isinstance(about.get(key), str) for key in ("layer", "method", "split", "weights_sha256")):
            raise RunError(problem)
    images = arrays.pop("images").astype(np.int64)
    maps = arrays.pop("maps").astype(np.float32)
    return MeanCams(about, stems, maps, images, **{key: array.astype(np.float64) for key, array in arrays.items()})
