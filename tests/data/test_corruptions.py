"""Fifteen corruptions: seeded, stronger with severity, the same on a larger photo, and the mask goes where the scene goes."""

import os
import random
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import cv2
import numpy as np
import pytest

from seglab.data.corruptions import CORRUPTIONS, SEVERITIES, Severity, corrupt, corruption, parameters
from seglab.data.scenes import make_scene
from seglab.data.transforms import augment
from seglab.labels import VOID, space

ASKED = [
    "Blur",
    "GaussianBlur",
    "GlassBlur",
    "MotionBlur",
    "CLAHE",
    "Equalize",
    "ColorJitter",
    "HueSaturationValue",
    "Posterize",
    "ISONoise",
    "OpticalDistortion",
    "RandomRain",
    "RandomFog",
    "RandomSnow",
    "RandomSunFlare",
]
BENT = "optical_distortion"


@cache
def street() -> tuple[Any, Any]:
    scene = make_scene(5, 360, 480)
    return scene.image, scene.mask


def change(a: Any, b: Any) -> float:
    return float(np.abs(a.astype(int) - b).mean())


def test_they_are_the_fifteen_of_the_family_in_its_order() -> None:
    assert [one.title for one in CORRUPTIONS.values()] == ASKED
    assert all(one.key == key and one.what for key, one in CORRUPTIONS.items())


@pytest.mark.parametrize("key", CORRUPTIONS)
@pytest.mark.parametrize("severity", SEVERITIES)
def test_a_seed_decides_every_byte_and_the_input_stays(key: str, severity: Severity) -> None:
    image, mask = (array.copy() for array in street())
    worse, bent = corrupt(image, key, severity, seed=3, mask=mask)
    again, none = corrupt(image, key, severity, seed=3)
    assert none is None
    assert np.array_equal(worse, again)
    assert worse.dtype == np.uint8
    assert worse.shape == image.shape
    assert change(worse, image) > 0.5
    assert bent is not None
    assert bent.dtype == np.uint8
    assert np.array_equal(bent, mask) == (key != BENT), "only the other lens bends the scene"
    assert np.array_equal(image, street()[0])
    assert np.array_equal(mask, street()[1])


@pytest.mark.parametrize("key", CORRUPTIONS)
def test_a_higher_severity_changes_more(key: str) -> None:
    image, _ = street()
    changes = [np.mean([change(corrupt(image, key, s, seed)[0], image) for seed in range(4)]) for s in SEVERITIES]
    assert changes[0] < changes[1] < changes[2]


def test_another_seed_is_another_rain() -> None:
    image, _ = street()
    assert not np.array_equal(corrupt(image, "rain", 2, 1)[0], corrupt(image, "rain", 2, 2)[0])


@pytest.mark.parametrize("severity", SEVERITIES)
def test_the_other_lens_bends_the_mask_with_the_scene_and_leaves_nothing_invented(severity: Severity) -> None:
    _, mask = street()
    lut = space("camvid-11").lut("native")
    worse, bent = corrupt(lut[mask], BENT, severity, mask=mask)
    assert bent is not None
    known = bent != VOID
    close = np.abs(worse.astype(int) - lut[bent]).max(-1) < 40
    inner = cv2.erode(known.astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
    assert close[inner].mean() > 0.9, "colours and classes still belong together, but for the seams"
    assert known.mean() < (mask != VOID).mean(), "what comes from beyond the frame has no class"
    assert not np.array_equal(bent, mask)


@pytest.mark.parametrize("key", [key for key, one in CORRUPTIONS.items() if one.lengths])
def test_lengths_grow_with_the_photo(key: str) -> None:
    one = corruption(key)
    for severity in SEVERITIES:
        small, large = parameters(key, severity, 360), parameters(key, severity, 1440)
        for name in one.lengths:
            assert large[name] == pytest.approx(4 * small[name], abs=4 * one.odd)
            assert not one.odd or large[name] % 2 == small[name] % 2 == 1


def test_the_same_photo_at_twice_the_size_gets_as_much_worse() -> None:
    image, _ = street()
    large = cv2.resize(image, None, fx=2, fy=2, interpolation=cv2.INTER_CUBIC)
    for key in ("blur", "gaussian_blur", "motion_blur"):
        worse = cv2.resize(corrupt(large, key, 3, 1)[0], image.shape[1::-1], interpolation=cv2.INTER_AREA)
        assert change(worse, image) == pytest.approx(change(corrupt(image, key, 3, 1)[0], image), rel=0.5)


def test_threads_do_not_share_their_draws() -> None:
    image, _ = street()
    alone = [corrupt(image, "rain", 3, seed)[0] for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(lambda seed: corrupt(image, "rain", 3, seed)[0], range(16)))
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


def test_nobody_elses_random_numbers_are_touched_and_no_newer_version_is_asked_for() -> None:
    random.seed(1)
    np.random.seed(1)
    before = random.getstate(), np.random.get_state()[1].tolist()  # type: ignore[index,union-attr]
    for key in CORRUPTIONS:
        corrupt(street()[0], key, 1, 5)
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before  # type: ignore[index,union-attr]
    assert os.environ["NO_ALBUMENTATIONS_UPDATE"] == "1"


def test_the_library_is_imported_when_it_is_needed() -> None:
    code = "import sys, seglab.data.corruptions, seglab.data.transforms; print('albumentations' in sys.modules)"
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "False"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda i: corrupt(i, "hail", 1), "expected a corruption out of blur, gaussian_blur"),
        (lambda i: corrupt(i, "rain", 4), "expected a severity out of 1, 2, 3, got 4"),
        (lambda i: corrupt(i.astype(float), "rain", 1), r"expected an image \(H, W, 3\) of uint8"),
        (lambda i: corrupt(i[..., 0], "rain", 1), r"expected an image \(H, W, 3\) of uint8"),
    ],
)
def test_what_cannot_be_done_is_refused_in_a_sentence(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(street()[0])


def test_a_recipe_draws_one_of_the_fifteen_for_each_image(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = street()
    a, b = (augment(image, mask, np.random.default_rng(7), ["corruption"], None) for _ in range(2))
    assert np.array_equal(a[0], b[0])
    assert np.array_equal(a[1], b[1])
    drawn: Counter[tuple[str, int]] = Counter()

    def counted(image: Any, key: str, severity: int, seed: int, mask: Any) -> Any:
        drawn[key, severity] += 1
        return image, mask

    monkeypatch.setattr("seglab.data.transforms.corrupt", counted)
    rng = np.random.default_rng(0)
    for _ in range(45 * 40):
        augment(image, mask, rng, ["corruption"], None)
    assert len(drawn) == 45
    assert min(drawn.values()) > 15
    assert max(drawn.values()) < 75
