"""Losses have the values that one works out by hand, the right order and the right gradients."""

import math

import pytest
import torch
from torch import Tensor

from seglab.losses import LOSSES, cross_entropy, dice, distillation, parse_recipe, weighted_sum

VOID = 255


def one_hot_logits(target: Tensor, num_classes: int, strength: float) -> Tensor:
    """Return logits that favour the target by ``strength`` where it is a class."""
    classes = target.clamp_max(num_classes - 1)
    return strength * torch.nn.functional.one_hot(classes, num_classes).permute(0, 3, 1, 2).float()


def target_of(seed: int = 0, num_classes: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    target = torch.randint(0, num_classes, (2, 4, 5), generator=generator)
    target[0, 0, :3] = VOID
    return target


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


@pytest.mark.parametrize("name", LOSSES)
def test_a_better_answer_has_a_smaller_loss(name: str) -> None:
    target = target_of()
    losses = [LOSSES[name](one_hot_logits(target, 3, s), target, None).item() for s in (-4.0, 0.0, 1.0, 4.0)]
    assert losses == sorted(losses, reverse=True)
    assert len(set(losses)) == 4


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_the_gradient_is_that_of_finite_differences_in_float64(name: str, weighted: bool) -> None:
    logits = torch.randn(
        2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0), requires_grad=True
    )
    weights = torch.tensor([0.5, 1.0, 2.0]) if weighted else None
    assert torch.autograd.gradcheck(lambda x: LOSSES[name](x, target_of(), weights), [logits])


def test_the_gradient_of_distillation_is_that_of_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    student = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=generator, requires_grad=True)
    teacher = torch.randn(2, 3, 4, 5, dtype=torch.float64, generator=generator)
    assert torch.autograd.gradcheck(lambda x: distillation(x, teacher, target_of(), 1.5), [student])


@pytest.mark.parametrize("name", LOSSES)
def test_logits_at_ignored_pixels_change_neither_loss_nor_gradient(name: str) -> None:
    target = target_of()
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    other = torch.where((target == VOID)[:, None], logits + 100, logits)
    results = []
    for one in (logits, other):
        one = one.clone().requires_grad_()
        loss = LOSSES[name](one, target, None)
        loss.backward()
        assert one.grad is not None
        assert not one.grad.permute(0, 2, 3, 1)[target == VOID].any()
        results.append((loss.item(), one.grad))
    assert results[0][0] == results[1][0]
    assert torch.equal(results[0][1], results[1][1])


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("weighted", [False, True])
def test_an_all_ignored_target_gives_zero_and_zero_gradients(name: str, weighted: bool) -> None:
    logits = torch.randn(1, 3, 4, 4, requires_grad=True)
    weights = torch.tensor([0.5, 1.0, 2.0]) if weighted else None
    loss = LOSSES[name](logits, torch.full((1, 4, 4), VOID), weights)
    loss.backward()
    assert loss.item() == 0
    assert logits.grad is not None
    assert not logits.grad.any()


@pytest.mark.parametrize("name", LOSSES)
def test_bf16_logits_are_computed_in_float32(name: str) -> None:
    target = target_of()
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)).bfloat16()
    loss = LOSSES[name](logits, target, None)
    assert loss.dtype == torch.float32
    assert loss.item() == LOSSES[name](logits.float(), target, None).item()


@pytest.mark.parametrize(
    ("text", "weights"),
    [
        ("ce", {"ce": 1.0}),
        ("ce + 1.0*dice", {"ce": 1.0, "dice": 1.0}),
        ("0.25 * dice+ce", {"dice": 0.25, "ce": 1.0}),
        (" 0*ce + 2*dice ", {"ce": 0.0, "dice": 2.0}),
    ],
)
def test_a_recipe_reads_as_a_weighted_sum(text: str, weights: dict[str, float]) -> None:
    assert parse_recipe(text) == weights


@pytest.mark.parametrize("text", ["", "ce +", "ce + focus", "ce + ce", "ce - dice", "-1*ce", "ce dice", "1e3*ce", "2*"])
def test_a_recipe_that_cannot_be_read_is_refused_with_the_valid_losses(text: str) -> None:
    with pytest.raises(ValueError, match="expected a sum of ce, dice"):
        parse_recipe(text)


def test_a_weighted_sum_adds_its_losses() -> None:
    target = target_of()
    logits = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0))
    weights = torch.tensor([0.5, 1.0, 2.0])
    expected = 0.5 * cross_entropy(logits, target, weights) + 2 * dice(logits, target)
    assert weighted_sum({"ce": 0.5, "dice": 2.0}, logits, target, weights).item() == pytest.approx(expected.item())
