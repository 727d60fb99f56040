"""The registry of models: one hand-written dict. Adding a model = one builder + one entry + one README row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import nn

from seglab.models import mask2former
from seglab.models.dense import DenseModel, build_smp, num_parameters
from seglab.models.mask2former import QueryModel

__all__ = ["MODELS", "DenseModel", "ModelSpec", "QueryModel", "build", "num_parameters", "spec"]

# Normalisation of every model here: ImageNet's channel means and deviations, of RGB in 0..1.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

Builder = Callable[..., nn.Module]


@dataclass(frozen=True)
class ModelSpec:
    """One architecture family and the sizes it comes in."""

    key: str
    title: str
    output: Literal["dense", "queries"]
    sizes: Mapping[str, Builder]
    paper: str
    pretrained_licence: str  # of the encoder weights the hub would give, not of our code
    cam_layers: Mapping[str, str]  # where Grad-CAM may look, as the screen names it -> module; the first is the default


_CONVNEXT_LICENCE = "ConvNeXt V2's ImageNet weights: CC BY-NC 4.0"
_RESNET_LICENCE = "timm's ResNet weights: Apache-2.0"

# First the last features before the classes are read from them, the same depth in every family: they locate finely, and
# blanking where they show evidence takes the class away. Then deeper ones, which show more context and locate coarsely.
_FPN_LAYERS = {"decoder": "net.decoder.merge"}
_CONVNEXT_LAYERS = {
    "encoder, stride 16": "net.encoder.model.stages_2",
    "encoder, stride 32": "net.encoder.model.stages_3",
}
_RESNET_LAYERS = {"encoder, third stage": "net.encoder.model.layer3", "encoder, last stage": "net.encoder.model.layer4"}

MODELS: dict[str, ModelSpec] = {
    "deeplabv3plus": ModelSpec(
        "deeplabv3plus",
        "DeepLabV3+",
        "dense",
        {
            "bundled": partial(
                build_smp,
                "DeepLabV3Plus",
                "tu-resnet10t",
                decoder_channels=128,
                decoder_atrous_rates=(6, 12, 18),
                decoder_aspp_dropout=0.1,
            ),
            "resnet50": partial(build_smp, "DeepLabV3Plus", "tu-resnet50"),
        },
        "Chen et al., ECCV 2018",
        _RESNET_LICENCE,
        {"decoder": "net.decoder.block2", "ASPP": "net.decoder.aspp"} | _RESNET_LAYERS,
    ),
    "mask2former": ModelSpec(
        "mask2former",
        "Mask2Former",
        "queries",
        {"bundled": mask2former.build_bundled, "swin_small": mask2former.build_published},
        "Cheng et al., CVPR 2022",
        "published Mask2Former checkpoints: MIT code, data-dependent weights (see the hub's card)",
        {
            "pixel decoder, stride 4": "net.model.pixel_level_module.decoder.mask_projection",
            "encoder, stride 32": "net.model.pixel_level_module.decoder.input_projections.0",
        },
    ),
    "fpn_convnextv2": ModelSpec(
        "fpn_convnextv2",
        "FPN-ConvNeXtV2",
        "dense",
        {
            "bundled": partial(
                build_smp,
                "FPN",
                "tu-convnextv2_atto",
                decoder_pyramid_channels=128,
                decoder_segmentation_channels=64,
                decoder_dropout=0.1,
            ),
            "atto": partial(build_smp, "FPN", "tu-convnextv2_atto"),
            "base": partial(build_smp, "FPN", "tu-convnextv2_base"),
            "large": partial(build_smp, "FPN", "tu-convnextv2_large"),
        },
        "Kirillov et al., CVPR 2019; Woo et al., CVPR 2023",
        _CONVNEXT_LICENCE,
        _FPN_LAYERS | _CONVNEXT_LAYERS,
    ),
    "upernet_convnextv2": ModelSpec(
        "upernet_convnextv2",
        "UPerNet-ConvNeXtV2",
        "dense",
        {
            "bundled": partial(build_smp, "UPerNet", "tu-convnextv2_atto", decoder_channels=64, aux_channels=64),
            "atto": partial(build_smp, "UPerNet", "tu-convnextv2_atto", decoder_channels=64, aux_channels=64),
            "base": partial(build_smp, "UPerNet", "tu-convnextv2_base", decoder_channels=512, aux_channels=256),
            "large": partial(build_smp, "UPerNet", "tu-convnextv2_large", decoder_channels=512, aux_channels=256),
        },
        "Xiao et al., ECCV 2018; Woo et al., CVPR 2023",
        _CONVNEXT_LICENCE,
        {"decoder": "net.decoder.fusion_block"} | _CONVNEXT_LAYERS,
    ),
    "fpn_resnet": ModelSpec(
        "fpn_resnet",
        "FPN-ResNet",
        "dense",
        {
            "bundled": partial(
                build_smp,
                "FPN",
                "tu-resnet18",
                decoder_pyramid_channels=128,
                decoder_segmentation_channels=64,
                decoder_dropout=0.1,
            ),
            "resnet18": partial(build_smp, "FPN", "tu-resnet18"),
            "resnet50": partial(build_smp, "FPN", "tu-resnet50"),
        },
        "Kirillov et al., CVPR 2019",
        _RESNET_LICENCE,
        _FPN_LAYERS | _RESNET_LAYERS,
    ),
    "fpn_efficientnet": ModelSpec(
        "fpn_efficientnet",
        "FPN-EfficientNet-Lite0 (teacher)",
        "dense",
        {
            "lite0": partial(
                build_smp,
                "FPN",
                "tu-tf_efficientnet_lite0",
                decoder_pyramid_channels=128,
                decoder_segmentation_channels=64,
                decoder_dropout=0.1,
            )
        },
        "Kirillov et al., CVPR 2019; Tan and Le, ICML 2019",
        "EfficientNet-Lite0's ImageNet weights: Apache-2.0",
        _FPN_LAYERS | {"pyramid, deepest level": "net.decoder.p5"},
    ),
}


def spec(key: str) -> ModelSpec:
    """Look up a family.

    Raises:
        ValueError: for an unknown key; the message lists the valid ones.
    """
    try:
        return MODELS[key]
    except KeyError:
        raise ValueError(f"expected a model out of {', '.join(MODELS)}, got {key!r}") from None


def build(key: str, num_classes: int, *, size: str = "bundled", pretrained: bool = False, **options: Any) -> nn.Module:
    """Build a model with random weights (offline), or with the hub's encoder weights where asked.

    Args:
        key: a key of :data:`MODELS`.
        num_classes: C, void not counted.
        size: one of the family's sizes.
        pretrained: ask the hub for ImageNet (or published) weights.
        options: overrides of the size's settings, as the library names them.

    Raises:
        ValueError: for an unknown key or size, or where the hub cannot be reached.
    """
    family = spec(key)
    if size not in family.sizes:
        raise ValueError(f"expected a size of {key} out of {', '.join(family.sizes)}, got {size!r}")
    try:
        return family.sizes[size](num_classes=num_classes, pretrained=pretrained, **options)
    except TypeError as error:
        raise ValueError(f"expected options that {key} knows, got {', '.join(options)}: {error}") from error
    except OSError as error:
        if not pretrained:
            raise
        raise ValueError(
            f"could not fetch the pretrained weights of {key} ({size}): {str(error).splitlines()[0]} "
            "Go online, or build without pretrained weights."
        ) from error
