"""HRNet with object-contextual representations, with polarized self-attention where asked.

Sources: Sun et al., High-Resolution Representations for Labeling Pixels and Regions, 2019 (HRNetV2: the four branches side by
side); Yuan et al., Object-Contextual Representations for Semantic Segmentation, ECCV 2020 (OCR: the decoder); Liu et al.,
Polarized Self-Attention, 2021 (PSA, one after the other). The network of branches is timm's; decoder and attention are written
here from the papers. Ours: timm enlarges by the nearest pixel inside the network, the answer is enlarged as SMP's heads do it,
and PSA has no hidden layer before its layer normalisation, as the paper's formulas read.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglab.models._torchvision import mend_torchvision
from seglab.models.compact import Net, enlarged
from seglab.models.dense import DenseModel, DenseOutput, pad_to_stride

mend_torchvision()

import timm  # noqa: E402
from timm.layers import ConvNormAct  # noqa: E402
from timm.models.resnet import BasicBlock  # noqa: E402


class PolarizedAttention(nn.Module):
    """Weigh the channels by what the whole picture shows, then the places (Liu et al. 2021, PSA_s).

    Args:
        channels: C; both parts work on half of them inside.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.channel_query = nn.Conv2d(channels, 1, 1, bias=False)
        self.channel_value = nn.Conv2d(channels, half, 1, bias=False)
        self.channel_up = nn.Linear(half, channels)
        self.norm = nn.LayerNorm(channels)
        self.place_query = nn.Conv2d(channels, half, 1, bias=False)
        self.place_value = nn.Conv2d(channels, half, 1, bias=False)

    def channel_weights(self, x: Tensor) -> Tensor:
        """Return ``(N, C, 1, 1)`` in 0..1: the mean of the values over the places that the query picks, per channel."""
        picked = torch.softmax(self.channel_query(x).flatten(2), 2)  # (N, 1, HW)
        value = self.channel_value(x).flatten(2)  # (N, C / 2, HW)
        mean = (value @ picked.transpose(1, 2)).squeeze(2)
        return torch.sigmoid(self.norm(self.channel_up(mean)))[:, :, None, None]

    def place_weights(self, x: Tensor) -> Tensor:
        """Return ``(N, 1, H, W)`` in 0..1: the values of each place, mixed by the query's mean over all places."""
        mix = torch.softmax(self.place_query(x).mean((2, 3), keepdim=True), 1)  # (N, C / 2, 1, 1)
        return torch.sigmoid((mix * self.place_value(x)).sum(1, keepdim=True))

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        x = x * self.channel_weights(x)
        return x * self.place_weights(x)


class BranchEncoder(nn.Module):
    """timm's HRNet: its features are the image, the first layer (stride 2) and the four branches (strides 4, 8, 16, 32).

    Args:
        name: an HRNet of timm.
        pretrained: ask the hub for ImageNet weights.
        psa: put :class:`PolarizedAttention` between the two 3x3 convolutions of every basic block.
    """

    def __init__(self, name: str, pretrained: bool, psa: bool) -> None:
        super().__init__()
        # without a location there are none of the classifier's layers, which no pixel's class would reach
        self.model = timm.create_model(name, pretrained=pretrained, features_only=True, feature_location="")
        self.out_channels = [3, *self.model.feature_info.channels()]
        if psa:  # after the weights are loaded, which know nothing of it
            for block in self.model.modules():
                if isinstance(block, BasicBlock):
                    block.aa = PolarizedAttention(block.conv1.out_channels)  # an empty place after the activation

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the image and each ``(N, C, H / s, W / s)``."""
        return [image, *self.model(image)]


class ObjectAttention(nn.Module):
    """Every pixel asks the objects what surrounds it: attention from places to regions.

    Args:
        channels: of pixels, regions and answer.
        key_channels: width inside.
    """

    def __init__(self, channels: int, key_channels: int) -> None:
        super().__init__()
        self.query = nn.Sequential(ConvNormAct(channels, key_channels, 1), ConvNormAct(key_channels, key_channels, 1))
        self.key = nn.Sequential(ConvNormAct(channels, key_channels, 1), ConvNormAct(key_channels, key_channels, 1))
        self.value = ConvNormAct(channels, key_channels, 1)
        self.up = ConvNormAct(key_channels, channels, 1)
        self.scale = key_channels**-0.5

    def forward(self, pixels: Tensor, regions: Tensor) -> Tensor:
        """Return ``(N, channels, H, W)`` for pixels of that shape and regions ``(N, channels, K, 1)``."""
        query = self.query(pixels)  # (N, D, H, W)
        key, value = self.key(regions).flatten(2), self.value(regions).flatten(2)  # (N, D, K)
        weights = torch.softmax(query.flatten(2).transpose(1, 2) @ key * self.scale, 2)  # (N, HW, K)
        context = (value @ weights.transpose(1, 2)).reshape(query.shape)
        answer: Tensor = self.up(context)
        return answer


def gather(pixels: Tensor, coarse: Tensor) -> Tensor:
    """Return one vector per class, ``(N, C, K, 1)``: the mean of pixels ``(N, C, H, W)``, weighted by a class's softmax over
    all places of its coarse logits ``(N, K, H, W)``.
    """
    weights = torch.softmax(coarse.flatten(2), 2)
    return (pixels.flatten(2) @ weights.transpose(1, 2)).unsqueeze(3)


class OCRDecoder(nn.Module):
    """The four branches at stride 4 side by side, a coarse answer, and each pixel beside what its objects say."""

    def __init__(
        self, in_channels: Sequence[int], num_classes: int, channels: int, key_channels: int, dropout: float
    ) -> None:
        super().__init__()
        total = sum(in_channels)
        self.branches = len(in_channels)
        self.coarse = nn.Sequential(ConvNormAct(total, total, 1), nn.Conv2d(total, num_classes, 1))
        self.pixels = ConvNormAct(total, channels, 3)
        self.attention = ObjectAttention(channels, key_channels)
        self.join = nn.Sequential(ConvNormAct(2 * channels, channels, 1), nn.Dropout2d(dropout))

    def forward(self, features: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return ``(N, channels, H / 4, W / 4)`` and the coarse logits ``(N, C, H / 4, W / 4)``."""
        branches = features[-self.branches :]
        x = torch.cat([branches[0], *(enlarged(branch, branches[0]) for branch in branches[1:])], 1)
        coarse = self.coarse(x)
        pixels = self.pixels(x)
        context = self.attention(pixels, gather(pixels, coarse))
        return self.join(torch.cat([context, pixels], 1)), coarse


class OCRModel(DenseModel):
    """A dense model whose auxiliary logits are the decoder's coarse answer, which it needs for the fine one too."""

    def forward_all(self, image: Tensor) -> DenseOutput:
        """Return logits, coarse logits (in training only) and encoder features."""
        height, width = image.shape[-2:]
        padded = pad_to_stride(image)
        features = self.net.encoder(padded)
        x, coarse = self.net.decoder(features)
        logits = self.net.segmentation_head(x)[..., :height, :width]
        aux = None
        if self.training:
            aux = F.interpolate(coarse, size=padded.shape[-2:], mode="bilinear", align_corners=False)
            aux = aux[..., :height, :width]
        return DenseOutput(logits, aux, features)


def build_hrnet_ocr(
    backbone: str,
    num_classes: int,
    *,
    pretrained: bool = False,
    psa: bool = False,
    channels: int = 512,
    key_channels: int = 256,
    dropout: float = 0.05,
) -> OCRModel:
    """Build HRNet-OCR offline, or with the hub's ImageNet weights if asked (PSA starts from random ones in any case)."""
    encoder = BranchEncoder(backbone, pretrained, psa)
    decoder = OCRDecoder(encoder.out_channels[-4:], num_classes, channels, key_channels, dropout)
    return OCRModel(Net(encoder, decoder, channels, num_classes, 4), num_classes)
