"""Small networks that no library has: encoder, decoder and head in the shape of segmentation-models-pytorch's.

Their sources name the ideas; what the sources leave open (widths, depths) is ours and said at each class.
"""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglab.models._torchvision import mend_torchvision
from seglab.models.dense import DenseModel

mend_torchvision()

from segmentation_models_pytorch.base import SegmentationHead  # noqa: E402
from timm.layers import ConvNormAct  # noqa: E402
from timm.models._efficientnet_blocks import DepthwiseSeparableConv, InvertedResidual  # noqa: E402


class Net(nn.Module):
    """Encoder, decoder and head as :class:`DenseModel` asks for them; the head enlarges by ``upsampling``."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module, width: int, num_classes: int, upsampling: int) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.segmentation_head = SegmentationHead(width, num_classes, kernel_size=1, upsampling=upsampling)


class Pyramid(nn.Module):
    """An encoder: stages one after the other, the image and every stage's answer are its features."""

    def __init__(self, stages: Sequence[nn.Module], out_channels: Sequence[int]) -> None:
        super().__init__()
        self.stages = nn.ModuleList(stages)
        self.out_channels = [3, *out_channels]

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the image and each stage's ``(N, C, H / s, W / s)``."""
        features = [image]
        for stage in self.stages:
            features.append(stage(features[-1]))
        return features


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Return ``x`` at the height and width of ``like``, bilinear."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)


def twice(in_channels: int, channels: int) -> nn.Sequential:
    """Two 3x3 convolutions, as in every level of a U-Net."""
    return nn.Sequential(ConvNormAct(in_channels, channels, 3), ConvNormAct(channels, channels, 3))


class UNetDecoder(nn.Module):
    """Enlarge, put the encoder's level beside it, convolve twice; from the deepest level to the first."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            twice(deep + skip, skip) for deep, skip in zip(channels[:0:-1], channels[-2::-1], strict=True)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return the first level's ``(N, C, H, W)``."""
        x = features[-1]
        for block, skip in zip(self.blocks, features[-2:0:-1], strict=True):
            x = block(torch.cat([enlarged(x, skip), skip], 1))
        return x


def build_unet_mini(
    num_classes: int, *, pretrained: bool = False, widths: Sequence[int] = (16, 32, 64, 128, 256)
) -> DenseModel:
    """Build a U-Net of five levels and a quarter of the paper's widths, with batch normalisation and bilinear enlargement.

    Source: Ronneberger et al., U-Net, MICCAI 2015. There are no pretrained weights of it.
    """
    _no_weights(pretrained)
    first = twice(3, widths[0])
    deeper = [nn.Sequential(nn.MaxPool2d(2), twice(a, b)) for a, b in pairwise(widths)]
    net = Net(Pyramid([first, *deeper], widths), UNetDecoder(widths), widths[0], num_classes, 1)
    return DenseModel(net, num_classes)


class SkipDecoder(nn.Module):
    """Bilinear enlargement from level to level, each skip added after a 1x1 convolution, smoothed depthwise."""

    def __init__(self, in_channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(ConvNormAct(c, width, 1) for c in in_channels)
        self.smooth = nn.ModuleList(DepthwiseSeparableConv(width, width) for _ in in_channels[1:])
        self.merge = DepthwiseSeparableConv(width, width)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return ``(N, width, H / 4, W / 4)``."""
        laterals = [layer(x) for layer, x in zip(self.lateral, features[-len(self.lateral) :], strict=True)]
        x = laterals[-1]
        for smooth, skip in zip(reversed(self.smooth), reversed(laterals[:-1]), strict=True):
            x = smooth(enlarged(x, skip) + skip)
        answer: Tensor = self.merge(x)
        return answer


def build_mobiledet(
    num_classes: int,
    *,
    pretrained: bool = False,
    widths: Sequence[int] = (16, 24, 40, 96, 160),
    depth: int = 3,
    decoder_channels: int = 96,
) -> DenseModel:
    """Build MobileDet_seg: inverted residuals down to stride 32, three skips (strides 4, 8, 16), a bilinear decoder.

    Source: Xiong et al., MobileDets, CVPR 2021 (a detector); Sandler et al., MobileNetV2, CVPR 2018. Widths, depth and the
    decoder are ours: the documentation that compares a "MobileDet_seg" prints none.
    """
    _no_weights(pretrained)
    stages: list[nn.Module] = [ConvNormAct(3, widths[0], 3, stride=2)]
    for before, after in pairwise(widths):
        blocks = [InvertedResidual(before, after, stride=2, exp_ratio=6.0)]
        blocks += [InvertedResidual(after, after, exp_ratio=6.0) for _ in range(depth - 1)]
        stages.append(nn.Sequential(*blocks))
    net = Net(Pyramid(stages, widths), SkipDecoder(widths[-4:], decoder_channels), decoder_channels, num_classes, 4)
    return DenseModel(net, num_classes)


class Bottleneck(nn.Module):
    """1x1 and 3x3 convolution with a shortcut, as in Darknet."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(_silu(channels, channels, 1), _silu(channels, channels, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Return the same shape."""
        answer: Tensor = x + self.body(x)
        return answer


class CSPBlock(nn.Module):
    """Half of the channels goes through bottlenecks, half past them; every intermediate answer is kept (GELAN)."""

    def __init__(self, in_channels: int, channels: int, depth: int) -> None:
        super().__init__()
        half = channels // 2
        self.split = _silu(in_channels, 2 * half, 1)
        self.blocks = nn.ModuleList(Bottleneck(half) for _ in range(depth))
        self.join = _silu((2 + depth) * half, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, channels, H, W)``."""
        parts = list(self.split(x).chunk(2, 1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        answer: Tensor = self.join(torch.cat(parts, 1))
        return answer


class PANDecoder(nn.Module):
    """A light path aggregation: down from stride 32 to 8, up again to 32, all three levels added at stride 8."""

    def __init__(self, in_channels: Sequence[int], width: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(_silu(c, width, 1) for c in in_channels)
        self.down = nn.ModuleList(CSPBlock(2 * width, width, 1) for _ in in_channels[1:])
        self.shrink = nn.ModuleList(_silu(width, width, 3, stride=2) for _ in in_channels[1:])
        self.up = nn.ModuleList(CSPBlock(2 * width, width, 1) for _ in in_channels[1:])
        self.merge = _silu(width, width, 3)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return ``(N, width, H / 8, W / 8)``."""
        laterals = [layer(x) for layer, x in zip(self.lateral, features[-len(self.lateral) :], strict=True)]
        levels = [laterals[-1]]
        for block, lateral in zip(self.down, laterals[-2::-1], strict=True):
            levels.append(block(torch.cat([enlarged(levels[-1], lateral), lateral], 1)))
        levels.reverse()  # finest first
        x, fine = levels[0], levels[0]
        total = fine
        for shrink, block, level in zip(self.shrink, self.up, levels[1:], strict=True):
            x = block(torch.cat([shrink(x), level], 1))
            total = total + enlarged(x, fine)
        answer: Tensor = self.merge(total)
        return answer


def build_yolov9(
    num_classes: int,
    *,
    pretrained: bool = False,
    widths: Sequence[int] = (24, 48, 96, 192, 256),
    depth: int = 2,
    decoder_channels: int = 96,
) -> DenseModel:
    """Build YOLOv9_seg, simplified: a trunk of cross stage partial blocks and a light PAN head.

    Source: Wang et al., YOLOv9, ECCV 2024; Wang et al., CSPNet, CVPR workshops 2020; Liu et al., PANet, CVPR 2018. Without the
    auxiliary reversible branch and the detection head; widths and depths are ours.
    """
    _no_weights(pretrained)
    stages: list[nn.Module] = [_silu(3, widths[0], 3, stride=2)]
    for before, after in pairwise(widths):
        stages.append(nn.Sequential(_silu(before, after, 3, stride=2), CSPBlock(after, after, depth)))
    net = Net(Pyramid(stages, widths), PANDecoder(widths[-3:], decoder_channels), decoder_channels, num_classes, 8)
    return DenseModel(net, num_classes)


class PyramidPooling(nn.Module):
    """Means over 1, 2, 3 and 6 parts of the picture beside the picture (Zhao et al., PSPNet, CVPR 2017)."""

    def __init__(self, in_channels: int, channels: int, parts: Sequence[int] = (1, 2, 3, 6)) -> None:
        super().__init__()
        self.parts = tuple(parts)
        # one value per channel of one photo has no variance: no normalisation here
        self.reduce = nn.ModuleList(nn.Conv2d(in_channels, in_channels // len(parts), 1) for _ in parts)
        self.join = ConvNormAct(in_channels + len(parts) * (in_channels // len(parts)), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return ``(N, channels, H, W)``."""
        pooled = [
            enlarged(layer(F.adaptive_avg_pool2d(x, n)), x) for layer, n in zip(self.reduce, self.parts, strict=True)
        ]
        answer: Tensor = self.join(torch.cat([x, *pooled], 1))
        return answer


class FusionDecoder(nn.Module):
    """Fast-SCNN's feature fusion (stride 8 beside stride 32) and its two depthwise layers."""

    def __init__(self, fine: int, coarse: int, width: int, dropout: float) -> None:
        super().__init__()
        plain = {"apply_act": False}
        self.coarse = nn.Sequential(ConvNormAct(coarse, width, 3, groups=coarse), ConvNormAct(width, width, 1, **plain))
        self.fine = ConvNormAct(fine, width, 1, **plain)
        self.classify = nn.Sequential(
            DepthwiseSeparableConv(width, width), DepthwiseSeparableConv(width, width), nn.Dropout2d(dropout)
        )

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """Return ``(N, width, H / 8, W / 8)``."""
        fine = self.fine(features[-2])
        answer: Tensor = self.classify(F.relu(fine + self.coarse(enlarged(features[-1], fine))))
        return answer


def build_fast_scnn(num_classes: int, *, pretrained: bool = False, dropout: float = 0.1) -> DenseModel:
    """Build Fast-SCNN: learning to downsample, a global feature extractor, feature fusion; widths of the paper.

    Source: Poudel et al., Fast-SCNN, BMVC 2019, table 1. There are no pretrained weights of it.
    """
    _no_weights(pretrained)
    downsample = nn.Sequential(
        ConvNormAct(3, 32, 3, stride=2),
        DepthwiseSeparableConv(32, 48, stride=2),
        DepthwiseSeparableConv(48, 64, stride=2),
    )
    blocks: list[nn.Module] = []
    for before, after, stride in ((64, 64, 2), (64, 96, 2), (96, 128, 1)):
        blocks.append(InvertedResidual(before, after, stride=stride, exp_ratio=6.0))
        blocks += [InvertedResidual(after, after, exp_ratio=6.0) for _ in range(2)]
    trunk = nn.Sequential(*blocks, PyramidPooling(128, 128))
    net = Net(Pyramid([downsample, trunk], (64, 128)), FusionDecoder(64, 128, 128, dropout), 128, num_classes, 8)
    return DenseModel(net, num_classes)


def _silu(in_channels: int, channels: int, kernel: int, stride: int = 1) -> ConvNormAct:
    return ConvNormAct(in_channels, channels, kernel, stride=stride, act_layer=nn.SiLU)


def _no_weights(pretrained: bool) -> None:
    if pretrained:
        raise ValueError("there are no pretrained weights of this network; build without them")
