"""What a trained model's maps must pass before anybody believes them: they hang on the weights, on the object, on the score."""

from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from torch import nn

from seglab.data.scenes import make_scene
from seglab.explain.gradcam import Explainer, as_image, class_mean, deletion
from seglab.explain.pointing import energy_inside, overlap
from seglab.labels import space
from seglab.models import spec
from seglab.predict.networks import load_run
from seglab.predict.shelf import BUNDLED, bundled_runs

CAR = space("camvid-11").names.index("car")
SIZE = (240, 320)
LEFT, RIGHT = 40, 200


@cache
def explainer_of(key: str) -> Explainer:
    return Explainer(load_run(bundled_runs()[key].folder), next(iter(spec(key).cam_layers.values())))


def randomise(model: nn.Module) -> nn.Module:
    """Draw all weights anew, each tensor around its own mean and as spread as before."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() > 1:
                noise = torch.randn(parameter.shape, generator=generator)
                parameter.copy_(parameter.mean() + parameter.std() * noise)
    return model


def largest(mask: Any) -> Any:
    _, ids, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    return ids == (1 + stats[1:, cv2.CC_STAT_AREA].argmax()) if len(stats) > 1 else mask


@cache
def street_with_car(x: int) -> tuple[Any, Any]:
    """Return a scene with a car at a column, cut out of another scene: pixels, and the car's mask."""
    scenes = [make_scene(seed, *SIZE) for seed in range(20_000, 20_012)]
    areas = np.array([largest(scene.mask == CAR).mean() for scene in scenes])
    empty, full = scenes[int(areas.argmin())].image, scenes[int(np.abs(areas - 0.06).argmin())]
    car = largest(full.mask == CAR)
    rows, columns = np.nonzero(car)
    cut = np.s_[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    height, width = car[cut].shape
    place = np.s_[130 : 130 + height, x : x + width]
    pixels, where = empty.copy(), np.zeros(SIZE, bool)
    where[place] = car[cut]
    pixels[place][car[cut]] = full.image[cut][car[cut]]
    return pixels, where


@pytest.mark.parametrize("key", BUNDLED)
def test_random_weights_destroy_the_map(key: str) -> None:
    pixels, where = street_with_car(LEFT)
    trained = explainer_of(key)
    random = Explainer(randomise(load_run(bundled_runs()[key].folder)), trained.layer)
    maps = []
    for explainer in (trained, random):
        look = explainer.look(as_image(pixels))
        maps.append(look.enlarge(look.cam(class_mean(CAR, where))))
    assert energy_inside(maps[0], where) > 2 * where.mean()
    assert not overlap(*maps) > 0.5
    inside = energy_inside(maps[1], where)
    assert np.isnan(inside) or inside < energy_inside(maps[0], where)


@pytest.mark.parametrize("key", BUNDLED)
def test_a_map_moves_with_its_object(key: str) -> None:
    middles = []
    for x in (LEFT, RIGHT):
        pixels, where = street_with_car(x)
        look = explainer_of(key).look(as_image(pixels))
        positive = np.maximum(look.enlarge(look.cam(class_mean(CAR, where))), 0)
        middles.append((positive.sum(0) * np.arange(SIZE[1])).sum() / positive.sum())
    assert middles[1] - middles[0] > (RIGHT - LEFT) / 2


@pytest.mark.parametrize("key", BUNDLED)
def test_blanking_the_evidence_lowers_the_score_more_than_blanking_as_much_elsewhere(key: str) -> None:
    pixels, where = street_with_car(LEFT)
    explainer, image, target = explainer_of(key), as_image(pixels), class_mean(CAR, where)
    raw = explainer.look(image).cam(target)
    evidence, elsewhere = deletion(explainer, image, raw, target, shares=(0.05, 0.1))
    assert evidence[0] == elsewhere[0] > 0
    drops, others = evidence[0] - evidence[1:], elsewhere[0] - elsewhere[1:]
    assert (drops > 1.2 * np.maximum(others, 0)).all()
