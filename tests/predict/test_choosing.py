"""The criterion for the first screen's scenes: each part refuses what it is there for, and the shipped samples meet all."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from seglab.labels import space
from seglab.predict.choosing import CANDIDATES, Criterion, Labels, choose
from seglab.predict.samples import FIRST_SEED, SAMPLES

NAMES = space("camvid-11").names
ROAD, SIGN, CAR, TREE = (NAMES.index(name) for name in ("road", "sign", "car", "tree"))


def scene() -> NDArray[np.uint8]:
    mask = np.full((100, 100), ROAD, np.uint8)
    mask[:10, :10], mask[:10, 50:70] = SIGN, CAR
    return mask


def answers(spoil: Callable[[dict[str, NDArray[np.uint8]]], None] | None = None) -> Labels:
    """Return two models, one blind to half of the signs and one to half of the cars, and what a test makes of them."""
    labels = {key: scene() for key in ("a", "b")}
    labels["a"][:10, :5], labels["b"][:10, 50:60] = TREE, TREE
    labels["a"][90:, :20] = TREE
    if spoil:
        spoil(labels)
    return labels


def wrong(labels: dict[str, NDArray[np.uint8]]) -> None:
    for one in labels.values():
        one[40:70] = TREE


def equal(labels: dict[str, NDArray[np.uint8]]) -> None:
    labels["b"] = labels["a"]


def one_best(labels: dict[str, NDArray[np.uint8]]) -> None:
    labels["b"] = scene()
    labels["a"][:10, 50:60] = TREE


def small_alike(labels: dict[str, NDArray[np.uint8]]) -> None:
    labels["a"][:10], labels["b"][:10] = scene()[:10], scene()[:10]
    labels["a"][80:] = TREE


def test_a_scene_on_which_models_are_right_and_differ_meets_all() -> None:
    assert Criterion().unmet(answers(), scene()) == ""


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (wrong, "not sensible: a has 6"),
        (equal, "they differ on 0%"),
        (one_best, "one model is best in all small classes"),
        (small_alike, "0 small classes tell them apart"),
    ],
)
def test_each_part_refuses_what_it_is_there_for(spoil: Callable[..., None], said: str) -> None:
    assert Criterion().unmet(answers(spoil), scene()).startswith(said)


def test_seeds_are_tried_in_order_and_the_demand_is_eased_only_when_all_have_failed() -> None:
    def answered(seed: int) -> tuple[Labels, NDArray[np.uint8]]:
        return answers(None if seed == 7 else equal), scene()

    assert [seed for seed, _ in choose(answered, 5)] == [5, 6, 7]
    hard = Criterion(right=1.0)
    tried = list(choose(answered, 5, hard))
    assert len(tried) == CANDIDATES + 3
    assert tried[-1] == (7, "meets all, with at least 95% of the pixels right")
    assert list(choose(lambda seed: (answers(equal), scene()), 0, Criterion(right=0.05)))[-1][0] == CANDIDATES - 1


def test_each_sample_has_seeds_of_its_own() -> None:
    for number, one in enumerate(SAMPLES):
        assert one.seed in range(FIRST_SEED + number * CANDIDATES, FIRST_SEED + (number + 1) * CANDIDATES)
