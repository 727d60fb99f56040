"""The models of a deployment: which there are, in which order, and which are shown without being asked for. No torch."""

from pathlib import Path

from seglab.predict.model import Model
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


def shelf(root: Path = RESULTS) -> list[Model]:
    """Return all models on offer: the bundled ones, then the other runs of their experiment, named by folder."""
    bundled = bundled_models(root)
    known = {model.measured for model in bundled}
    others = [run for run in RunStore(root).servable(EXPERIMENT) if run.folder not in known]
    more = [
        run_model(run, run.folder.name[:64], f"{run.fields['title']} ({run.folder.name})", shown=False)
        for run in others
    ]
    return bundled + more
