"""Latency of the bundled models: who is beaten, what a stored measurement may say, and how one is made."""

import json
import threading
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seglab.predict import latency
from seglab.predict.latency import FILE, Latency, Measurement, dominators, machine, measure, read_stored, write_stored
from seglab.predict.model import Facts, Model
from seglab.predict.shelf import EXPERIMENT
from seglab.predict.sources import open_model
from seglab.records.runs import read_record

MODEL = Latency("fpn", "a" * 64, "OpenVINO 1", 20.5, 19.0, 30.25, 7)
FOUND = Measurement("CPU, 2 cores", "2026-11-21T10:00:00+00:00", "960x600", 0.25, (MODEL,), {})


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / EXPERIMENT).mkdir()
    return tmp_path


def test_the_frontier_is_what_a_plain_loop_finds() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        points = {str(i): (float(rng.integers(1, 6)), float(rng.integers(1, 6))) for i in range(7)}
        beaten = {name: set() for name in points}  # type: ignore[var-annotated]
        for one, other in product(points, points):
            (ms, miou), (other_ms, other_miou) = points[one], points[other]
            if (other_ms < ms and other_miou >= miou) or (other_ms <= ms and other_miou > miou):
                beaten[one].add(other)
        assert {name: set(by) for name, by in dominators(points).items()} == beaten
        assert any(not by for by in beaten.values()), "somebody is always on the frontier"


def test_models_that_are_equal_in_both_do_not_beat_each_other() -> None:
    assert dominators({"a": (1, 0.5), "b": (1, 0.5)}) == {"a": (), "b": ()}
    assert dominators({}) == {}


def test_a_measurement_comes_back_as_it_was_stored(store: Path) -> None:
    assert read_stored(store) is None
    write_stored(FOUND, store)
    assert read_stored(store) == FOUND


HOSTILE: dict[str, Any] = {
    "no JSON": "{",
    "a list": [],
    "no models": {"machine": "x", "models": []},
    "models of another kind": {"models": {"a": 1}},
    "a model without a key": {"models": [{"weights_sha256": "a", "median_ms": 1}]},
    "a time that is text": {"models": [{"key": "a", "weights_sha256": "b", "median_ms": "1"}]},
    "a time of nothing": {"models": [{"key": "a", "weights_sha256": "b", "median_ms": 0}]},
    "a time beyond any float": {"models": [{"key": "a", "weights_sha256": "b", "median_ms": 10**400}]},
    "very deep": "[" * 100_000,
    "too large": json.dumps({"machine": "x" * latency.MAX_BYTES}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stored_measurement_that_makes_no_sense_is_none(store: Path, name: str) -> None:
    content = HOSTILE[name]
    (store / EXPERIMENT / FILE).write_text(content if isinstance(content, str) else json.dumps(content))
    assert read_stored(store) is None


def test_one_odd_model_leaves_the_others_and_texts_are_short(store: Path) -> None:
    stored = json.loads(json.dumps(asdict(FOUND)))
    stored |= {"machine": "x" * 9_000, "time": None, "models": [5, *stored["models"], {"key": 1}], "busy": "very"}
    (store / EXPERIMENT / FILE).write_text(json.dumps(stored))
    found = read_stored(store)
    assert found is not None
    assert found.models == (MODEL,)
    assert len(found.machine) <= 120
    assert found.busy == 0


def test_the_machine_says_its_cores() -> None:
    assert "core" in machine()


class NoSource:
    """A source that is never asked."""

    layers: dict[str, str] = {}  # noqa: RUF012

    def network(self) -> Any:
        raise AssertionError


class FakeModel:
    """Takes as long as its run's seed says, and notes who was asked when."""

    asked: list[str]

    def __init__(self, model: Model) -> None:
        if model.key == "broken":
            raise ValueError("the weights are damaged\nand more")
        self.name = model.key
        self.engine = type("Engine", (), {"name": "fake"})

    def predict(self, pixels: Any) -> Any:
        assert pixels.shape == (600, 960, 3)
        FakeModel.asked.append(self.name)
        turn = FakeModel.asked.count(self.name)
        return type("Prediction", (), {"latency_ms": {"preprocess": 1.0, "forward": 10.0 * turn, "postprocess": 2.0}})


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> dict[str, Model]:
    FakeModel.asked = []
    monkeypatch.setattr("seglab.predict.segmenter.Segmenter", FakeModel)
    facts = Facts("tiny/a", "trained")
    return {k: Model(k, k.upper(), "camvid-11", k * 2, {}, facts, NoSource()) for k in ("a", "broken", "b")}


def test_models_are_timed_in_turn_and_the_first_pass_does_not_count(models: dict[str, Model]) -> None:
    shares: list[float] = []
    found = measure(models, 3, lambda share, text: shares.append(share))
    assert FakeModel.asked == ["a", "b", "a", "b", "a", "b", "a", "b"]
    by_key = {one.key: one for one in found.models}
    assert (by_key["a"].low_ms, by_key["a"].median_ms, by_key["a"].high_ms) == (23, 33, 43)
    assert (by_key["b"].repeats, by_key["b"].engine, by_key["b"].weights_sha256) == (3, "fake", "bb")
    assert found.failed == {"broken": "the weights are damaged"}
    assert shares == sorted(shares)
    assert 0 <= shares[0] <= shares[-1] <= 1


def test_two_never_measure_at_once(models: dict[str, Model]) -> None:
    entered, leave, caught = threading.Event(), threading.Event(), []

    def hold(share: float, text: str) -> None:
        entered.set()
        leave.wait(30)

    first = threading.Thread(target=lambda: caught.append(measure(models, 1, hold)))
    first.start()
    assert entered.wait(30)
    with pytest.raises(latency.Busy, match="another session"):
        measure(models, 1)
    leave.set()
    first.join(30)
    assert len(caught) == 1
    assert measure(models, 1).models, "and the next one may"


def test_a_real_run_is_timed(tiny_run: Path, own_cache: Path) -> None:
    found = measure({"tiny": open_model(tiny_run)}, 2)
    assert found.failed == {}
    (one,) = found.models
    assert one.weights_sha256 == read_record(tiny_run)["weights"]["sha256"]
    assert 0 < one.low_ms <= one.median_ms <= one.high_ms
    assert one.engine
