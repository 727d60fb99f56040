"""A recipe shows only what differs, and whatever is not in it is refused by name."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from seglab.labels import SPACES
from seglab.losses import parse_recipe
from seglab.models import MODELS
from seglab.runs import check_name
from trainers.recipe import RECIPES, Recipe, load_recipe

COMMITTED = sorted(RECIPES.glob("*.yaml"))
LEAST = {"experiment": "exp", "variant": "one", "title": "One"}


def write(folder: Path, name: str = "one.yaml", **values: Any) -> Path:
    path = folder / name
    path.write_text(yaml.safe_dump(LEAST | values))
    return path


@pytest.mark.parametrize("path", COMMITTED, ids=lambda p: p.name)
def test_every_committed_recipe_loads_and_names_what_exists(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.model.size in MODELS[recipe.model.key].sizes
    assert recipe.data.label_space in SPACES
    assert parse_recipe(recipe.loss)
    check_name(recipe.experiment, "experiment")
    check_name(recipe.variant, "variant")


def test_the_committed_recipes_write_to_folders_of_their_own() -> None:
    recipes = [load_recipe(path) for path in COMMITTED]
    assert len({(r.experiment, r.variant, r.seed) for r in recipes}) == len(COMMITTED) > 0


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
