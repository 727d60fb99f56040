"""The drawn scenes: deterministic, exactly labelled, varied, and described as they are."""

from functools import lru_cache
from typing import get_args

import numpy as np
import pytest

from seglab.data.scenes import Scene, SceneOptions, Scenes, TimeOfDay, Weather, make_scene
from seglab.labels import SPACES, VOID

NAMES = SPACES["camvid-11"].names
SEEDS = range(20)


@lru_cache(maxsize=64)
def scene(seed: int) -> Scene:
    return make_scene(seed, 180, 240)


def test_the_same_seed_gives_identical_bytes() -> None:
    again = make_scene(3, 180, 240)
    assert again.image.tobytes() == scene(3).image.tobytes()
    assert again.mask.tobytes() == scene(3).mask.tobytes()
    assert again.description == scene(3).description


def test_different_seeds_give_different_scenes() -> None:
    assert len({scene(seed).image.tobytes() for seed in SEEDS}) == len(SEEDS)
    assert len({scene(seed).mask.tobytes() for seed in SEEDS}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_masks_hold_only_the_eleven_ids_and_void(seed: int) -> None:
    assert scene(seed).mask.dtype == np.uint8
    assert set(np.unique(scene(seed).mask).tolist()) <= {*range(len(NAMES)), VOID}


def test_every_class_occurs_in_at_least_half_of_the_first_scenes() -> None:
    seen = np.array([[(scene(seed).mask == c).any() for c in range(len(NAMES))] for seed in SEEDS])
    assert dict(zip(NAMES, seen.mean(0) >= 0.5, strict=True)) == dict.fromkeys(NAMES, True)


@pytest.mark.parametrize(("height", "width"), [(97, 131), (360, 480), (64, 200), (201, 64), (32, 32)])
def test_image_and_mask_have_the_asked_size(height: int, width: int) -> None:
    made = make_scene(5, height, width)
    assert made.image.shape == (height, width, 3)
    assert made.mask.shape == (height, width)
    assert made.image.dtype == np.uint8


@pytest.mark.parametrize("seed", SEEDS)
def test_the_sky_lies_above_the_road_on_average(seed: int) -> None:
    rows = np.arange(180)[:, None] + np.zeros((1, 240))
    mask = scene(seed).mask
    assert rows[mask == NAMES.index("sky")].mean() < rows[mask == NAMES.index("road")].mean()


@pytest.mark.parametrize("time_of_day", get_args(TimeOfDay))
@pytest.mark.parametrize("weather", get_args(Weather))
def test_forced_options_reach_the_description_and_keep_the_layout(time_of_day: TimeOfDay, weather: Weather) -> None:
    made = make_scene(4, 96, 128, SceneOptions(time_of_day, weather))
    words = {"clear": "Clear", "overcast": "Overcast", "rain": "Rainy", "fog": "Foggy"}
    assert made.description.startswith(f"{words[weather]} {time_of_day} ")
    assert np.array_equal(made.mask, make_scene(4, 96, 128).mask)


def test_a_forced_night_is_darker_than_a_forced_day() -> None:
    day, night = (make_scene(2, 96, 128, SceneOptions(time, "clear")).image.mean() for time in ("day", "night"))
    assert night < 0.7 * day


def test_an_unknown_option_is_answered_with_the_valid_ones() -> None:
    with pytest.raises(ValueError, match="clear, overcast, rain, fog"):
        SceneOptions(weather="snow")  # type: ignore[arg-type]


@pytest.mark.parametrize(("seed", "height"), [(-1, 64), (0, 16)])
def test_an_impossible_seed_or_size_is_refused(seed: int, height: int) -> None:
    with pytest.raises(ValueError, match="at least 32x32"):
        make_scene(seed, height, 64)


@pytest.mark.parametrize("seed", SEEDS)
def test_the_description_names_only_classes_that_the_mask_shows(seed: int) -> None:
    words = {
        "car": ("car", "cars", "van", "vans", "bus", "buses"),
        "pedestrian": ("pedestrian", "pedestrians"),
        "bicyclist": ("cyclist", "cyclists"),
        "sign": ("sign", "signs", "light", "lights"),
        "tree": ("tree", "trees"),
        "fence": ("fence",),
        "building": ("houses",),
    }
    said = set(scene(seed).description.strip(".").replace(",", "").split())
    for name, nouns in words.items():
        if said & set(nouns):
            assert (scene(seed).mask == NAMES.index(name)).any(), name


def test_the_data_set_counts_its_scenes_and_starts_at_its_offset() -> None:
    data = Scenes(count=3, seed_offset=7, height=64, width=96)
    items = list(data)
    assert len(data) == len(items) == 3
    assert np.array_equal(items[1][0], make_scene(8, 64, 96).image)
    with pytest.raises(IndexError):
        data[3]
