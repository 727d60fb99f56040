"""A recipe shows only what differs, and whatever is not in it is refused by name."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from seglab.data.transforms import STAGES
from seglab.labels import SPACES
from seglab.losses.terms import parse_recipe
from seglab.models import MODELS
from seglab.records.files import check_name
from trainers.training.recipe import RECIPES, Recipe, load_grid, load_recipe, read_yaml

COMMITTED = [  # no searches, and no files that others only extend
    path
    for path in sorted(RECIPES.glob("*.yaml"))
    if {"variant", "variants"} & set(read_yaml(path)) and "search" not in read_yaml(path)
]
LEAST = {"experiment": "exp", "variant": "one", "title": "One"}
FOUR_LOSSES = {
    "a-ce": "ce",
    "b-ce-dice": "ce + 1.0*dice",
    "c-ce-dice-boundary": "ce + 1.0*dice + 0.2*boundary",
    "d-ce-boundary": "ce + 0.2*boundary",
}


def write(folder: Path, name: str = "one.yaml", **values: Any) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(LEAST | values))
    return path


def write_grid(folder: Path, **values: Any) -> Path:
    grid = {"experiment": "exp", "variants": {"a": {"title": "A"}, "b": {"title": "B", "lr": 0.5}}, "seeds": [1, 2]}
    path = folder / "grid.yaml"
    path.write_text(yaml.safe_dump(grid | values))
    return path


def runs_of(path: Path) -> list[Recipe]:
    """Return the run of a committed recipe, or every run of a grid."""
    return load_grid(path) if "variants" in read_yaml(path) else [load_recipe(path)]


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: p.name)
def test_every_committed_recipe_loads_and_names_what_exists(path: Path) -> None:
    for recipe in runs_of(path):
        assert recipe.model.size in MODELS[recipe.model.key].sizes
        assert recipe.data.label_space in SPACES
        assert parse_recipe(recipe.loss)
        assert set(recipe.data.augment) <= set(STAGES)
        check_name(recipe.experiment, "experiment")
        check_name(recipe.variant, "variant")


def test_the_committed_recipes_write_to_folders_of_their_own() -> None:
    runs = [recipe for path in COMMITTED for recipe in runs_of(path)]
    assert len({(r.experiment, r.run_name) for r in runs}) == len(runs) > len(COMMITTED)


@pytest.mark.parametrize("name", ["camvid-boundary-ablation", "cityscapes-boundary-ablation"])
def test_the_committed_grids_are_four_losses_by_three_seeds_and_differ_in_nothing_else(name: str) -> None:
    runs = load_grid(RECIPES / f"{name}.yaml")
    assert [r.run_name for r in runs] == [f"{v}-seed{seed}" for seed in (42, 123, 456) for v in FOUR_LOSSES]
    assert {r.variant: r.loss for r in runs} == FOUR_LOSSES
    same = {yaml.safe_dump(r.as_dict() | {"variant": "", "title": "", "seed": 0, "loss": ""}) for r in runs}
    assert len(same) == 1
    assert {r.epochs for r in runs} == {160}


def test_the_cityscapes_grid_says_the_published_protocol() -> None:
    recipe = load_grid(RECIPES / "cityscapes-boundary-ablation.yaml")[0]
    model, data = recipe.model, recipe.data
    assert (model.key, model.size, model.init_encoder) == ("upernet_convnextv2", "base", "hub")
    assert (data.name, data.label_space) == ("cityscapes", "cityscapes-19")
    assert (data.size_px, data.crop_px, data.scenes_frac) == ((0, 0), (0, 0), 0.0)  # whole frames, no crop and no scale
    assert data.augment == ("flip", "photometric", "blur")
    assert (recipe.optimizer, recipe.lr, recipe.weight_decay) == ("adamw", 6e-5, 0.01)
    assert (recipe.betas, recipe.encoder_lr_factor) == ((0.9, 0.999), 1.0)
    assert (recipe.schedule, recipe.poly_power, recipe.warmup_epochs, recipe.clip_norm) == ("poly", 1.0, 0.0, 0.0)
    assert (recipe.batch_size, recipe.accumulate, recipe.precision) == (2, 4, "bf16")
    assert (recipe.aux_weight, recipe.class_weights) == (0.4, "none")
    assert (recipe.epochs, recipe.early_stopping) == (160, 0)
    assert not recipe.distil.teacher


def test_a_grid_is_every_variant_of_the_first_seed_first(tmp_path: Path) -> None:
    runs = load_grid(write_grid(tmp_path, lr=0.1, data={"workers": 0}))
    assert [r.run_name for r in runs] == ["a-seed1", "b-seed1", "a-seed2", "b-seed2"]
    assert [r.lr for r in runs] == [0.1, 0.5, 0.1, 0.5]
    assert runs[3] == load_recipe(write(tmp_path, variant="b", title="B", seed=2, lr=0.5, data={"workers": 0}))


def test_an_override_with_nothing_after_its_sign_is_an_empty_text(tmp_path: Path) -> None:
    path = write(tmp_path, model={"init_encoder": "hub"})
    assert load_recipe(path, ["model.init_encoder="]).model.init_encoder == ""
    with pytest.raises(ValueError, match="expected float for lr, got ''"):
        load_recipe(path, ["lr="])


def test_overrides_reach_every_run_of_a_grid_and_its_variants(tmp_path: Path) -> None:
    words = ["epochs=3", "variants.b.lr=0.25", "seeds=[7]"]
    runs = load_grid(write_grid(tmp_path), words)
    assert [(r.run_name, r.epochs, r.lr) for r in runs] == [("a-seed7", 3, 1e-3), ("b-seed7", 3, 0.25)]


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"seeds": [42, 42]}, r"expected each seed once in grid\.yaml, got \[42, 42\]"),
        ({"seeds": []}, "expected variants .* and seeds .* in grid.yaml, found no grid"),
        ({"seeds": 42}, "found no grid"),
        ({"seeds": None}, "found no grid"),
        ({"variants": {}}, "found no grid"),
        ({"variants": ["a"]}, "found no grid"),
        ({"seeds": ["many"]}, "expected int for seed, got 'many'"),
        ({"variants": {"a": "ce"}}, r"expected a mapping for variants\.a, got 'ce'"),
        ({"variants": {"a": None}}, "the recipe is incomplete: .*'title'"),
        ({"variants": {"a": {"title": "A", "speed": 1}}}, "unknown key speed"),
        ({"seed": 3}, r"grid\.yaml is a grid: write seeds, not seed"),
        ({"variant": "a"}, r"grid\.yaml is a grid: write variants, not variant"),
    ],
)
def test_what_is_no_grid_is_refused(tmp_path: Path, values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_grid(write_grid(tmp_path, **values))


def test_a_grid_is_not_one_run_and_says_which_trainer_takes_it(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"grid\.yaml is a grid of runs; use python -m trainers\.ablate"):
        load_recipe(write_grid(tmp_path))
    with pytest.raises(ValueError, match=r"in one\.yaml, found no grid"):
        load_grid(write(tmp_path))


def test_what_a_recipe_does_not_show_has_its_default(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, lr=0.5))
    assert recipe == Recipe(**LEAST, lr=0.5)
    assert set(recipe.as_dict()) == {field.name for field in fields(Recipe)}


def test_a_recipe_extends_another_and_merges_what_is_inside(tmp_path: Path) -> None:
    write(tmp_path, "base.yaml", lr=0.1, data={"scenes_frac": 0.25, "workers": 0})
    write(tmp_path, "child.yaml", extends="base.yaml", variant="two", data={"workers": 2})
    recipe = load_recipe(tmp_path / "child.yaml")
    assert (recipe.lr, recipe.variant) == (0.1, "two")
    assert (recipe.data.scenes_frac, recipe.data.workers) == (0.25, 2)


def test_overrides_reach_inside_and_win_over_the_file(tmp_path: Path) -> None:
    words = ["epochs=3", "lr=1e-4", "data.crop_px=[64, 96]", "model.options.decoder_channels=32", "data.augment=[flip]"]
    recipe = load_recipe(write(tmp_path, epochs=9), words)
    assert (recipe.epochs, recipe.lr) == (3, 1e-4)
    assert recipe.data.crop_px == (64, 96)
    assert recipe.data.augment == ("flip",)
    assert recipe.model.options == {"decoder_channels": 32}


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"learning_rate": 0.1}, "unknown key learning_rate in the recipe; expected one of accumulate, "),
        ({"data": {"crop": 3}}, r"unknown key data\.crop in the recipe; expected one of augment, "),
        ({"model": {"name": "unet"}}, r"unknown key model\.name in the recipe"),
        ({"epochs": "many"}, "expected int for epochs, got 'many'"),
        ({"epochs": 2.5}, "expected int for epochs, got 2.5"),
        ({"epochs": True}, "expected int for epochs, got True"),
        ({"epochs": None}, "expected int for epochs, got None"),
        ({"lr": "fast"}, "expected float for lr, got 'fast'"),
        ({"keep_weights": 1}, "expected bool for keep_weights, got 1"),
        ({"title": 3}, "expected str for title, got 3"),
        ({"schedule": "step"}, "expected schedule out of poly, cosine, plateau, constant, got 'step'"),
        ({"data": {"crop_px": [64]}}, r"expected a list of 2 for data\.crop_px"),
        ({"data": {"augment": "flip"}}, r"expected a list for data\.augment"),
        ({"data": {"augment": [3]}}, r"expected str for data\.augment"),
        ({"data": 3}, "expected a mapping for data, got 3"),
        ({"model": {"options": [1]}}, r"expected a mapping for model\.options"),
        ({"epochs": 0}, "expected epochs of 1 or more, got 0"),
        ({"batch_size": 0}, "expected batch_size of 1 or more, got 0"),
        ({"eval_every": 0}, "expected eval_every of 1 or more, got 0"),
        ({"accumulate": -1}, "expected accumulate of 1 or more, got -1"),
        ({"save_every": 0}, "expected save_every of 1 or more, got 0"),
        ({"data": {"size_px": [96]}}, r"expected a list of 2 for data\.size_px"),
        ({"seed": -1}, "expected seed of 0 or more, got -1"),
        ({"warmup_epochs": -0.5}, "expected warmup_epochs of 0 or more, got -0.5"),
        ({"lr": 0.0}, "expected a learning rate lr above 0, got 0.0"),
        ({"lr": float("nan")}, "expected a learning rate lr above 0, got nan"),
    ],
)
def test_what_does_not_belong_is_refused_by_name(tmp_path: Path, values: dict[str, Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_recipe(write(tmp_path, **values))


def test_a_recipe_without_its_names_is_incomplete(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text("variant: one\n")
    with pytest.raises(ValueError, match=r"the recipe is incomplete: .*'experiment' and 'title'"):
        load_recipe(tmp_path / "one.yaml")


@pytest.mark.parametrize(
    "text", ["", "- a\n- b\n", "just words", "a: [1", "a: b: c", "\x00", "a: !!python/object:os.system {}"]
)
def test_a_file_that_is_no_mapping_is_refused_by_name(tmp_path: Path, text: str) -> None:
    (tmp_path / "one.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"one\.yaml"):
        load_recipe(tmp_path / "one.yaml")


def test_a_missing_recipe_is_answered_with_the_bundled_ones(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"bundled recipes: .*camvid-deeplabv3plus\.yaml"):
        load_recipe(tmp_path / "none.yaml")
    with pytest.raises(ValueError, match="expected a recipe file, could not read"):
        load_recipe(tmp_path)


@pytest.mark.parametrize("parent", ["one.yaml", "../one.yaml", "/etc/passwd", 3])
def test_extending_oneself_or_a_file_elsewhere_is_refused(tmp_path: Path, parent: Any) -> None:
    with pytest.raises(ValueError, match=r"expected extends in one\.yaml to name a recipe of the same folder"):
        load_recipe(write(tmp_path, extends=parent))


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("epochs", "expected --set key=value, got 'epochs'"),
        ("=3", "expected --set key=value, got '=3'"),
        ("speed=3", "unknown key speed"),
        ("model=unet", "expected a mapping for model, got 'unet'"),
        ("model.key.x=1", r"expected str for model\.key"),
        ("epochs=[1", "expected a YAML value in --set epochs="),
    ],
)
def test_an_override_that_cannot_be_read_is_refused(tmp_path: Path, word: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        load_recipe(write(tmp_path), [word])
