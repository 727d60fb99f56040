"""The models of a deployment: which there are, in which order, and which are shown without being asked for. No torch."""

import re
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from seglab.predict.apart import open_apart
from seglab.predict.deployment import BUNDLED_PREFIX, deployment
from seglab.predict.model import Model
from seglab.predict.sources import hub, open_model
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
    """Return the models of :mod:`seglab.predict.deployment`, and a sentence for each entry that is none.

    Each is loaded once, and anew where one of its files has changed.
    """
    plan = deployment()
    found: list[Model] = []
    problems = list(plan.problems)
    for entry in plan.entries:
        if entry.source.startswith(BUNDLED_PREFIX):
            key = entry.source[len(BUNDLED_PREFIX) :]
            model, problem = _bundled(key), f"expected a bundled model out of {', '.join(BUNDLED)}"
        else:
            model, problem = _opened(entry.source, _changed(entry.source), plan.alone)
        if model is None:
            problems.append(f"{Path(entry.source).name}: {problem}")
            continue
        taken = {one.key for one in found}
        key = next(key for key in (model.key, *(f"{model.key}-{i}" for i in range(2, 99))) if key not in taken)
        found.append(replace(model, key=key, title=entry.title or model.title, shown=entry.shown))
    return found, problems


def _bundled(key: str) -> Model | None:
    return next((model for model in bundled_models() if model.key == key), None)


def _changed(source: str) -> tuple[int, ...]:
    """Return when the files of a source were last changed; nothing for a name of the hub."""
    path = Path(source.removeprefix("masks:"))
    with suppress(OSError):
        files = [path, *sorted(path.iterdir())] if path.is_dir() else [path, path.with_suffix(".yaml")]
        return tuple(one.stat().st_mtime_ns if one.exists() else 0 for one in files)
    return ()


@lru_cache(maxsize=64)
def _opened(path: str, changed: tuple[int, ...], alone: bool) -> tuple[Model | None, str]:
    try:
        if path.startswith("masks:"):
            return open_model(path), ""
        if not Path(path).exists() and (name := hub.named(path)):
            hub.fetch(*name)  # here, for the other process has a time limit
        key = re.sub(r"[^a-z0-9._-]+", "-", Path(path).stem.lower()).strip("-._")[:40] or "model"
        key = f"{key}-here" if key in BUNDLED and not alone else key
        return (open_model if (Path(path) / "run.json").is_file() else open_apart)(path, key), ""
    except Exception as error:  # one entry must not take the others along
        lines = str(error).strip().splitlines()
        return None, lines[0][:500] if lines else type(error).__name__


def served() -> dict[str, Model]:
    """Return what the REST service offers, by key: the deployment's models and the bundled ones."""
    return {model.key: model for model in [*deployed()[0], *([] if deployment().alone else bundled_models())]}


def shelf(root: Path = RESULTS) -> list[Model]:
    """Return all models on offer: the deployment's, the bundled ones, then the other runs of their experiment."""
    if deployment().alone:
        return deployed()[0]
    bundled = bundled_models(root)
    known = {model.measured for model in bundled}
    others = [run for run in RunStore(root).servable(EXPERIMENT) if run.folder not in known]
    more = [
        run_model(run, run.folder.name[:64], f"{run.fields['title']} ({run.folder.name})", shown=False)
        for run in others
    ]
    return deployed()[0] + bundled + more
