"""Networks from folders that other libraries wrote: Transformers' and segmentation-models-pytorch's, as safetensors only.

A folder is hostile until checked: no pickle, no code of the hub, no weights outside the folder, no more bytes than
:data:`MAX_BYTES`, and nothing that a checkpoint leaves out is filled with random numbers.
"""

import json
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
import torch
from torch import nn
from transformers import AutoConfig, AutoTokenizer
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING,
    MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING,
)

from seglab.models.dense import is_encoder
from seglab.models.weights import WeightsError, check_fit, check_safetensors, load_weights

MAX_BYTES = 4 * 2**30
MAX_JSON_BYTES = 2**20
# What of these needs more than an image, or answers no masks of classes per query.
_REFUSED = {
    "detr": "it answers boxes with masks, not classes for pixels",
    "videomt": "it needs several frames of a video",
}
_ARCHITECTURES = ("Unet", "UnetPlusPlus", "MAnet", "Linknet", "FPN", "PSPNet", "DeepLabV3", "DeepLabV3Plus", "PAN")
SMP_ARCHITECTURES = (*_ARCHITECTURES, "UPerNet", "Segformer", "DPT")


def read_json(folder: Path, name: str) -> dict[str, Any]:
    """Return a small JSON object of a folder; empty where there is no such file.

    Raises:
        ValueError: where it is no object, or larger than :data:`MAX_JSON_BYTES`.
    """
    path = folder / name
    if not path.is_file():
        return {}
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise ValueError("too large")
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ValueError(
            f"expected {name} in {folder.name} as a JSON object of at most 1 MiB; download it again"
        ) from None
    if not isinstance(found, dict):
        raise ValueError(f"expected {name} in {folder.name} as a JSON object; download it again")
    return found


def check_folder(folder: Path) -> None:
    """Check the weights of a checkpoint's folder before a library opens any.

    Raises:
        ValueError: where there is no safetensors file, one is none, they are too large, or an index names one elsewhere.
    """
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise ValueError(
            f"expected model.safetensors and config.json in {folder.name}, found neither a safetensors file nor an "
            "index; pickled weights (.bin, .pth) are refused because loading them can run code"
        )
    if not (folder / "config.json").is_file():
        raise ValueError(f"expected a config.json beside the weights in {folder.name}, found none; download it too")
    if sum(file.stat().st_size for file in files) > MAX_BYTES:
        raise ValueError(f"the weights in {folder.name} are larger than {MAX_BYTES // 2**30} GiB")
    for file in files:
        check_safetensors(file)
    named = read_json(folder, "model.safetensors.index.json").get("weight_map", {})
    shards = set(named.values()) if isinstance(named, dict) else {None}
    if any(not isinstance(one, str) or one not in {file.name for file in files} for one in shards):
        raise ValueError(
            f"the index of weights in {folder.name} names a file that is not in the folder; download it again"
        )


def load_transformers(folder: Path) -> Any:
    """Load a checkpoint for semantic or universal segmentation that Transformers wrote; never code of the hub.

    Raises:
        ValueError: where it is of another kind, damaged, or lacks weights; one sentence.
    """
    check_folder(folder)
    kind = str(read_json(folder, "config.json").get("model_type"))
    if kind in _REFUSED:
        raise ValueError(f"{folder.name} is a {kind[:40]}, which is not taken: {_REFUSED[kind]}")
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False, local_files_only=True)
        cls = next(
            mapping[type(config)]
            for mapping in (MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING, MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING)
            if type(config) in mapping
        )
    except StopIteration:
        raise ValueError(
            f"{folder.name} is a {kind[:40]}, which answers no classes for pixels in Transformers; give a checkpoint "
            "for semantic or universal segmentation"
        ) from None
    except Exception as error:
        raise ValueError(f"could not read config.json of {folder.name}: {_first(error)}") from error
    if kind == "oneformer":
        config.is_training = False  # else it asks for a text of every picture
    try:
        net, info = cls.from_pretrained(
            folder,
            config=config,
            use_safetensors=True,
            local_files_only=True,
            dtype=torch.float32,
            attn_implementation="eager",  # a config could name code of the hub
            output_loading_info=True,
        )
    except Exception as error:  # the library answers an odd folder with whatever comes
        raise ValueError(f"could not load the {kind[:40]} checkpoint {folder.name!r}: {_first(error)}") from error
    missing = sorted(set(info["missing_keys"]) & dict(net.named_parameters()).keys())
    if missing:  # the library fills them with random numbers
        raise ValueError(
            f"expected all weights of a {kind[:40]} in {folder.name}, {len(missing)} are missing (first: {missing[0][:80]}); "
            "is this another model?"
        )
    if kind == "oneformer":
        _always_semantic(net, folder)
    return net.eval()


def is_universal(net: Any) -> bool:
    """Tell whether a network of Transformers answers queries with a class and a mask each, rather than classes for pixels."""
    return type(getattr(net, "config", None)) in MODEL_FOR_UNIVERSAL_SEGMENTATION_MAPPING


def _always_semantic(net: nn.Module, folder: Path) -> None:
    """Have a OneFormer told its task, "the task is semantic", with every image; as its processor in Transformers does it."""
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
        most = int(getattr(net.config, "task_seq_len", 77))
        found = tokenizer("the task is semantic", padding="max_length", max_length=most, truncation=True)
        ids = torch.tensor([found["input_ids"]]) * torch.tensor([found["attention_mask"]])
    except Exception as error:  # files of a stranger upset the library in many ways
        raise ValueError(
            f"{folder.name} is a OneFormer, which is told its task in words, and its tokenizer could not be read "
            f"({_first(error)}); put vocab.json and merges.txt, or tokenizer.json, beside the weights"
        ) from error
    net.register_buffer("task_words", ids, persistent=False)

    def tell(module: Any, args: Any, named: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        return (), {"pixel_values": args[0] if args else named["pixel_values"], "task_inputs": module.task_words}

    net.register_forward_pre_hook(tell, with_kwargs=True)


def load_smp(folder: Path) -> nn.Module:
    """Load what ``save_pretrained`` of segmentation-models-pytorch wrote; nothing is fetched.

    Raises:
        ValueError: where it is no such folder, damaged, or its tensors do not fit; one sentence.
    """
    check_folder(folder)
    config = read_json(folder, "config.json")
    name, encoder = config.get("_model_class"), config.get("encoder_name")
    if name not in SMP_ARCHITECTURES:
        known = ", ".join(SMP_ARCHITECTURES)
        raise ValueError(
            f"expected _model_class in config.json of {folder.name} out of {known}, got {str(name)[:40]!r}"
        )
    known_encoders = smp.encoders.get_encoder_names()
    if not isinstance(encoder, str) or not (encoder in known_encoders or is_encoder(encoder)):
        raise ValueError(
            f"config.json of {folder.name} names the encoder {str(encoder)[:60]!r}, which is not known here"
        )
    if config.get("in_channels", 3) != 3:
        raise ValueError(f"{folder.name} takes {str(config['in_channels'])[:10]} channels; a photo has 3")
    options = {key: value for key, value in config.items() if not key.startswith("_") and key != "encoder_weights"}
    options["activation"] = None  # logits, whatever its author had it answer
    try:
        with torch.device("meta"):
            check_fit(_built(name, options), check_safetensors(folder / "model.safetensors"), "model.safetensors")
        net = _built(name, options)
        load_weights(net, folder / "model.safetensors")
    except WeightsError as error:
        raise ValueError(str(error)) from None
    except Exception as error:  # options of a stranger upset the library in many ways
        raise ValueError(f"could not build the {name} of {folder.name}: {_first(error)}") from error
    return net.eval()


def _built(name: str, options: dict[str, Any]) -> nn.Module:
    net: nn.Module = getattr(smp, name)(encoder_weights=None, **options)
    return net


def _first(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:200] if text else type(error).__name__
