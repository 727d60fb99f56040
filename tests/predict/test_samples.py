"""The samples of the first screen and the answers stored for them."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglab.predict.samples import FOLDER, SAMPLES, load_sample, precompute_samples, stored_scores
from seglab.predict.segmenter import Segmenter
from seglab.predict.shelf import BUNDLED, bundled_runs
from seglab.predict.sources import open_model

RUNS = bundled_runs()
FIRST = SAMPLES[0].key


@pytest.mark.usefixtures("own_cache")
@pytest.mark.parametrize("key", BUNDLED)
def test_the_stored_answer_is_what_the_bundled_weights_say_now(key: str) -> None:
    model, (photo, _, _) = Segmenter(open_model(RUNS[key].folder), "torch"), load_sample(FIRST)
    stored = stored_scores(photo.sha256, model.weights_sha256)
    assert stored is not None, "run python -m seglab precompute"
    fresh, _ = model.scores(photo.pixels)
    assert stored.shape == fresh.shape
    assert (stored.argmax(0) == fresh.argmax(0)).mean() > 0.99  # stored by another engine and rounded to 1/255


def test_nothing_is_stored_for_weights_that_are_gone() -> None:
    assert len(list(FOLDER.glob("*.npz"))) == len(BUNDLED)


class Uniform:
    """A model that finds every class equally likely."""

    def __init__(self, sha256: str) -> None:
        self.weights_sha256 = sha256

    def scores(self, pixels: Any) -> Any:
        return np.full((11, 4, 6), 1 / 11, np.float16), {}


def test_new_answers_take_the_place_of_old_ones_and_a_damaged_one_is_as_none(tmp_path: Path) -> None:
    for name in (f"{FIRST}.jpg", f"{FIRST}.mask.png", f"{FIRST}.txt"):
        shutil.copy(FOLDER / name, tmp_path)
    photo, _, _ = load_sample(FIRST, tmp_path)
    assert precompute_samples({"a": Uniform("a" * 64), "b": Uniform("b" * 64)}, tmp_path) == 2
    assert precompute_samples({"b": Uniform("b" * 64)}, tmp_path) == 1
    assert stored_scores(photo.sha256, "a" * 64, tmp_path) is None
    stored = stored_scores(photo.sha256, "b" * 64, tmp_path)
    assert stored is not None
    assert (stored == 23).all()
    (path,) = tmp_path.glob("*.npz")
    whole = path.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"", b"PK", whole[:60] + bytes(40) + whole[100:]):
        path.write_bytes(damaged)
        assert stored_scores(photo.sha256, "b" * 64, tmp_path) is None
