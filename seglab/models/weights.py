"""Weights in and out: safetensors only, checked before a tensor reaches a model."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

MAX_WEIGHTS_BYTES = 2 * 2**30
MAX_HEADER_BYTES = 8 * 2**20
MAX_TENSORS = 20_000  # the largest of the field's checkpoints have some 2,000
MAX_OPTION = 4096  # as a number, and as a width
MAX_LAYERS = 64
_PICKLES = (".pt", ".pth", ".bin", ".pkl", ".pickle", ".ckpt")
_FLOATS = ("F16", "BF16", "F32", "F64")
_RESERVED = ("key", "size", "num_classes", "pretrained")
Header = dict[str, tuple[str, tuple[int, ...]]]  # dtype and shape by tensor name


class WeightsError(ValueError):
    """Weights that cannot be used; the message says what is wrong and what to do."""


def save_weights(model: nn.Module, path: Path) -> None:
    """Store a model's state as float16 safetensors (integers stay integers), atomically.

    Raises:
        ValueError: where a weight is not finite in float16.
    """
    state: dict[str, Tensor] = {}
    for name, value in model.state_dict().items():
        stored = value.detach().cpu().to(torch.float16) if value.is_floating_point() else value.detach().cpu()
        if stored.is_floating_point() and not bool(torch.isfinite(stored).all()):
            raise ValueError(f"expected finite float16 weights, {name} is not; train again with a lower learning rate")
        state[name] = stored.contiguous().clone()
    partial = path.with_name(path.name + ".tmp")
    try:
        save_file(state, partial, metadata={"format": "pt"})
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def load_weights(model: nn.Module, path: Path) -> None:
    """Load safetensors into a model, as fp32, after checking type, names and shapes.

    Raises:
        WeightsError: for a pickle, a damaged file, or tensors that do not fit; the message says which.
    """
    check_fit(model, check_safetensors(path), path.name)
    try:
        state = load_file(path)
    except (SafetensorError, ValueError, OSError) as error:
        raise WeightsError(f"{path.name} is damaged: {str(error).splitlines()[0]}; copy the file again") from None
    for name, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise WeightsError(f"{path.name}: {name} holds values that are not finite; train again")
    model.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in state.items()})


def check_safetensors(path: Path) -> Header:
    """Read a safetensors header without loading a tensor.

    Raises:
        WeightsError: where the file is missing, a pickle or no safetensors, or is larger than a model of this tool can be.
    """
    if path.suffix.lower() in _PICKLES:
        raise WeightsError(
            f"{path.name} is a pickle, which can run code when opened; only safetensors are loaded. "
            "Save the weights with safetensors.torch.save_file and give that file."
        )
    if not path.is_file():
        raise WeightsError(f"expected weights in {path.name}, found no such file; the run may not be finished")
    size = path.stat().st_size
    if size > MAX_WEIGHTS_BYTES:
        raise WeightsError(f"{path.name} is larger than {MAX_WEIGHTS_BYTES // 2**30} GiB; no model here is that large")
    with open(path, "rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        if not 2 <= length <= min(size, MAX_HEADER_BYTES):
            raise WeightsError(f"{path.name} is not a safetensors file; pickled weights are refused")
        try:
            entries = json.loads(file.read(length))
            entries.pop("__metadata__", None)
            header = {str(k): (str(v["dtype"]), tuple(int(n) for n in v["shape"])) for k, v in entries.items()}
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
            raise WeightsError(f"{path.name} is not a safetensors file; pickled weights are refused") from None
    if len(header) > MAX_TENSORS:
        raise WeightsError(
            f"{path.name} holds {len(header):,} tensors, more than {MAX_TENSORS:,}; no model here has as many"
        )
    return header


def check_fit(model: nn.Module, header: Header, name: str) -> None:
    """Compare the tensors of a file with those of a model (which may live on the meta device).

    Raises:
        WeightsError: naming the first tensor that is missing, unknown, or of another shape or kind of number.
    """
    expected = model.state_dict()
    missing, extra = sorted(expected.keys() - header.keys()), sorted(header.keys() - expected.keys())
    if missing or extra:
        first = (missing or extra)[0]
        raise WeightsError(
            f"{name} does not fit the model that run.json names: {len(missing)} tensors missing, {len(extra)} "
            f"unknown (first: {first[:80]})"
        )
    for tensor, (dtype, shape) in header.items():
        want = expected[tensor]
        if shape != tuple(want.shape):
            raise WeightsError(f"{name}: expected shape {tuple(want.shape)} for {tensor}, got {shape}")
        if (dtype in _FLOATS) != want.is_floating_point():
            raise WeightsError(f"{name}: expected {str(want.dtype)[6:]} or its like for {tensor}, got {dtype[:20]}")


def check_options(options: Any) -> dict[str, Any]:
    """Return a record's model options after checking that they can only change widths, depths and rates.

    A record is data from outside: a string could name a file or a download, and a large number take all memory.

    Raises:
        ValueError: naming the option that is refused.
    """
    if not isinstance(options, Mapping):
        raise ValueError(f"expected model options as a mapping, got {type(options).__name__}")
    for name, value in options.items():
        if not isinstance(name, str) or name in _RESERVED or "pretrained" in name:
            raise ValueError(f"expected options of the architecture, got {str(name)[:40]!r}, which a record cannot set")
        items = value if isinstance(value, (list, tuple)) else [value]
        most = MAX_LAYERS if "layers" in name or "depth" in name else MAX_OPTION
        if len(items) > 16 or not all(isinstance(v, (bool, int, float)) and abs(v) <= most for v in items):
            raise ValueError(f"expected numbers up to {most}, or a short list of them, for the option {name[:40]!r}")
    return dict(options)
