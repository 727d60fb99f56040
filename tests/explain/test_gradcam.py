"""Grad-CAM says where the evidence lies, and leaves the model as it found it."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, cast

import numpy as np
import pytest
import torch
from captum.attr import LayerGradCam, LayerGradientXActivation
from torch import Tensor, nn

from seglab.explain import gradcam as cam
from seglab.explain.gradcam import METHODS, Explainer, Look, Method, class_mean, class_sum, deletion, enlarge
from seglab.models import MODELS, QueryModel, build
from seglab.models.mask2former import query_sums

pytestmark = pytest.mark.filterwarnings("ignore:For 'tu-':UserWarning", "ignore::FutureWarning:captum")

HEIGHT, WIDTH = 60, 90  # not multiples of 32: the padding must be cut off again
LAYERS = [(key, name) for key, family in MODELS.items() for name in family.cam_layers]
DEFAULTS = [(key, next(iter(family.cam_layers))) for key, family in MODELS.items()]
EVERYWHERE = np.ones((HEIGHT, WIDTH), bool)


@cache
def model_of(key: str) -> nn.Module:
    """Return a small model with random weights. Tests that change it build their own."""
    torch.manual_seed(0)
    return build(key, 5, size=next(iter(MODELS[key].sizes))).eval()


def explainer_of(key: str, layer: str) -> Explainer:
    return Explainer(model_of(key), MODELS[key].cam_layers[layer])


def image(seed: int = 0) -> Tensor:
    return torch.randn(1, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(seed))


def scores_of(model: nn.Module, x: Tensor) -> Tensor:
    answer = model(x)
    return cast(Tensor, query_sums(*answer, *x.shape[-2:]) if isinstance(model, QueryModel) else answer)


def close(a: Any, b: Any, rel: float) -> None:
    """Compare maps by their largest value."""
    assert np.abs(a - b).max() <= rel * np.abs(b).max(), (np.abs(a - b).max(), np.abs(b).max())


@pytest.mark.parametrize(("key", "layer"), LAYERS)
@pytest.mark.parametrize("method", METHODS)
def test_every_layer_of_every_model_answers_with_a_map(key: str, layer: str, method: Method) -> None:
    look = explainer_of(key, layer).look(image())
    with torch.no_grad():
        expected = scores_of(model_of(key), image())[0]
    assert torch.equal(look.scores.detach(), expected), "the answer that is explained is the model's own"
    assert np.array_equal(look.labels, expected.argmax(0).numpy())
    raw = look.cam(class_mean(2, EVERYWHERE), method)
    assert raw.dtype == np.float32
    assert raw.shape == tuple(look.activation.shape[-2:])
    assert np.isfinite(raw).all()
    assert np.abs(raw).max() > 0
    assert look.enlarge(raw).shape == (HEIGHT, WIDTH)


@pytest.mark.parametrize(("key", "layer"), DEFAULTS)
def test_all_classes_from_one_forward_are_those_of_a_forward_each(key: str, layer: str) -> None:
    explainer = explainer_of(key, layer)
    targets = [class_mean(c, EVERYWHERE) for c in range(5)]
    together = explainer.look(image()).cams(targets)
    for target, raw in zip(targets, together, strict=True):
        close(raw, explainer.look(image()).cam(target), 1e-5)


class Pooled(nn.Module):
    """A model as classifiers are explained: the number to explain, of a class, per image."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Tensor) -> Tensor:
        return scores_of(self.model, x).mean((2, 3))


@pytest.mark.parametrize(("key", "layer"), LAYERS)
def test_grad_cam_and_hirescam_equal_captums(key: str, layer: str) -> None:
    pooled, x = Pooled(model_of(key)), image()
    module = pooled.model.get_submodule(MODELS[key].cam_layers[layer])
    look = explainer_of(key, layer).look(x)
    for c in (0, 3):
        target = class_mean(c, EVERYWHERE)
        theirs = LayerGradCam(pooled, module).attribute(x, target=c)
        close(look.cam(target), theirs[0, 0].detach().numpy(), 1e-4)
        theirs = LayerGradientXActivation(pooled, module).attribute(x, target=c)
        close(look.cam(target, "hirescam"), theirs[0].sum(0).detach().numpy(), 1e-4)


def plain_plus_plus(gradient: Any, features: Any) -> Any:
    """Grad-CAM++ as its paper prints it (equations 10 to 19, score under an exponential), pixel by pixel."""
    d, h, w = features.shape
    out = np.zeros((h, w))
    for k in range(d):
        weight = 0.0
        for i in range(h):
            for j in range(w):
                g = gradient[k, i, j]
                if g:
                    weight += g**2 / (2 * g**2 + features[k].sum() * g**3) * max(g, 0)
        out += weight * features[k]
    return out


@pytest.mark.parametrize("key", ["deeplabv3plus", "mask2former"])
def test_grad_cam_plus_plus_equals_the_papers_formula(key: str) -> None:
    layer = "encoder, last stage" if key == "deeplabv3plus" else "encoder, stride 32"
    look = explainer_of(key, layer).look(image())
    target = class_sum(1, EVERYWHERE)
    gradient = torch.autograd.grad(target(look.scores), look.activation, retain_graph=True)[0][0].double().numpy()
    expected = plain_plus_plus(gradient, look.activation.detach()[0].double().numpy())
    close(look.cam(target, "gradcam++"), expected, 1e-4)


def test_a_map_by_hand() -> None:
    scores_of_layer = torch.tensor([[[[1.0, 2.0]], [[3.0, -1.0]]]], requires_grad=True)  # two features of one row
    weights = torch.tensor([[2.0, -1.0], [0.0, 5.0]])  # of two classes
    scores = torch.einsum("cd,dhw->chw", weights, scores_of_layer[0])
    look = Look(scores, scores_of_layer)
    left, both = np.array([[True, False]]), np.array([[True, True]])
    assert look.labels.tolist() == [[1, 0]]
    assert look.cam(class_sum(0, left)).tolist() == [[1 * 1 - 0.5 * 3, 1 * 2 + 0.5 * 1]], (
        "gradients averaged over the row"
    )
    assert look.cam(class_sum(0, left), "hirescam").tolist() == [[2 - 3, 0]], "each place by its own gradient"
    assert look.cam(class_mean(0, both), "hirescam").tolist() == [[(2 - 3) / 2, (4 + 1) / 2]]
    assert look.cams([class_sum(0, both), class_sum(1, both)]).shape == (2, 1, 2)


def state(model: nn.Module) -> list[object]:
    """Return what a careless explainer would leave behind."""
    found: list[object] = []
    for name, module in model.named_modules():
        hooks = [len(h) for k, h in vars(module).items() if k.endswith("hooks") and isinstance(h, dict)]
        found += [(name, module.training, *hooks, tuple(vars(module)))]
    for name, tensor in [*model.named_parameters(), *model.named_buffers()]:
        found += [(name, id(tensor), tensor.requires_grad, tensor.grad is None, tensor._version)]
    return found


@pytest.fixture(params=["deeplabv3plus", "mask2former"])
def own_model(request: pytest.FixtureRequest) -> nn.Module:
    """Return a model in training, with some parameters frozen."""
    torch.manual_seed(0)
    model = build(request.param, 5).train()
    for number, parameter in enumerate(model.parameters()):
        parameter.requires_grad_(number % 3 > 0)
    return model


def default_layer(model: nn.Module) -> str:
    key = "mask2former" if isinstance(model, QueryModel) else "deeplabv3plus"
    return next(iter(MODELS[key].cam_layers.values()))


def test_the_model_is_left_as_it_was(own_model: nn.Module) -> None:
    before = state(own_model)
    explainer = Explainer(own_model, default_layer(own_model))
    look = explainer.look(image())
    raw = look.cams([class_mean(c, EVERYWHERE) for c in (0, 1)])
    deletion(explainer, image(), raw[0], class_mean(0, EVERYWHERE), shares=(0.1,), draws=1)
    assert state(own_model) == before
    assert torch.is_grad_enabled()


def test_the_model_is_left_as_it_was_after_an_exception(own_model: nn.Module) -> None:
    before = state(own_model)
    explainer = Explainer(own_model, default_layer(own_model))

    def fails(scores: Tensor) -> Tensor:
        raise RuntimeError("no")

    look = explainer.look(image())
    for call in (lambda: look.cam(fails), lambda: deletion(explainer, image(), look.cam(lambda s: s.sum()), fails)):
        with pytest.raises(RuntimeError, match="no"):
            call()
    broken = Explainer(own_model, default_layer(own_model))
    broken._net.get_submodule(broken.layer).register_forward_hook(lambda *_: fails(image()))
    with pytest.raises(RuntimeError, match="no"):
        broken.look(image())
    with pytest.raises(ValueError, match=r"expected a layer of the model, got 'net\.nothing'"):
        Explainer(own_model, "net.nothing")
    assert state(own_model) == before
    assert torch.is_grad_enabled()


def test_eight_threads_at_once_get_the_answers_of_one_and_disturb_nobody(own_model: nn.Module) -> None:
    own_model.eval()
    before = state(own_model)
    explainer = Explainer(own_model, default_layer(own_model))

    def ask(seed: int) -> Any:
        return explainer.look(image(seed)).cams([class_mean(c, EVERYWHERE) for c in range(3)])

    with torch.no_grad():
        plain = own_model(image(99))[0]
    alone = [ask(seed) for seed in range(8)]
    start = threading.Barrier(9)

    def at_once(work: Callable[[], Any]) -> Any:
        start.wait()
        return work()

    def segment() -> Tensor:
        with torch.no_grad():
            return cast(Tensor, own_model(image(99))[0])

    with ThreadPoolExecutor(9) as pool:
        beside = pool.submit(at_once, segment)
        together = list(pool.map(lambda seed: at_once(lambda: ask(seed)), range(8)))
        assert torch.equal(beside.result(), plain), "segmenting on the shared model goes on beside it"
    for one, other in zip(together, alone, strict=True):
        close(one, other, 1e-5)
    assert state(own_model) == before


def test_new_weights_of_the_model_are_seen_without_a_new_explainer() -> None:
    torch.manual_seed(0)
    model = build("fpn_convnextv2", 5).eval()
    explainer = Explainer(model, "net.decoder.merge")
    before = explainer.look(image()).scores.detach()
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if n == "net.segmentation_head.0.bias").add_(1)
    assert torch.allclose(explainer.look(image()).scores.detach(), before + 1, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda e: e.look(torch.zeros(2, 3, 64, 64)), r"expected an image \(1, 3, H, W\), got \(2, 3, 64, 64\)"),
        (lambda e: e.look(image()).cam(lambda s: s.sum(), "gradcam+"), "expected a method out of gradcam, gradcam"),
        (lambda e: e.look(image()).cam(lambda s: torch.zeros(())), "expected a target that depends on the scores"),
        (lambda e: class_mean(0, ~EVERYWHERE), "expected a region of at least one pixel"),
        (lambda e: deletion(e, image(), np.zeros((2, 3), np.float32), lambda s: s.sum(), (0.7,)), r"in \(0, 0.5\]"),
        (lambda e: Explainer(model_of("deeplabv3plus"), "net.encoder").look(image()), "choose another layer"),
        (lambda e: Explainer(model_of("upernet_convnextv2"), "aux_head").look(image()), "it ran 0 times"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(call: Callable[[Explainer], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(explainer_of("deeplabv3plus", "ASPP"))


def test_a_map_is_brought_to_the_pixels_that_its_cells_saw() -> None:
    raw = np.zeros((2, 3), np.float32)
    raw[1, 2] = 1
    large = enlarge(raw, 40, 70)  # padded to 64 by 96: a cell is 32 px wide, the last one ends beyond the image
    assert large.shape == (40, 70)
    assert np.unravel_index(large.argmax(), large.shape) == (39, 69)
    assert large[:16, :].max() == 0


def test_a_mean_is_the_sum_over_the_number_of_pixels() -> None:
    look = explainer_of("fpn_convnextv2", "decoder").look(image())
    region = np.zeros((HEIGHT, WIDTH), bool)
    region[10:20, 30:34] = True
    close(look.cam(class_sum(3, region)), 40 * look.cam(class_mean(3, region)), 1e-5)
    assert cam.class_sum(3, region)(look.scores).item() == pytest.approx(
        look.scores[3, 10:20, 30:34].sum().item(), rel=1e-4
    )


def test_blanking_takes_cells_of_the_image_and_none_of_its_padding() -> None:
    explainer = explainer_of("fpn_convnextv2", "encoder, stride 32")
    small = image()[..., :33, :40]  # padded to 64 by 64: the second row and column of cells are mostly padding
    raw = np.array([[0.1, 0.2], [9.0, 9.0]], np.float32)
    with pytest.raises(ValueError, match="expected a map of two cells or more, got 1"):
        deletion(explainer, small, raw, lambda scores: scores.sum())
    wide = image()[..., :33, :]  # 64 by 96: three cells lie inside
    evidence, _ = deletion(explainer, wide, np.array([[1, 2, 3], [9, 9, 9]], np.float32), lambda s: s.mean(), (0.4,))
    blanked = wide.clone()
    blanked[..., :32, 64:] = 0
    with torch.no_grad():
        assert evidence[1] == pytest.approx(float(explainer.scores(blanked).mean()), abs=1e-5)
