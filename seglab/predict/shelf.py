"""The models of a deployment: which there are, in which order, and which are shown without being asked for. No torch."""

import os
import re
from functools import lru_cache
from pathlib import Path

from seglab.predict.apart import open_apart
from seglab.predict.model import Model
from seglab.predict.sources import open_model
from seglab.predict.sources.run import run_model
from seglab.records.runs import Record
from seglab.records.store import RESULTS, RunStore

EXPERIMENT = "camvid-architectures"  # of the bundled models
COMPARED = ("deeplabv3plus", "mask2former", "fpn_convnextv2", "upernet_convnextv2")  # in the order of the panels
BUNDLED = (*COMPARED, "fpn_resnet")  # the last, the baseline of a published comparison, is a choice and off by default
BUNDLED_SEED = 42


def bundled_runs(root: Path = RESULTS) -> dict[str, Record]:
    """Return the run that ships for each model of :data:`BUNDLED`, by model key, in that order.

    It is the folder ``<key>-seed42``; other seeds and variants of the experiment never take its place.
    """
    servable = {run.folder.name: run for run in RunStore(root).servable(EXPERIMENT)}
    names = {key: f"{key}-seed{BUNDLED_SEED}" for key in BUNDLED}
    return {key: servable[name] for key, name in names.items() if name in servable}


def bundled_models(root: Path = RESULTS) -> list[Model]:
    """Return the models that ship, in the order of the panels."""
    runs = bundled_runs(root).items()
    return [run_model(run, key, shown=key in COMPARED, stored=True) for key, run in runs]


def deployed() -> tuple[list[Model], list[str]]:
    """Return the models of the folder that ``SEGLAB_MODELS`` names, and a sentence for each entry that is none.

    Every folder and every ONNX file in it is a model, shown first, in the order of their names; each is loaded once.
    """
    folder = os.environ.get("SEGLAB_MODELS", "")
    if not folder:
        return [], []
    found, problems = [], []
    try:
        entries = sorted(path for path in Path(folder).iterdir() if path.is_dir() or path.suffix.lower() == ".onnx")
    except OSError as error:
        return [], [f"SEGLAB_MODELS names {folder[:200]}, which cannot be read: {error.strerror}"]
    for path in entries:
        try:
            files = sorted(path.iterdir()) if path.is_dir() else [path, path.with_suffix(".yaml")]
            changed = tuple(one.stat().st_mtime_ns if one.exists() else 0 for one in files)
        except OSError as error:
            problems.append(f"{path.name} cannot be read: {error.strerror}")
            continue
        model, problem = _opened(str(path), changed)
        if model is not None:
            found.append(model)
        else:
            problems.append(f"{path.name}: {problem}")
    return found, problems


@lru_cache(maxsize=64)
def _opened(path: str, changed: tuple[int, ...]) -> tuple[Model | None, str]:
    try:
        key = re.sub(r"[^a-z0-9._-]+", "-", Path(path).stem.lower()).strip("-._")[:40] or "model"
        key = f"{key}-here" if key in BUNDLED else key
        return (open_model if (Path(path) / "run.json").is_file() else open_apart)(path, key), ""
    except Exception as error:  # one entry must not take the others along
        lines = str(error).strip().splitlines()
        return None, lines[0][:500] if lines else type(error).__name__


def served() -> dict[str, Model]:
    """Return what the REST service offers, by key: the deployment's models and the bundled ones."""
    return {model.key: model for model in [*deployed()[0], *bundled_models()]}


def shelf(root: Path = RESULTS) -> list[Model]:
    """Return all models on offer: the deployment's, the bundled ones, then the other runs of their experiment."""
    bundled = bundled_models(root)
    known = {model.measured for model in bundled}
    others = [run for run in RunStore(root).servable(EXPERIMENT) if run.folder not in known]
    more = [
        run_model(run, run.folder.name[:64], f"{run.fields['title']} ({run.folder.name})", shown=False)
        for run in others
    ]
    return deployed()[0] + bundled + more
