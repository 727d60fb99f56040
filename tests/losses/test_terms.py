"""Losses have the values that one works out by hand, the right order and the right gradients."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode

from seglab.losses.distance import signed_distance_maps
from seglab.losses.terms import (
    LOSSES,
    Term,
    boundary,
    cross_entropy,
    dice,
    distillation,
    focal,
    needs_maps,
    parse_recipe,
    weighted_dice,
    weighted_sum,
)

VOID = 255
WEIGHTS = torch.tensor([0.5, 1.0, 2.0])
RECIPES = ("ce", "dice", "weighted_dice", "focal(2)", "focal(0.5)", "boundary", "ce + 1.0*dice + 0.2*boundary")


def one_hot_logits(target: Tensor, num_classes: int, strength: float) -> Tensor:
    """Return logits that favour the target by ``strength`` where it is a class."""
    classes = target.clamp_max(num_classes - 1)
    return strength * torch.nn.functional.one_hot(classes, num_classes).permute(0, 3, 1, 2).float()


def target_of(seed: int = 0, num_classes: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, num_classes, (2, 4, 5), generator=generator)
    target[0, 0, :3] = VOID
    return target


def maps_of(target: Tensor, num_classes: int = 3) -> Tensor:
    """Return the ``(N, C, H, W)`` distance maps of a batch."""
    masks = target.numpy().astype(np.uint8)
    return torch.from_numpy(np.stack([signed_distance_maps(mask, num_classes) for mask in masks]))


def loss_of(recipe: str, logits: Tensor, target: Tensor, weights: Tensor | None = WEIGHTS) -> Tensor:
    """Return a recipe's loss on logits of three classes, with maps where it asks for them."""
    terms = parse_recipe(recipe)
    return weighted_sum(terms, logits, target, weights, maps_of(target) if needs_maps(terms) else None)


def random_logits(seed: int = 0, **more: Any) -> Tensor:
    return torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(seed), **more)


def test_every_loss_is_among_the_recipes_that_these_tests_try() -> None:
    assert {term.name for recipe in RECIPES for term in parse_recipe(recipe)} == set(LOSSES)


def test_cross_entropy_of_two_pixels_by_hand() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]]).T.reshape(1, 2, 1, 2)  # pixel 0: (2, 0), pixel 1: (0, 0)
    target = torch.tensor([[[0, 1]]])
    expected = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    assert cross_entropy(logits, target).item() == pytest.approx(expected, rel=1e-6)


def test_class_weights_are_those_of_a_weighted_mean() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]]).T.reshape(1, 2, 1, 2)
    target = torch.tensor([[[0, 1]]])
    expected = (1 * math.log(1 + math.exp(-2)) + 3 * math.log(2)) / 4
    assert cross_entropy(logits, target, torch.tensor([1.0, 3.0])).item() == pytest.approx(expected, rel=1e-6)


def test_dice_of_two_uniform_pixels_by_hand() -> None:
    logits = torch.zeros(1, 2, 1, 2)
    target = torch.zeros(1, 1, 2, dtype=torch.long)
    # class 0: p = 1/2 + 1/2, y = 2: (2 * 1 + 1) / (1 + 2 + 1); class 1: (0 + 1) / (1 + 0 + 1)
    assert dice(logits, target).item() == pytest.approx(1 - (3 / 4 + 1 / 2) / 2, rel=1e-6)


def test_weighted_dice_of_two_uniform_pixels_by_hand() -> None:
    logits, target = torch.zeros(1, 2, 1, 2), torch.zeros(1, 1, 2, dtype=torch.long)
    loss = weighted_dice(logits, target, torch.tensor([1.0, 3.0]))
    assert loss.item() == pytest.approx(1 - (1 * 3 / 4 + 3 * 1 / 2) / 4, rel=1e-6)
    assert weighted_dice(logits, target, torch.tensor([7.0, 7.0])).item() == pytest.approx(dice(logits, target).item())


@pytest.mark.parametrize("gamma", [0.5, 2.0])
def test_focal_of_two_pixels_by_hand(gamma: float) -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 0.0]]).T.reshape(1, 2, 1, 2)
    p = 1 / (1 + math.exp(-2))
    first, second = (1 - p) ** gamma * -math.log(p), 0.5**gamma * math.log(2)
    target = torch.tensor([[[0, 1]]])
    assert focal(logits, target, gamma).item() == pytest.approx((first + second) / 2, rel=1e-6)
    weighted = focal(logits, target, gamma, torch.tensor([1.0, 3.0]))
    assert weighted.item() == pytest.approx((first + 3 * second) / 4, rel=1e-6)


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_focal_with_gamma_zero_is_the_cross_entropy(weights: Tensor | None) -> None:
    target = target_of()
    expected = cross_entropy(random_logits(), target, weights)
    assert focal(random_logits(), target, 0.0, weights).item() == expected.item()
    assert loss_of("focal(0)", random_logits(), target, weights).item() == expected.item()


def test_boundary_of_a_row_of_four_pixels_by_hand() -> None:
    logits = torch.tensor([math.log(3), 0.0]).reshape(1, 2, 1, 1).expand(1, 2, 1, 4)  # p is 3/4 and 1/4 everywhere
    target = torch.tensor([[[0, 0, 1, VOID]]])
    maps = maps_of(target, 2)
    assert maps[0].tolist() == [[[-2, -1, 1, 2]], [[2, 1, -1, 1]]]
    total = 3 / 4 * (-2 - 1 + 1) + 1 / 4 * (2 + 1 - 1)  # the ignored pixel is left out, in the sum and in |valid|
    assert boundary(logits, target, maps).item() == pytest.approx(total / 127 / (2 * 3), rel=1e-6)


def test_boundary_equals_a_plain_sum_and_is_least_where_the_target_is() -> None:
    target = target_of(3)
    logits, maps = random_logits(), maps_of(target)
    expected, valid = 0.0, 0
    for n, row, column in np.ndindex(*target.shape):
        if target[n, row, column] != VOID:
            valid += 1
            p = logits[n, :, row, column].double().softmax(0).tolist()
            expected += sum(maps[n, c, row, column].item() / 127 * p[c] for c in range(3))
    assert boundary(logits, target, maps).item() == pytest.approx(expected / (3 * valid), rel=1e-5)
    best = boundary(one_hot_logits(target, 3, 50.0), target, maps).item()
    others = [boundary(one_hot_logits(target_of(seed), 3, 50.0), target, maps).item() for seed in range(4, 9)]
    assert best < min(others)
    assert best < 0


def test_boundary_without_fitting_maps_says_what_it_wants() -> None:
    target, logits = target_of(), random_logits()
    maps = maps_of(target)
    for wrong in (None, maps.float(), maps[:1], maps[..., :3]):
        with pytest.raises(ValueError, match=r"expected int8 distance maps of shape \(2, 3, 4, 5\), got"):
            weighted_sum(parse_recipe("boundary"), logits, target, maps=wrong)


def test_weighted_dice_without_weights_says_how_to_get_them() -> None:
    with pytest.raises(ValueError, match="set class_weights: sqrt_inverse in the recipe"):
        loss_of("weighted_dice", random_logits(), target_of(), None)


class NewFloats(TorchDispatchMode):
    """Lists the float tensors that operations make, by their storages; views are none."""

    def __init__(self, elements: int) -> None:
        super().__init__()
        self.elements, self.seen, self.made = elements, dict[int, Tensor](), list[str]()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        for arg in args:
            if isinstance(arg, Tensor):
                self.seen[arg.untyped_storage().data_ptr()] = arg  # kept, so that no address comes back
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(one, Tensor) and one.untyped_storage().data_ptr() not in self.seen:
                self.seen[one.untyped_storage().data_ptr()] = one
                if one.is_floating_point() and one.numel() >= self.elements:
                    self.made.append(str(func))
        return out


def test_the_boundary_term_makes_no_float_copy_of_its_maps_and_saves_them_as_int8() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.randint(0, 3, (2, 16, 24), generator=generator)
    logits = torch.randn(2, 3, 16, 24, generator=generator, requires_grad=True)
    maps, plane = maps_of(target), 16 * 24
    made: dict[str, list[str]] = {}
    saved: dict[str, list[Any]] = {}
    for recipe in ("ce + dice", "ce + dice + boundary"):
        kept: list[Any] = []
        floats = NewFloats(plane + 1)
        with floats, saved_tensors_hooks(lambda t, kept=kept: (kept.append((t.dtype, t.numel())), t)[1], lambda t: t):  # type: ignore[misc]
            weighted_sum(parse_recipe(recipe), logits, target, maps=maps)
        made[recipe] = floats.made
        saved[recipe] = [one for one in kept if one[1] > plane]
    assert made["ce + dice"]
    assert made["ce + dice + boundary"] == made["ce + dice"]
    extra = list(saved["ce + dice + boundary"])
    for one in saved["ce + dice"]:
        extra.remove(one)
    assert extra == [(torch.int8, maps.numel())]


def test_dice_of_a_perfect_answer_is_zero() -> None:
    target = target_of()
    assert dice(one_hot_logits(target, 3, 50.0), target).item() == pytest.approx(0, abs=1e-6)


def test_distillation_by_hand_and_without_the_teachers_mistakes() -> None:
    teacher = torch.tensor([[2.0, 0.0], [2.0, 0.0], [2.0, 0.0]]).T.reshape(1, 2, 1, 3)
    student = torch.zeros(1, 2, 1, 3)
    p = 1 / (1 + math.exp(-2))
    kl = p * math.log(2 * p) + (1 - p) * math.log(2 * (1 - p))
    right, wrong, unlabelled = 0, 1, VOID
    for target in ([right, right, right], [right, wrong, unlabelled], [wrong, wrong, unlabelled]):
        loss = distillation(student, teacher, torch.tensor([[target]]))
        assert loss.item() == pytest.approx(kl, rel=1e-5)
    assert distillation(student, teacher, torch.tensor([[[wrong, wrong, wrong]]])).item() == 0


def test_distillation_of_ones_own_answer_is_zero_and_grows_with_the_temperatures_square() -> None:
    logits, target = torch.randn(1, 3, 2, 2, generator=torch.Generator().manual_seed(1)), torch.full((1, 2, 2), VOID)
    assert distillation(logits, logits, target).item() == pytest.approx(0, abs=1e-6)
    soft = distillation(logits, 2 * logits, target, temperature=2.0)
    assert soft.item() == pytest.approx(4 * distillation(logits / 2, logits, target).item(), rel=1e-5)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_better_answer_has_a_smaller_loss(recipe: str) -> None:
    target = target_of()
    losses = [loss_of(recipe, one_hot_logits(target, 3, s), target).item() for s in (-4.0, 0.0, 1.0, 4.0)]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 4


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_that_of_finite_differences_in_float64(recipe: str, weighted: bool) -> None:
    logits = random_logits(dtype=torch.float64, requires_grad=True)
    weights = WEIGHTS if weighted or recipe == "weighted_dice" else None
    assert torch.autograd.gradcheck(lambda x: loss_of(recipe, x, target_of(), weights), [logits])


def test_the_gradient_of_distillation_is_that_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    teacher = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(lambda x: distillation(x, teacher, target_of(), 1.5), [student])


@pytest.mark.parametrize("recipe", RECIPES)
def test_logits_at_ignored_pixels_change_neither_loss_nor_gradient(recipe: str) -> None:
    target = target_of()
    other = torch.where((target == VOID)[:, None], 100 * random_logits(1), random_logits())
    results = []
    for one in (random_logits(), other):
        one.requires_grad_()
        loss = loss_of(recipe, one, target)
        loss.backward()
        assert one.grad is not None
        assert not one.grad.permute(0, 2, 3, 1)[target == VOID].any()
        results.append((loss.item(), one.grad))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("weighted", [False, True])
def test_an_all_ignored_target_gives_zero_and_zero_gradients(recipe: str, weighted: bool) -> None:
    logits = random_logits(requires_grad=True)
    weights = WEIGHTS if weighted or recipe == "weighted_dice" else None
    loss = loss_of(recipe, logits, torch.full((2, 4, 5), VOID), weights)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("strength", [-1e4, -80.0, 80.0, 1e4])
def test_saturated_logits_give_a_finite_loss_and_gradient(recipe: str, strength: float) -> None:
    target = target_of()
    logits = one_hot_logits(target, 3, strength).requires_grad_()
    loss = loss_of(recipe, logits, target)
    loss.backward()
    assert loss.isfinite()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


@pytest.mark.parametrize("recipe", RECIPES)
def test_bf16_logits_are_computed_in_float32(recipe: str) -> None:
    target = target_of()
    logits = random_logits().bfloat16()
    loss = loss_of(recipe, logits, target)
    assert loss.dtype == torch.float32
    assert loss.item() == loss_of(recipe, logits.float(), target).item()


@pytest.mark.parametrize("recipe", RECIPES)
def test_autocast_changes_neither_loss_nor_gradient(recipe: str) -> None:
    target = target_of()
    results = []
    for autocast in (False, True):
        logits = random_logits(requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            loss = loss_of(recipe, logits, target)
        loss.backward()
        results.append((loss.item(), logits.grad))
    assert results[0][0] == results[1][0]
    assert torch.equal(*(gradient for _, gradient in results))


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("ce", [Term(1.0, "ce")]),
        ("ce + 1.0*dice", [Term(1.0, "ce"), Term(1.0, "dice")]),
        ("0.25 * dice+ce", [Term(0.25, "dice"), Term(1.0, "ce")]),
        (" 0*ce + 2*dice ", [Term(0.0, "ce"), Term(2.0, "dice")]),
        ("focal(0.5)", [Term(1.0, "focal", 0.5)]),
        ("0.5 * focal( 2 ) + weighted_dice", [Term(0.5, "focal", 2.0), Term(1.0, "weighted_dice")]),
        ("ce + 0.2*boundary", [Term(1.0, "ce"), Term(0.2, "boundary")]),
    ],
)
def test_a_recipe_reads_as_a_weighted_sum(text: str, terms: list[Term]) -> None:
    assert parse_recipe(text) == tuple(terms)
    assert needs_maps(parse_recipe(text)) == ("boundary" in text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ce +",
        "ce + focus",
        "ce + ce",
        "ce - dice",
        "-1*ce",
        "ce dice",
        "1e3*ce",
        "2*",
        "focal",
        "focal()",
        "focal(-1)",
        "focal(x)",
        "focal(0.5",
        "ce(2)",
        "boundary(1)",
        "focal(1) + focal(2)",
        "Boundary",
    ],
)
def test_a_recipe_that_cannot_be_read_is_refused_with_the_valid_losses(text: str) -> None:
    with pytest.raises(ValueError, match="expected a sum of ce, dice"):
        parse_recipe(text)


def test_a_weighted_sum_adds_its_losses() -> None:
    target = target_of()
    logits, maps = random_logits(), maps_of(target)
    parts = [0.5 * cross_entropy(logits, target, WEIGHTS), 2 * dice(logits, target), 3 * boundary(logits, target, maps)]
    parts += [weighted_dice(logits, target, WEIGHTS), 0.1 * focal(logits, target, 3.0, WEIGHTS)]
    loss = loss_of("0.5*ce + 2*dice + 3*boundary + weighted_dice + 0.1*focal(3)", logits, target)
    assert loss.item() == pytest.approx(torch.stack(parts).sum().item(), rel=1e-6)


def test_dice_of_millions_of_pixels_is_that_of_one() -> None:
    logits = torch.tensor([3.0, 0.0]).reshape(1, 2, 1, 1)
    p = float(logits.softmax(1)[0, 0, 0, 0])
    pixels = 2**22  # float32 sums into one cell would stall here
    expected = 1 - ((2 * p * pixels + 1) / (p * pixels + pixels + 1) + 1 / ((1 - p) * pixels + 1)) / 2
    size = (1, 2, 2048, 2048)
    assert dice(logits.expand(size), torch.zeros(1, 2048, 2048, dtype=torch.long)).item() == pytest.approx(
        expected, abs=1e-4
    )
