"""A checkpoint that Transformers or segmentation-models-pytorch wrote: a local folder, or a name that the hub knows.

``hub:OWNER/NAME@REVISION`` and ``smp:OWNER/NAME`` fetch it (safetensors and JSON only, never code); what the folder's own
files say of normalisation, size and classes is used, and what they do not say is told.
"""

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seglab.labels import VOID, space
from seglab.labels.matching import Matching
from seglab.predict.model import Facts, Model
from seglab.predict.sources.sidecar import Told, told_beside

if TYPE_CHECKING:
    from torch import nn

    from seglab.models.adapted import Input

_NAME = re.compile(r"(?:(hub|smp):)?([\w.-]{1,96}/[\w.-]{1,96})(?:@([\w./-]{1,100}))?", re.ASCII)
_PROBE_PX = ((161, 223), (160, 224))  # odd, and a multiple of 32


@dataclass(frozen=True)
class HubSource:
    """A checkpoint that is loaded already: its hash needs the weights."""

    net: "nn.Module"
    layers: Mapping[str, str]

    def network(self) -> "nn.Module":
        """Return the network."""
        return self.net


def find(text: str) -> Model | None:
    """Load a checkpoint from a folder or the hub; imports torch. None for what is neither.

    Raises:
        ValueError: where it cannot be loaded; one sentence.
    """
    folder = Path(text)
    if folder.is_dir():
        return open_folder(folder)
    if folder.exists() or (name := named(text)) is None:
        return None
    return replace(open_folder(fetch(*name)), title=name[0].rpartition("/")[2][:60])


def named(text: str) -> tuple[str, str | None] | None:
    """Return name and revision of ``hub:OWNER/NAME@REVISION``, ``smp:OWNER/NAME`` or ``OWNER/NAME``; none for anything else."""
    found = _NAME.fullmatch(text.strip())
    return (found[2], found[3]) if found else None


def size_of(name: str, revision: str | None = None) -> int:
    """Return how many bytes :func:`fetch` would have to fetch.

    Raises:
        ValueError: where the hub is not reached, or has no such checkpoint with safetensors.
    """
    from huggingface_hub import HfApi

    try:
        files = HfApi().model_info(name, revision=revision, files_metadata=True, timeout=5).siblings or []
    except Exception as error:
        raise _unreached(name, error) from error
    sizes = {one.rfilename: one.size or 0 for one in files if one.rfilename.endswith((".json", ".safetensors"))}
    if not any(file.endswith(".safetensors") for file in sizes):
        raise ValueError(
            f"{name} has no safetensors file; pickled weights are refused because loading them can run code. "
            f"Its pull requests on the hub often hold one: {name}@refs/pr/NUMBER"
        )
    return sum(sizes.values())


def _unreached(name: str, error: Exception) -> ValueError:
    first = next((line for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return ValueError(
        f"the hub could not give {name}: {first.strip()[:200]} If this machine is offline, download the folder elsewhere "
        "and give its path instead of the name."
    )


def fetch(name: str, revision: str | None = None) -> Path:
    """Return the folder of a checkpoint of the hub, fetched unless it is there: safetensors and JSON alone.

    Raises:
        ValueError: where the hub is not reached or has no such checkpoint.
    """
    from huggingface_hub import snapshot_download

    try:
        return Path(
            snapshot_download(
                name, revision=revision, allow_patterns=["*.json", "*.safetensors", "merges.txt"], etag_timeout=5
            )
        )
    except Exception as error:  # the client has a dozen ways to say that it is offline
        raise _unreached(name, error) from error


def open_folder(folder: Path) -> Model:
    """Return the model of a folder that Transformers or segmentation-models-pytorch wrote.

    Raises:
        ValueError: where it cannot be used; one sentence.
    """
    from seglab.models.checkpoints import load_smp, load_transformers, read_json
    from seglab.models.weights import WeightsError

    told = told_beside(folder / "seglab.yaml")
    try:
        if "_model_class" in read_json(folder, "config.json"):
            return _model(folder, load_smp(folder), told, _smp_names(folder, told), _smp_input(folder))
        net = load_transformers(folder)
    except WeightsError as error:
        raise ValueError(str(error)) from None
    wants, notes = _processor(folder)
    names = [str(net.config.id2label.get(i, f"LABEL_{i}")) for i in range(int(net.config.num_labels))]
    return _model(folder, net, told, told.classes or names, wants, notes)


def _model(
    folder: Path, net: Any, told: Told, names: Sequence[str], wants: "Input", notes: tuple[str, ...] = ()
) -> Model:
    from seglab.models import num_parameters
    from seglab.models.adapted import AdaptedDense, AdaptedQueries, Adapter
    from seglab.models.checkpoints import is_universal, read_json

    matched = told.matched(names)
    wants = _fit(net, told.applied(wants))
    adapter = Adapter(wants, matched.ids, space(matched.space).num_classes)
    whole = (AdaptedQueries if is_universal(net) else AdaptedDense)(net, adapter).eval()
    config: Any = getattr(net, "config", None)
    built = dict(config.to_dict() if hasattr(config, "to_dict") else read_json(folder, "config.json"))
    for name in ("_name_or_path", "transformers_version"):  # say nothing of the network
        built.pop(name, None)
    said = [list(matched.ids), repr(wants), type(net).__name__, built]
    total = hashlib.sha256(json.dumps(said, sort_keys=True, default=str).encode())
    for name, value in sorted(net.state_dict().items()):
        total.update(name.encode())
        total.update(value.contiguous().numpy().tobytes())
    kind, parameters = type(net).__name__, num_parameters(net)
    told_notes = (*notes, *said_of(matched, wants))
    return Model(
        key=_key(folder.name),
        title="".join(c for c in folder.name if c.isprintable())[:60].replace("<", "‹"),
        label_space=matched.space,
        sha256=total.hexdigest(),
        network={"key": _key(kind), "size": "published", "parameters": parameters},
        facts=Facts(origin=folder.name, provenance="published", parameters=parameters, notes=told_notes),
        source=HubSource(whole, layers_of(whole)),
        stride=1,
        foreign=True,
    )


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9._-]+", "-", name.lower()).strip("-._")[:40] or "model"


def said_of(matched: Matching, wants: "Input") -> list[str]:
    """Return what a reader must be told of how a model's classes and input are read."""
    said = [matched.note] if matched.note else []
    if matched.other:
        some = ", ".join(matched.other[:12]) + (", …" if len(matched.other) > 12 else "")
        said.append(
            f"read as {space(matched.space).title}; {len(matched.other)} of its classes are none of them: {some}"
        )
    lost = [name for at, name in enumerate(space(matched.space).names) if at not in matched.ids]
    if lost:
        said.append(f"it does not know: {', '.join(lost)}")
    if wants.fixed_px is not None:
        size = "x".join(map(str, wants.fixed_px[::-1]))
        said.append(
            f"it takes {size} pixels only: a photo is shrunk into that, its aspect kept, and the rest is filled"
        )
    return said


def _processor(folder: Path) -> tuple["Input", tuple[str, ...]]:
    """Return what a checkpoint's processor says of its input, and what has to be told of that."""
    from seglab.models.adapted import Input
    from seglab.models.checkpoints import read_json

    config = read_json(folder, "preprocessor_config.json")
    if not config:
        return Input(), ("it has no preprocessor_config.json: ImageNet's normalisation is taken",)
    plain = config.get("do_normalize") is False
    mean = (0.0, 0.0, 0.0) if plain else _triple(config, "image_mean")
    std = (1.0, 1.0, 1.0) if plain else _triple(config, "image_std")
    factor = config.get("rescale_factor", 1 / 255) if config.get("do_rescale", True) else 1.0
    scale = 255.0 * float(factor) if isinstance(factor, int | float) and 0 < factor <= 1 else 1.0
    size = config.get("size")
    fixed = None
    if isinstance(size, dict) and all(isinstance(size.get(side), int) for side in ("height", "width")):
        fixed = (size["height"], size["width"])
    elif isinstance(size, int):
        fixed = (size, size)
    wants = Input(scale=scale if abs(scale - 1) > 1e-3 else 1.0, bgr=config.get("do_flip_channel_order") is True)
    wants = replace(wants, mean=mean or wants.mean, std=std or wants.std)
    said: tuple[str, ...] = ()
    if fixed is not None and all(16 <= side <= 4096 for side in fixed):
        wants = replace(wants, fixed_px=fixed)
        said = (f"its processor would squash a photo to {fixed[1]}x{fixed[0]}; here a photo keeps its aspect",)
    return wants, said


def _triple(config: Mapping[str, Any], name: str) -> tuple[float, ...] | None:
    value = config.get(name)
    if not isinstance(value, list) or len(value) != 3:
        return None
    if not all(isinstance(one, int | float) and math.isfinite(one) and abs(one) < 1000 for one in value):
        return None
    return tuple(map(float, value)) if name != "image_std" or all(one > 0 for one in value) else None


def _smp_names(folder: Path, told: Told) -> Sequence[str]:
    from seglab.models.checkpoints import read_json

    classes = read_json(folder, "config.json").get("classes", 1)
    if not isinstance(classes, int) or not 1 <= classes < VOID:
        raise ValueError(f"expected classes in config.json of {folder.name} as a number from 1 to 254")
    return told.classes or [f"LABEL_{i}" for i in range(classes)]


def _smp_input(folder: Path) -> "Input":
    from seglab.models.adapted import Input

    return Input(stride=32)


def _fit(net: Any, wants: "Input") -> "Input":
    """Return the input with the stride that a network needs, or the only size that it takes, found by asking it.

    Raises:
        ValueError: where it answers at no size.
    """
    import torch

    from seglab.models.checkpoints import is_universal

    patch = getattr(getattr(net, "config", None), "patch_size", None)
    strides = [patch] if isinstance(patch, int) and 1 < patch <= 64 else []
    if is_universal(net) or wants.stride == 32:
        strides = [32]
    fixed = wants.fixed_px
    for stride in dict.fromkeys([*strides, *([] if strides else [1]), 32]):
        tried = replace(wants, stride=stride, fixed_px=None)
        size = _PROBE_PX[0] if stride == 1 else tuple(side + -side % stride for side in _PROBE_PX[1])
        try:
            with torch.inference_mode():
                net(torch.zeros(1, 3, *size))
        except Exception:  # a network that takes one size says so in its own way
            continue
        return tried
    configured = getattr(getattr(net, "config", None), "image_size", None)
    if isinstance(configured, int):
        fixed = (configured, configured)
    if fixed is not None:
        try:
            with torch.inference_mode():
                net(torch.zeros(1, 3, *fixed))
            return replace(wants, stride=1, fixed_px=fixed)
        except Exception as error:
            reason = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
            raise ValueError(
                f"the network answers neither at any size nor at {fixed[1]}x{fixed[0]}: {reason}"
            ) from None
    raise ValueError("the network does not answer at any size, and its files name no size")


def layers_of(net: "nn.Module") -> Mapping[str, str]:
    """Return where Grad-CAM may look: maps of features in the order in which they are made, the last before the classes first.

    Found by rule: modules that run once and answer one ``(1, D, h, w)`` map of two pixels or more a side, D not the classes'.
    """
    import torch

    seen: list[tuple[str, tuple[int, ...]]] = []
    handles = []
    for name, module in net.named_modules():
        if name and not name.startswith("adapter"):

            def note(module: object, args: object, output: Any, name: str = name) -> None:
                if isinstance(output, torch.Tensor) and output.ndim == 4 and min(output.shape[-2:]) > 1:
                    seen.append((name, tuple(output.shape)))

            handles.append(module.register_forward_hook(note))
    try:
        with torch.inference_mode():
            net(torch.zeros(1, 3, 128, 192))
    except Exception:  # no default is no reason to refuse a model
        return {}
    finally:
        for handle in handles:
            handle.remove()
    names = [name for name, _ in seen]
    once = [(name, shape) for name, shape in seen if names.count(name) == 1]
    classes = once[-1][1][1] if once else 0
    maps = [(name, shape) for name, shape in once if shape[1] != classes and shape[1] > 3]
    if not maps:
        return {}
    best = {}
    for name, shape in maps:  # the last at each size
        best[shape[-2:]] = name
    chosen = dict.fromkeys([maps[-1][0], *sorted(best.values(), key=names.index, reverse=True)])
    return {("last features" if i == 0 else name): name for i, name in enumerate(list(chosen)[:5])}
