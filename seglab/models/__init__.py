"""The registry of models: one hand-written dict. Adding a model = one builder + one entry + one README row.

Sizes are named; a family that says so also takes any encoder of timm as the size ``tu-NAME``, such as ``tu-resnet34``.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn

from seglab.models import compact, hrnet, mask2former
from seglab.models.dense import DenseModel, build_segformer, build_smp, is_encoder, num_parameters
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
    any_encoder: str = ""  # the library's architecture that takes any encoder of timm; "" where none does


_CONVNEXT_LICENCE = "ConvNeXt V2's ImageNet weights: CC BY-NC 4.0"
_RESNET_LICENCE = "timm's ResNet weights: Apache-2.0"
_TIMM_LICENCE = "timm's weights: see each encoder's card on the hub"
_NO_WEIGHTS = "none: there are no pretrained weights"

# First the last features before the classes are read from them, the same depth in every family: they locate finely, and
# blanking where they show evidence takes the class away. Then deeper ones, which show more context and locate coarsely.
_FPN_LAYERS = {"decoder": "net.decoder.merge"}
_CONVNEXT_LAYERS = {
    "encoder, stride 16": "net.encoder.model.stages_2",
    "encoder, stride 32": "net.encoder.model.stages_3",
}
_RESNET_LAYERS = {"encoder, third stage": "net.encoder.model.layer3", "encoder, last stage": "net.encoder.model.layer4"}

# The encoders of the published architecture search; of VGG the variants with batch normalisation, which learn from scratch.
_ENCODERS = {
    "vgg16": "tu-vgg16_bn",
    "vgg19": "tu-vgg19_bn",
    "resnet152": "tu-resnet152",
    "resnext101": "tu-resnext101_32x8d",
    "efficientnet_b7": "tu-tf_efficientnet_b7",
}

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
        any_encoder="DeepLabV3Plus",
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
    "unet": ModelSpec(
        "unet",
        "U-Net",
        "dense",
        {name: partial(build_smp, "Unet", encoder) for name, encoder in _ENCODERS.items()},
        "Ronneberger et al., MICCAI 2015",
        _TIMM_LICENCE,
        {"decoder": "net.decoder.blocks.3", "decoder, stride 8": "net.decoder.blocks.1"},
        any_encoder="Unet",
    ),
    "linknet": ModelSpec(
        "linknet",
        "LinkNet",
        "dense",
        {name: partial(build_smp, "Linknet", encoder) for name, encoder in _ENCODERS.items()},
        "Chaurasia and Culurciello, VCIP 2017",
        _TIMM_LICENCE,
        {"decoder": "net.decoder.blocks.3", "decoder, stride 8": "net.decoder.blocks.1"},
    ),
    "fpn": ModelSpec(
        "fpn",
        "FPN",
        "dense",
        {name: partial(build_smp, "FPN", encoder) for name, encoder in _ENCODERS.items()},
        "Kirillov et al., CVPR 2019",
        _TIMM_LICENCE,
        _FPN_LAYERS,
        any_encoder="FPN",
    ),
    "upernet": ModelSpec(
        "upernet",
        "UPerNet",
        "dense",
        {"resnet50": partial(build_smp, "UPerNet", "tu-resnet50", aux_channels=256)},
        "Xiao et al., ECCV 2018",
        _TIMM_LICENCE,
        {"decoder": "net.decoder.fusion_block"},
        any_encoder="UPerNet",
    ),
    "segformer": ModelSpec(
        "segformer",
        "SegFormer",
        "dense",
        {
            f"b{n}": partial(build_segformer, f"mit_b{n}", decoder_segmentation_channels=768 if n > 1 else 256)
            for n in range(6)
        },
        "Xie et al., NeurIPS 2021",
        "NVIDIA's MiT weights: non-commercial (NVIDIA Source Code License for SegFormer)",
        {"decoder": "net.decoder.fuse_stage", "encoder, stride 16": "net.encoder.norm3"},
    ),
    "unet_mini": ModelSpec(
        "unet_mini",
        "U-Net mini",
        "dense",
        {"mini": compact.build_unet_mini},
        "Ronneberger et al., MICCAI 2015",
        _NO_WEIGHTS,
        {"decoder": "net.decoder.blocks.3", "encoder, stride 16": "net.encoder.stages.4"},
    ),
    "mobiledet_seg": ModelSpec(
        "mobiledet_seg",
        "MobileDet_seg",
        "dense",
        {"small": compact.build_mobiledet},
        "Xiong et al., CVPR 2021; Sandler et al., CVPR 2018",
        _NO_WEIGHTS,
        {"decoder": "net.decoder.merge", "encoder, stride 16": "net.encoder.stages.3"},
    ),
    "yolov9_seg": ModelSpec(
        "yolov9_seg",
        "YOLOv9_seg (simplified)",
        "dense",
        {"small": compact.build_yolov9},
        "Wang et al., ECCV 2024; Wang et al., CVPR workshops 2020",
        _NO_WEIGHTS,
        {"decoder": "net.decoder.merge", "encoder, stride 16": "net.encoder.stages.3"},
    ),
    "fast_scnn": ModelSpec(
        "fast_scnn",
        "Fast-SCNN",
        "dense",
        {"paper": compact.build_fast_scnn},
        "Poudel et al., BMVC 2019",
        _NO_WEIGHTS,
        {"decoder": "net.decoder.classify", "encoder, stride 32": "net.encoder.stages.1"},
    ),
    "hrnet_ocr": ModelSpec(
        "hrnet_ocr",
        "HRNet-OCR",
        "dense",
        {
            "w18": partial(hrnet.build_hrnet_ocr, "hrnet_w18"),
            "w48": partial(hrnet.build_hrnet_ocr, "hrnet_w48"),
            "w18_psa": partial(hrnet.build_hrnet_ocr, "hrnet_w18", psa=True),
            "w48_psa": partial(hrnet.build_hrnet_ocr, "hrnet_w48", psa=True),
        },
        "Sun et al., 2019; Yuan et al., ECCV 2020; Liu et al., 2021 (PSA)",
        "timm's HRNet weights: MIT",
        {
            "decoder": "net.decoder.join",
            "encoder, stride 16": "net.encoder.model.stage4.2.branches.2",
            "encoder, stride 32": "net.encoder.model.stage4.2.branches.3",
        },
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


def _builder(family: ModelSpec, size: str) -> Builder:
    if size in family.sizes:
        return family.sizes[size]
    if not (family.any_encoder and size.startswith("tu-")):
        more = ", or tu-NAME with any encoder of timm" if family.any_encoder else ""
        raise ValueError(f"expected a size of {family.key} out of {', '.join(family.sizes)}{more}; got {size!r}")
    # a size may come from a record: only names of the installed timm, which are no address
    if not is_encoder(size):
        raise ValueError(f"expected an encoder of the installed timm after tu-, got {size.removeprefix('tu-')[:60]!r}")
    builder = partial(build_smp, family.any_encoder, size)
    try:
        with torch.device("meta"), torch.inference_mode():  # an encoder may be no pyramid, or take one size only
            builder(num_classes=2).eval()(torch.empty(1, 3, 64, 96))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"the encoder {size[3:]} does not fit {family.title}: {reason} Choose another.") from None
    return builder


def build(key: str, num_classes: int, *, size: str = "bundled", pretrained: bool = False, **options: Any) -> nn.Module:
    """Build a model with random weights (offline), or with the hub's encoder weights where asked.

    Args:
        key: a key of :data:`MODELS`.
        num_classes: C, void not counted.
        size: one of the family's sizes, or ``tu-NAME`` with an encoder of timm where the family takes any.
        pretrained: ask the hub for ImageNet (or published) weights.
        options: overrides of the size's settings, as the library names them.

    Raises:
        ValueError: for an unknown key or size, or where the hub cannot be reached.
    """
    family = spec(key)
    try:
        return _builder(family, size)(num_classes=num_classes, pretrained=pretrained, **options)
    except TypeError as error:
        raise ValueError(f"expected options that {key} knows, got {', '.join(options)}: {error}") from error
    except OSError as error:
        if not pretrained:
            raise
        raise ValueError(
            f"could not fetch the pretrained weights of {key} ({size}): {str(error).splitlines()[0]} "
            "Go online, or build without pretrained weights."
        ) from error
