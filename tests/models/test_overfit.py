"""Every entry of the catalogue learns two small pictures by heart: its gradients reach what they have to."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from seglab.models import MODELS, build
from tests.tiny import street
from trainers.training.loading import normalise

pytestmark = pytest.mark.filterwarnings("ignore:For 'tu-':UserWarning")

FAMILIES = ("unet_mini", "mobiledet_seg", "yolov9_seg", "fast_scnn", "unet", "linknet", "fpn", "upernet", "segformer")
ANY_ENCODER = [(key, "tu-resnet10t") for key, family in MODELS.items() if family.any_encoder]
HRNET = [("hrnet_ocr", "w18"), ("hrnet_ocr", "w18_psa")]  # the larger ones differ in widths only
CASES = [(key, size) for key in FAMILIES for size in MODELS[key].sizes] + HRNET + ANY_ENCODER
STEPS, ENOUGH = 60, 0.9  # share of labelled pixels that are right
GENTLY = ("fpn", "upernet", "segformer", "deeplabv3plus")  # these learn, and diverge, faster


@pytest.mark.parametrize(("key", "size"), CASES)
def test_two_pictures_are_learned_by_heart(key: str, size: str) -> None:
    torch.manual_seed(0)
    pictures, masks = zip(*(street(seed, 64, 64) for seed in range(2)), strict=True)
    image = normalise(torch.stack([torch.from_numpy(picture) for picture in pictures]))
    target = torch.stack([torch.from_numpy(mask).long() for mask in masks])
    target[target == 11] = 255
    model = build(key, 11, size=size).train()
    for module in model.modules():
        if isinstance(module, nn.modules.dropout._DropoutNd):
            module.p = 0.0  # by heart means every pixel
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3 if key in GENTLY else 4e-3, fused=True)
    right = 0.0
    for _ in range(STEPS):
        logits = model(image)
        right = float((logits.argmax(1) == target)[target != 255].float().mean())
        if right >= ENOUGH:
            break
        optimizer.zero_grad()
        F.cross_entropy(logits, target, ignore_index=255).backward()
        optimizer.step()
    assert right >= ENOUGH
    parts = dict(model.named_parameters())
    late = [p for name, p in parts.items() if name.startswith(("net.segmentation_head", "net.decoder"))]
    first = next(p for name, p in parts.items() if name.startswith("net.encoder"))
    assert late
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in [*late, first])
    assert bool((first.grad != 0).any()), "the loss reaches the pixels' first layer"
