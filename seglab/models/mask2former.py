"""Mask2Former: a query model from Transformers, and the one function that turns its queries into per-pixel scores.

Source: Cheng et al., Masked-attention Mask Transformer for Universal Image Segmentation, CVPR 2022; implementation of
Hugging Face Transformers (Apache-2.0). The library's own post-processor resizes every mask to 384x384, which is unfair
on 2:1 photos, so :func:`query_scores` replaces it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglab.models._torchvision import mend_torchvision
from seglab.models.dense import pad_to_stride

mend_torchvision()

import timm  # noqa: E402
from transformers import (  # noqa: E402
    Mask2FormerConfig,
    Mask2FormerForUniversalSegmentation,
    SwinConfig,
    TimmBackboneConfig,
)
from transformers.models.mask2former import modeling_mask2former  # noqa: E402

PUBLISHED_CHECKPOINT = "facebook/mask2former-swin-small-cityscapes-semantic"


class QueryOutput(NamedTuple):
    """What a query model answers."""

    class_logits: Tensor  # (N, Q, C + 1), the last one is "no object"
    mask_logits: Tensor  # (N, Q, H / 4, W / 4), H and W padded to a multiple of 32


def query_sums(
    class_logits: Tensor, mask_logits: Tensor, height: int, width: int, chunk: int = 16, scale: int = 4
) -> Tensor:
    """Return per-pixel class scores of a query model, at input size, before they are divided by their sum.

    The score of class c is the sum over queries of softmax(class, null class dropped) times sigmoid(mask), with masks
    upsampled before the sigmoid.

    Args:
        class_logits: ``(N, Q, C + 1)``.
        mask_logits: ``(N, Q, h, w)`` at a quarter of the padded input size.
        height: rows of the input before padding.
        width: columns of the input before padding.
        chunk: queries upsampled at a time; bounds the memory.
        scale: of the masks to the padded input.

    Returns:
        ``(N, C, height, width)`` float32, not negative.
    """
    weights = class_logits.float().softmax(-1)[..., :-1]  # (N, Q, C)
    size = (mask_logits.shape[-2] * scale, mask_logits.shape[-1] * scale)
    total: Tensor | None = None
    for start in range(0, mask_logits.shape[1], chunk):
        masks = F.interpolate(mask_logits[:, start : start + chunk].float(), size=size, mode="bilinear")
        part = torch.einsum("nqc,nqhw->nchw", weights[:, start : start + chunk], masks[..., :height, :width].sigmoid())
        total = part if total is None else total + part
    assert total is not None
    return total


def query_scores(
    class_logits: Tensor, mask_logits: Tensor, height: int, width: int, chunk: int = 16, scale: int = 4
) -> Tensor:
    """Return :func:`query_sums` divided by their sum over classes, so that a score can be read as a confidence."""
    total = query_sums(class_logits, mask_logits, height, width, chunk, scale)
    total = total + 1e-20  # a pixel that no query claims is undecided, not a sum of zeros
    return total / total.sum(1, keepdim=True)


class _SymbolicTorch:
    """torch as Transformers sees it during a trace: a tensor of sizes is stacked from them, not frozen."""

    def __getattr__(self, name: str) -> Any:
        return getattr(torch, name)

    @staticmethod
    def tensor(data: Any, **options: Any) -> Tensor:
        if isinstance(data, list) and data and isinstance(data[0], list):
            return torch.stack([torch.stack([torch.as_tensor(v, **options) for v in row]) for row in data])
        return torch.tensor(data, **options)


@contextmanager
def symbolic_sizes() -> Iterator[None]:
    """Let a Mask2Former traced inside this context answer at any size.

    Transformers divides the sampling offsets of its pixel decoder by ``torch.tensor([[width, height], ...])``, which a
    trace keeps as a constant: at every other size the offsets would be scaled for the example's.
    """
    modeling_mask2former.torch = _SymbolicTorch()
    try:
        yield
    finally:
        modeling_mask2former.torch = torch


class QueryModel(nn.Module):
    """``image (N, 3, H, W)`` normalised float32 to class logits and mask logits of Q queries, any H and W."""

    output = "queries"
    mask_scale = 4  # of its masks to the padded input

    def __init__(self, net: Mask2FormerForUniversalSegmentation) -> None:
        super().__init__()
        self.net = net
        self.num_classes = int(net.config.num_labels)

    def forward(self, image: Tensor) -> QueryOutput:
        """Return the queries' answer; :func:`query_scores` makes pixels of it."""
        out = self.net(pixel_values=pad_to_stride(image))
        return QueryOutput(out.class_queries_logits, out.masks_queries_logits)

    def set_loss(self, image: Tensor, target: Tensor, ignore_index: int = 255) -> tuple[Tensor, QueryOutput]:
        """Return Transformers' matched set loss and the answer, for a batch whose size is a multiple of 32.

        Args:
            image: ``(N, 3, H, W)``.
            target: ``(N, H, W)`` int64 class ids.
            ignore_index: pixels of no class.
        """
        mask_labels, class_labels = [], []
        for labels in target:
            classes = labels.unique()
            classes = classes[classes != ignore_index]
            if len(classes) == 0:  # a batch entry with nothing labelled: one empty mask of class 0
                classes = labels.new_zeros(1)
            class_labels.append(classes)
            mask_labels.append((labels[None] == classes[:, None, None]).to(image.dtype))
        out = self.net(pixel_values=image, mask_labels=mask_labels, class_labels=class_labels)
        return out.loss, QueryOutput(out.class_queries_logits, out.masks_queries_logits)


def build_bundled(num_classes: int, *, pretrained: bool = False, **options: Any) -> QueryModel:
    """Build the small Mask2Former that is trained here: ResNet-10-T backbone, 96 channels, 24 queries."""
    settings: dict[str, Any] = dict(
        feature_size=96,
        mask_feature_size=96,
        hidden_dim=96,
        encoder_feedforward_dim=256,
        dim_feedforward=384,
        encoder_layers=2,
        decoder_layers=4,
        num_attention_heads=3,  # 32 channels a head
        num_queries=24,
        train_num_points=3072,
    )
    settings.update(options)
    backbone = TimmBackboneConfig(
        backbone="resnet10t", out_indices=[1, 2, 3, 4], use_pretrained_backbone=False, features_only=True
    )
    config = Mask2FormerConfig(backbone_config=backbone, num_labels=num_classes, **settings)
    net = Mask2FormerForUniversalSegmentation(config)
    if pretrained:  # Transformers ignores the backbone's weights inside a config
        source = timm.create_model("resnet10t", pretrained=True, features_only=True)
        net.model.pixel_level_module.encoder._backbone.load_state_dict(source.state_dict())
    return QueryModel(net)


def build_published(num_classes: int, *, pretrained: bool = False, **options: Any) -> QueryModel:
    """Build the published configuration: Swin-Small, 100 queries, nine decoder layers, 256 channels."""
    if pretrained:
        return load_published(PUBLISHED_CHECKPOINT)
    backbone = SwinConfig(
        embed_dim=96,
        depths=[2, 2, 18, 2],
        num_heads=[3, 6, 12, 24],
        window_size=7,
        drop_path_rate=0.3,
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = Mask2FormerConfig(backbone_config=backbone, num_labels=num_classes, **options)
    return QueryModel(Mask2FormerForUniversalSegmentation(config))


def load_published(checkpoint: str | Path) -> QueryModel:
    """Load a Mask2Former checkpoint in the hub's format, from a folder or by name; safetensors only.

    Raises:
        ValueError: where the folder holds no safetensors or not all weights of the model, or the hub cannot be reached;
            the message says what to do.
    """
    folder = Path(checkpoint)
    if folder.exists() and not any(folder.glob("*.safetensors")):
        raise ValueError(
            f"expected model.safetensors and config.json in {folder.name}, found neither a safetensors file nor an "
            "index; pickled weights (.bin, .pth) are refused because loading them can run code"
        )
    if folder.exists() and not (folder / "config.json").is_file():
        raise ValueError(f"expected a config.json beside the weights in {folder.name}, found none; download it too")
    try:
        net, info = Mask2FormerForUniversalSegmentation.from_pretrained(
            str(checkpoint),
            use_safetensors=True,
            dtype=torch.float32,
            attn_implementation="eager",  # a config could name code of the hub
            output_loading_info=True,
        )
    except Exception as error:  # the library answers an odd folder with whatever comes
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        hint = (
            ""
            if folder.exists()
            else (" If this machine is offline, download the folder elsewhere and give its path instead of the name.")
        )
        raise ValueError(f"could not load the Mask2Former checkpoint {str(checkpoint)!r}: {reason}{hint}") from error
    missing = sorted(set(info["missing_keys"]) & dict(net.named_parameters()).keys())
    if missing:  # the library fills them with random numbers
        raise ValueError(
            f"expected all weights of a Mask2Former in {folder.name}, {len(missing)} are missing (first: {missing[0]}); is "
            "this another model?"
        )
    return QueryModel(net)
