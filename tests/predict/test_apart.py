"""A stranger's model in a process of its own: it answers as it would here, and whatever happens there is a sentence here."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from seglab.predict import apart as apart_module
from seglab.predict.apart import Apart, ApartSource, open_apart
from seglab.predict.model import Model
from seglab.predict.segmenter import Segmenter
from seglab.predict.sources import open_model
from seglab.ui.explaining import Far, Near

# A process that speaks the protocol and does to itself what the question says.
ODD = """
import os, sys, time
from seglab.predict.apart import receive, send
out = os.fdopen(os.dup(1), "wb")
while True:
    said, arrays = receive(sys.stdin.buffer)
    if said["ask"] == "die":
        os.kill(os.getpid(), said["signal"])
    if said["ask"] == "leave":
        os._exit(3)
    if said["ask"] == "sleep":
        time.sleep(60)
    if said["ask"] == "chatter":
        out.write(b"x" * 100); out.flush()
    send(out, {"error": "too odd"} if said["ask"] == "refuse" else {"pid": os.getpid(), "memory_bytes": 5}, arrays)
"""


@pytest.fixture
def odd() -> Iterator[Apart]:
    one = Apart("odd", (sys.executable, "-c", ODD))
    yield one
    one.close()


@pytest.fixture
def shown(published: Path) -> Iterator[Model]:
    model = open_apart(published, "own1")
    yield model
    assert isinstance(model.source, ApartSource)
    model.source.apart.close()


def photo(seed: int = 0, size: tuple[int, int] = (61, 117)) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def test_a_model_answers_in_its_own_process_as_it_does_here(shown: Model, published: Path) -> None:
    here = open_model(published)
    assert (shown.id, shown.facts.notes, shown.label_space) == (here.id, here.facts.notes, here.label_space)
    far, near = Segmenter(shown).predict(photo()), Segmenter(here).predict(photo())
    np.testing.assert_array_equal(far.labels, near.labels)
    assert far.engine == near.engine


def test_its_maps_are_those_that_are_made_here(shown: Model, published: Path) -> None:
    from seglab.explain.gradcam import Explainer

    here, pixels = open_model(published), photo(1, (64, 96))
    layer = next(iter(here.source.layers.values()))
    assert shown.source.layers == here.source.layers
    assert isinstance(shown.source, ApartSource)
    far, near = Far(shown.source.apart, layer, pixels), Near(Explainer(here.source.network(), layer), pixels)
    np.testing.assert_array_equal(far.labels, near.labels)
    class_id = int(far.labels[5, 5])
    region = far.labels == class_id
    for got, want in zip(far.cam(class_id, region, "gradcam"), near.cam(class_id, region, "gradcam"), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)
    for got, want in zip(
        far.deletion(class_id, region, "gradcam"), near.deletion(class_id, region, "gradcam"), strict=True
    ):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_a_process_that_is_killed_while_it_answers_is_told_and_started_anew(shown: Model) -> None:
    assert isinstance(shown.source, ApartSource)
    one, segmenter = shown.source.apart, Segmenter(shown)
    before = segmenter.predict(photo()).labels

    def kill() -> None:
        time.sleep(0.05)
        assert one._child is not None
        os.kill(one._child.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()

    def go_on() -> None:
        while True:
            segmenter.predict(photo())

    with pytest.raises(ValueError, match="was killed while it answered; it may need more memory"):
        go_on()
    killer.join()
    np.testing.assert_array_equal(segmenter.predict(photo()).labels, before)


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"ask": "die", "signal": int(signal.SIGSEGV)}, r"odd crashed its process while it answered \(signal 11\)"),
        ({"ask": "die", "signal": int(signal.SIGKILL)}, "odd was killed while it answered; it may need more memory"),
        ({"ask": "leave"}, r"crashed its process while it answered \(exit code 3\)"),
        ({"ask": "sleep"}, "odd did not answer within 1 s and was stopped"),
        ({"ask": "chatter"}, "it answered nonsense"),
        ({"ask": "refuse"}, "too odd"),
    ],
    ids=["crash", "memory", "exit", "time", "nonsense", "told"],
)
def test_what_happens_to_the_process_is_told_and_the_next_question_is_answered(
    odd: Apart, asked: dict[str, object], said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        odd.ask(asked, limit_s=1)
    found, (array,) = odd.ask({"ask": "hello"}, (np.arange(6, dtype=np.float32).reshape(2, 3),))
    assert found["pid"] > 0
    np.testing.assert_array_equal(array, [[0, 1, 2], [3, 4, 5]])


def test_a_folder_that_is_no_model_says_so(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected model\.safetensors and config\.json in test_a_folder"):
        open_apart(tmp_path)


def test_the_least_used_is_let_go_where_memory_is_full_and_comes_back_when_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    some = [Apart(f"odd{i}", (sys.executable, "-c", ODD)) for i in range(3)]
    monkeypatch.setattr(apart_module, "memory_limit", lambda: 100)
    try:
        for one in some[:2]:
            one.memory_bytes = 1
            one.ask({"ask": "hello"})
        some[0].ask({"ask": "hello"})  # asked last, so that the other one goes
        some[0].memory_bytes = some[1].memory_bytes = 45
        some[2].memory_bytes = 40
        some[2].ask({"ask": "hello"})
        assert [one.running for one in some] == [True, False, True]
        assert some[1].ask({"ask": "hello"})[0]["pid"] > 0
    finally:
        for one in some:
            one.close()


def test_a_process_ends_with_the_one_that_asks(odd: Apart) -> None:
    pid = odd.ask({"ask": "hello"})[0]["pid"]
    odd.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
