"""A student is drawn to its teacher, and an encoder is copied whole or not at all."""

import pytest
import torch

from seglab.models import DenseModel, build
from trainers.training.distil import Distiller, load_encoder
from trainers.training.recipe import Distil

SMALL = {"decoder_channels": 16, "decoder_atrous_rates": (1, 2, 3)}


@pytest.fixture(scope="module")
def teacher() -> DenseModel:
    torch.manual_seed(0)
    model = build("deeplabv3plus", 11, **SMALL)
    assert isinstance(model, DenseModel)
    return model


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    image = torch.randn(2, 3, 32, 64, generator=torch.Generator().manual_seed(0))
    return image, torch.full((2, 32, 64), 255)


def test_a_student_that_answers_as_its_teacher_has_no_loss_on_logits(teacher: DenseModel) -> None:
    distiller = Distiller(teacher, teacher, Distil("x", logits=1.0, features=0.0))
    image, target = batch()
    with torch.no_grad():
        same = distiller(image, target, teacher.forward_all(image).logits, []).item()
        other = distiller(image, target, torch.zeros(2, 11, 32, 64), []).item()
    assert same == pytest.approx(0, abs=1e-6)
    assert other > same


def test_the_teacher_is_frozen_in_eval_mode_and_not_among_what_is_saved(teacher: DenseModel) -> None:
    student = build("fpn_resnet", 11, size="resnet18")
    distiller = Distiller(teacher, student, Distil("x", features=1.0)).train()
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())
    assert len(distiller.projections) == 2
    assert all(name.startswith("projections.") for name in distiller.state_dict())


def test_features_of_other_widths_and_strides_are_compared_and_teach_the_student(teacher: DenseModel) -> None:
    student = build("fpn_resnet", 11, size="resnet18")
    assert isinstance(student, DenseModel)
    image, target = batch()
    distiller = Distiller(teacher, student, Distil("x", logits=0.0, features=1.0))
    logits, _, features = student.forward_all(image)
    loss = distiller(image, target, logits, features)
    loss.backward()
    assert 0 < loss.item() < 4
    assert any(p.grad is not None and p.grad.any() for p in student.net.encoder.parameters())


def test_an_encoder_is_copied_whole_into_another_architecture() -> None:
    torch.manual_seed(1)
    source, other = build("deeplabv3plus", 11, **SMALL), build("mask2former", 11)
    copied = load_encoder(other, source.half().state_dict())
    have, want = other.state_dict(), source.state_dict()
    names = [name for name in want if name.startswith("net.encoder.model.")]
    assert copied == len(names)
    for name in names:
        like = next(k for k in have if k.endswith(".encoder._backbone." + name.removeprefix("net.encoder.model.")))
        assert torch.equal(have[like], want[name].to(have[like].dtype))
    assert {v.dtype for v in have.values()} <= {torch.float32, torch.int64}


def test_an_encoder_of_another_kind_is_refused() -> None:
    with torch.device("meta"):
        student, source = build("fpn_convnextv2", 11), build("fpn_resnet", 11, size="resnet18")
    with pytest.raises(ValueError, match="the run's encoder does not fit"):
        load_encoder(student, source.state_dict())
