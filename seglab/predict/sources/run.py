"""A run of these trainers: the folder of its record, or the weights beside it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglab.predict.model import Facts, Model
from seglab.records import held_out
from seglab.records.fields import at, clean, number_at
from seglab.records.files import RunError, sha256_file
from seglab.records.runs import Record, read_record

if TYPE_CHECKING:
    from torch import nn

# What is shown of a record, and what each has to be where it is there.
SHOWN: dict[str, Any] = {
    "metrics": Mapping,
    "metrics.miou": float,
    "environment": Mapping,
    "environment.device": str,
    "environment.git_commit": str,
    "data": Mapping,
    "data.name": str,
    "data.val": Mapping,
    "data.val.split": str,
    "data.val.images": float,
    "model.parameters": float,
    "epochs": float,
    "provenance": str,
    "warm_start": Mapping,
    "teacher": Mapping,
}


@dataclass(frozen=True)
class RunSource:
    """A finished run's network."""

    record: Mapping[str, Any]
    weights: Path

    @property
    def layers(self) -> Mapping[str, str]:
        """Where Grad-CAM may look; the family says it. Imports torch."""
        from seglab.models import spec

        return spec(str(self.record["model"]["key"])).cam_layers

    def network(self) -> "nn.Module":
        """Return the run's network with its stored weights; see :func:`seglab.predict.networks.load_model`."""
        from seglab.predict.networks import load_model

        return load_model(self.record, self.weights)


def find(text: str) -> Model | None:
    """Return the model of a run's folder, or of a safetensors file with ``run.json`` beside it; none for anything else.

    Raises:
        RunError: where the record cannot be used, or the run is not finished or has no weights.
    """
    path = Path(text)
    folder, weights = (path.parent, path) if path.is_file() else (path, path / "weights.safetensors")
    if not path.is_file() and not (folder / "run.json").is_file():
        return None
    from seglab.models.weights import WeightsError, check_safetensors

    try:
        check_safetensors(weights)
    except WeightsError as error:
        raise RunError(str(error)) from None
    record = read_record(folder)
    if record["status"] != "finished":
        raise RunError(f"{folder.name} is {record['status']}, not finished; finish its training first")
    return run_model(Record(folder, record), weights=weights)


def run_model(run: Record, key: str = "", title: str = "", weights: Path | None = None, **more: Any) -> Model:
    """Return a finished run as a model; ``more`` are fields of :class:`Model`."""
    record, weights = run.fields, weights or run.weights
    title = title or str(record["title"])
    sha256 = str(at(record, "weights.sha256") or sha256_file(weights))
    test, why = held_out.of_run(Record(run.folder, {**record, "weights": {"sha256": sha256}}))
    facts = facts_of(record, f"{record['experiment']}/{record['variant']}-seed{record['seed']}")
    return Model(
        key=key or str(record["model"]["key"]),
        title="".join(c for c in title if c.isprintable())[:100].replace("<", "‹"),  # Plotly reads tags
        label_space=str(record["label_space"]),
        sha256=sha256,
        network=record["model"],
        facts=replace(facts, test=test, no_test=why),
        source=RunSource(record, weights),
        measured=run.folder,
        **more,
    )


def facts_of(record: Mapping[str, Any], origin: str) -> Facts:
    """Return what a run's record says of its model; what is odd in it counts as not known."""

    def text(path: str) -> str:
        value = at(record, path)
        return clean(value, 200) if isinstance(value, str) else ""

    def whole(path: str) -> int | None:
        value = number_at(record, path)
        return None if value is None else int(value)

    metrics = at(record, "metrics")
    keys = [key for key in metrics if isinstance(key, str)] if isinstance(metrics, Mapping) else []
    numbers = {key: value for key in keys if (value := number_at({"value": metrics[key]}, "value")) is not None}
    return Facts(
        origin=origin,
        provenance=text("provenance"),
        parameters=whole("model.parameters"),
        metrics=numbers,
        data=text("data.name"),
        split=text("data.val.split"),
        images=whole("data.val.images"),
        fingerprint=text("data.val.fingerprint"),
        epochs=whole("epochs"),
        starts_from=starts_from(record),
        teacher=text("teacher.run"),
        device=text("environment.device"),
        commit=text("environment.git_commit"),
    )


def starts_from(record: Mapping[str, Any]) -> str:
    """Return where a run's first weights came from, as tables show it."""
    encoder = at(record, "warm_start.encoder")
    if not isinstance(encoder, str):
        return "scratch"
    return (
        "encoder of " + encoder.split(" tensors of ", 1)[1].rsplit("/", 1)[-1] if " tensors of " in encoder else encoder
    )


def check_shown(record: Mapping[str, Any]) -> None:
    """Check the parts of a record from outside that panels and tables show.

    Raises:
        RunError: naming the field that is of another kind, or too long.
    """
    for path, kind in SHOWN.items():
        value = at(record, path)
        if value is None or (kind is float and isinstance(value, int | float) and abs(value) < 1e15):
            continue
        if kind is float or not isinstance(value, kind) or len(value) > 200:
            wanted = {float: "a number", str: "a short text", Mapping: "an object"}[kind]
            raise RunError(f"expected {path} in run.json as {wanted}, got {str(value)[:40]!r}")
