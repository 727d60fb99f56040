"""A run's network: its record says how it is built, its weights fill it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from seglab.labels import space
from seglab.models import build
from seglab.models.weights import WeightsError, check_fit, check_options, check_safetensors, load_weights
from seglab.records.files import RunError, sha256_file
from seglab.records.runs import read_record


def build_from_record(record: Mapping[str, Any]) -> nn.Module:
    """Build the model that a run record names, with random weights and without the network.

    Raises:
        RunError: where the record names no model or label space of this version, or options that it cannot set.
    """
    try:
        classes = space(record["label_space"]).num_classes
        options = check_options(record["model"].get("options") or {})
        return build(record["model"]["key"], classes, size=record["model"]["size"], **options)
    except Exception as error:  # the libraries answer odd options with whatever comes
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise RunError(f"run.json names a model that cannot be built: {reason}") from None


def load_model(record: Mapping[str, Any], path: Path) -> nn.Module:
    """Build a record's model with stored weights, in eval mode; never falls back to random weights.

    The file's header is compared with a model that takes no memory first, so that no record can ask for more memory
    than its weights fill.

    Raises:
        RunError: where record, hash or tensors do not fit.
    """
    try:
        header = check_safetensors(path)
        with torch.device("meta"):
            check_fit(build_from_record(record), header, path.name)
        if (digest := (record.get("weights") or {}).get("sha256")) is not None and sha256_file(path) != digest:
            raise RunError(f"{path.name} does not have the hash that its run.json records; copy the run again")
        model = build_from_record(record)
        load_weights(model, path)
    except WeightsError as error:
        raise RunError(str(error)) from None
    return model.eval()


def load_run(folder: Path) -> nn.Module:
    """Build a run's model with its stored weights, in eval mode; never falls back to random weights.

    Raises:
        RunError: where record, hash or tensors do not fit.
    """
    return load_model(read_record(folder), folder / "weights.safetensors")
