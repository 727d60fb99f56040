"""Dense models: segmentation-models-pytorch networks behind one wrapper that takes any height and width."""

from functools import partial
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglab.models._torchvision import mend_torchvision

mend_torchvision()

import segmentation_models_pytorch as smp  # noqa: E402
import timm  # noqa: E402
from segmentation_models_pytorch.encoders import mix_transformer  # noqa: E402

STRIDE = 32


class DenseOutput(NamedTuple):
    """What a dense model knows during training."""

    logits: Tensor  # (N, C, H, W)
    aux_logits: Tensor | None  # (N, C, H, W) of the auxiliary head
    features: list[Tensor]  # encoder features, strides 1, 2, 4, 8, 16, 32 (some with no channels)


def pad_to_stride(image: Tensor, stride: int = STRIDE) -> Tensor:
    """Pad ``(N, 3, H, W)`` on the right and below, by its own edge, to a multiple of ``stride``."""
    height, width = image.shape[-2:]
    bottom, right = -height % stride, -width % stride
    if bottom == 0 and right == 0:
        return image
    return F.pad(image, (0, right, 0, bottom), mode="replicate")


class FCNHead(nn.Sequential):
    """The auxiliary head of UPerNet: one 3x3 convolution and a classifier (Xiao et al., ECCV 2018; mmsegmentation)."""

    def __init__(self, in_channels: int, channels: int, num_classes: int) -> None:
        super().__init__(
            nn.Conv2d(in_channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, num_classes, 1),
        )


class DenseModel(nn.Module):
    """Encoder, decoder, head: ``image (N, 3, H, W)`` normalised float32 to ``logits (N, C, H, W)`` at input size.

    Args:
        net: a segmentation-models-pytorch network.
        num_classes: C.
        aux_channels: width of the auxiliary FCN head on stride 16; 0 builds none.
    """

    output = "dense"
    net: Any  # encoder, decoder and segmentation_head, as the library types them

    def __init__(self, net: nn.Module, num_classes: int, aux_channels: int = 0) -> None:
        super().__init__()
        self.net = net
        self.num_classes = num_classes
        self.aux_head = FCNHead(self.net.encoder.out_channels[-2], aux_channels, num_classes) if aux_channels else None

    def forward_all(self, image: Tensor) -> DenseOutput:
        """Return logits, auxiliary logits and encoder features, for losses that look at more than the logits."""
        height, width = image.shape[-2:]
        padded = pad_to_stride(image)
        features = self.net.encoder(padded)
        logits = self.net.segmentation_head(self.net.decoder(features))[..., :height, :width]
        aux = None
        if self.aux_head is not None and self.training:
            aux = F.interpolate(
                self.aux_head(features[-2]), size=padded.shape[-2:], mode="bilinear", align_corners=False
            )[..., :height, :width]
        return DenseOutput(logits, aux, features)

    def forward(self, image: Tensor) -> Tensor:
        """Return ``(N, C, H, W)`` logits at input size."""
        return self.forward_all(image).logits


def build_smp(
    architecture: str,
    encoder: str,
    num_classes: int,
    *,
    pretrained: bool = False,
    aux_channels: int = 0,
    **options: Any,
) -> DenseModel:
    """Build a segmentation-models-pytorch network offline, or with the hub's ImageNet weights if asked.

    Source: https://github.com/qubvel-org/segmentation_models.pytorch (MIT), encoders from timm (Apache-2.0).
    """
    net = getattr(smp, architecture)(
        encoder, encoder_weights="imagenet" if pretrained else None, in_channels=3, classes=num_classes, **options
    )
    return DenseModel(net, num_classes, aux_channels)


class _LinspaceOnCpu:
    """torch as the MiT encoder sees it while it is built: it reads numbers from a linspace, which "meta" has none of."""

    linspace = staticmethod(partial(torch.linspace, device="cpu"))

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)


def build_segformer(encoder: str, num_classes: int, **options: Any) -> DenseModel:
    """Build a SegFormer as :func:`build_smp` does, also on the meta device."""
    mix_transformer.torch = _LinspaceOnCpu()
    try:
        return build_smp("Segformer", encoder, num_classes, **options)
    finally:
        mix_transformer.torch = torch


def is_encoder(name: str) -> bool:
    """Tell whether ``tu-NAME`` names an architecture of the installed timm (a pretrained tag or an address does not)."""
    return name.startswith("tu-") and timm.is_model(name[3:]) and name[3:] in timm.list_models()


def num_parameters(model: nn.Module) -> int:
    """Count parameters."""
    return sum(p.numel() for p in model.parameters())


def score_dense(logits: Tensor) -> Tensor:
    """Turn ``(N, C, H, W)`` logits into scores that sum to 1 over C."""
    return torch.softmax(logits.float(), dim=1)
