"""HRNet-OCR says what its papers print: polarized attention, object attention, four branches, a supervised coarse answer."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglab.models import MODELS, build
from seglab.models.hrnet import ObjectAttention, OCRModel, PolarizedAttention, gather


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def unsettle(module: nn.Module) -> nn.Module:
    """Give every parameter and statistic a value that a forgotten one would change the answer by."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(0, 0.5, generator=generator)
        for name, buffer in module.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(0, 0.5, generator=generator)
            elif name.endswith("running_var"):
                buffer.uniform_(0.5, 2, generator=generator)
    return module.double().eval()


def small(size: str, **options: Any) -> OCRModel:
    torch.manual_seed(0)
    model = build("hrnet_ocr", 5, size=size, channels=32, key_channels=16, **options)
    assert isinstance(model, OCRModel)
    return model


@torch.no_grad()
def test_polarized_attention_equals_the_papers_formulas_pixel_by_pixel() -> None:
    psa = PolarizedAttention(6)
    unsettle(psa)
    x = random(2, 6, 3, 4).double()
    cq, cv, sq, sv = (
        layer.weight[:, :, 0, 0] for layer in (psa.channel_query, psa.channel_value, psa.place_query, psa.place_value)
    )
    for picture, answer in zip(x, psa(x), strict=True):
        pixels = [picture[:, i, j] for i in range(3) for j in range(4)]
        # A_ch = sigmoid(LN(W_z(W_v(X) x softmax(W_q(X)))))
        shares = torch.stack([(cq @ p)[0] for p in pixels]).exp()
        shares = shares / shares.sum()
        z = psa.channel_up.weight @ sum(s * (cv @ p) for s, p in zip(shares, pixels, strict=True)) + psa.channel_up.bias
        z = (z - z.mean()) / (z.var(unbiased=False) + psa.norm.eps).sqrt() * psa.norm.weight + psa.norm.bias
        pixels = [p / (1 + (-z).exp()) for p in pixels]
        # A_sp = sigmoid(softmax(mean(W_q(X))) x W_v(X)), of what the channels have weighed
        mix = (sum(sq @ p for p in pixels) / len(pixels)).exp()
        mix = mix / mix.sum()
        expected = [p / (1 + (-(mix @ (sv @ p))).exp()) for p in pixels]
        torch.testing.assert_close(answer, torch.stack(expected, 1).reshape(6, 3, 4))


def test_polarized_attention_stands_between_the_two_convolutions_of_every_basic_block() -> None:
    with torch.device("meta"):
        plain, psa = build("hrnet_ocr", 19, size="w48"), build("hrnet_ocr", 19, size="w48_psa")
    # modules x branches x blocks of the three stages with basic blocks
    assert sum(isinstance(m, PolarizedAttention) for m in psa.modules()) == (1 * 2 + 4 * 3 + 3 * 4) * 4
    assert not any(isinstance(m, PolarizedAttention) for m in plain.modules())
    same = {name for name in psa.state_dict() if ".aa." not in name}
    assert same == set(plain.state_dict()), "the hub's weights fit both"
    block = small("w18_psa").eval().net.encoder.model.stage2[0].branches[0][0]
    x = random(1, 18, 4, 4)
    with torch.inference_mode():
        expected = block.bn2(block.conv2(block.aa(F.relu(block.bn1(block.conv1(x)))))) + x
        torch.testing.assert_close(block(x.clone()), F.relu(expected))


def plain_layers(layers: nn.Module, x: Tensor) -> Tensor:
    """1x1 convolution, batch normalisation and ReLU, once or more, of ``(N, channels, places)``."""
    for layer in layers if isinstance(layers, nn.Sequential) else [layers]:
        weight, bn = layer.conv.weight[:, :, 0, 0], layer.bn
        x = torch.einsum("dc,ncp->ndp", weight, x)
        scale = bn.weight / (bn.running_var + bn.eps).sqrt()
        x = ((x - bn.running_mean[:, None]) * scale[:, None] + bn.bias[:, None]).clamp(min=0)
    return x


@torch.no_grad()
def test_object_attention_equals_a_plain_formulation() -> None:
    attention = ObjectAttention(8, 4)
    unsettle(attention)
    pixels, coarse = random(2, 8, 3, 5).double(), random(2, 6, 3, 5, seed=2).double()
    flat = pixels.reshape(2, 8, 15)
    shares = coarse.reshape(2, 6, 15).exp()
    shares = shares / shares.sum(2, keepdim=True)  # of a class, over all places
    regions = torch.einsum("nkp,ncp->nck", shares, flat)
    torch.testing.assert_close(gather(pixels, coarse), regions[..., None])

    query, key = plain_layers(attention.query, flat), plain_layers(attention.key, regions)
    weights = (torch.einsum("ndp,ndk->npk", query, key) / 4**0.5).exp()
    weights = weights / weights.sum(2, keepdim=True)  # of a place, over all classes
    context = torch.einsum("npk,ndk->ndp", weights, plain_layers(attention.value, regions))
    expected = plain_layers(attention.up, context).reshape(2, 8, 3, 5)
    assert expected.std() > 0
    torch.testing.assert_close(attention(pixels, regions[..., None]), expected)


@torch.no_grad()
def test_the_four_branches_are_enlarged_bilinearly_and_stand_side_by_side() -> None:
    model = small("w18").eval()
    image = random(1, 3, 64, 96)
    features = model.net.encoder(image)
    assert [tuple(f.shape[1:]) for f in features[2:]] == [(18, 16, 24), (36, 8, 12), (72, 4, 6), (144, 2, 3)]
    seen: list[Tensor] = []
    model.net.decoder.pixels.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    whole, _ = model.net.decoder(features)
    parts = seen[0].split([18, 36, 72, 144], 1)
    assert torch.equal(parts[0], features[2])
    for part, feature, times in zip(parts[1:], features[3:], (2, 4, 8), strict=True):
        large = F.interpolate(feature, scale_factor=times, mode="bilinear", align_corners=False)
        torch.testing.assert_close(part, large)
    for number in range(2, 6):
        without = [f * (n != number) for n, f in enumerate(features)]
        assert not torch.allclose(model.net.decoder(without)[0], whole), f"branch {number - 1} is used"


@pytest.mark.parametrize("size", ["w18", "w18_psa"])
def test_the_coarse_answer_is_supervised_and_every_parameter_learns(size: str) -> None:
    model = small(size)
    assert model.eval().forward_all(random(1, 3, 65, 97)).aux_logits is None
    model.train()
    logits, aux, _ = model.forward_all(random(2, 3, 65, 97))
    assert aux is not None
    assert aux.shape == logits.shape == (2, 5, 65, 97)
    target = torch.arange(2 * 65 * 97).reshape(2, 65, 97) % 5
    F.cross_entropy(aux, target).backward(retain_graph=True)
    assert all(p.grad is not None and p.grad.any() for p in model.net.decoder.coarse.parameters())
    assert model.net.segmentation_head[0].weight.grad is None
    F.cross_entropy(logits, target).backward()
    silent = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not silent


def test_the_head_has_the_papers_widths() -> None:
    for size in MODELS["hrnet_ocr"].sizes:
        with torch.device("meta"):
            decoder = build("hrnet_ocr", 19, size=size).net.decoder
        total = (18 if "18" in size else 48) * 15
        assert decoder.pixels.conv.weight.shape == (512, total, 3, 3)
        assert decoder.coarse[1].weight.shape == (19, total, 1, 1)
        assert decoder.attention.query[0].conv.weight.shape == (256, 512, 1, 1)
        assert decoder.join[0].conv.weight.shape == (512, 1024, 1, 1)
        assert decoder.join[1].p == 0.05
