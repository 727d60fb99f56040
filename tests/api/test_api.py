"""The REST service alone, over loopback: right answers, clear refusals, a bounded queue."""

import base64
import gc
import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import requests
import schemathesis
import uvicorn
from hypothesis import HealthCheck, settings
from numpy.typing import NDArray
from PIL import Image
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from seglab.api import guards
from seglab.api.app import create_api
from seglab.api.parameters import MAX_BATCH
from seglab.data.corruptions import CORRUPTIONS, corrupt
from seglab.data.scenes import make_scene
from seglab.images import FORMATS, encode_png, open_photo
from seglab.labels import SPACES, remap, space
from seglab.predict.model import AnswerError, Model
from seglab.predict.segmenter import Prediction, Segmenter
from seglab.predict.shelf import bundled_models
from seglab.records.files import RunError
from tests.hostile import corpus

ROOT = Path(__file__).resolve().parents[2]
KEY = "fpn_convnextv2"
PIXELS = make_scene(3, 96, 128).image
PHOTO = encode_png(PIXELS)
WAIT_S = 60


@contextmanager
def listening(api: Any) -> Iterator[str]:
    """Serve an application on loopback in a thread."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(api, "127.0.0.1", port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until = time.monotonic() + WAIT_S
    while not server.started:
        assert thread.is_alive()
        assert time.monotonic() < until
        time.sleep(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(WAIT_S)


def model() -> Model:
    return next(one for one in bundled_models() if one.key == KEY)


class Slow:
    """Stand-in models: one that finds road everywhere once it is let."""

    def __init__(self, *, free: bool = False) -> None:
        self.pool = ThreadPoolExecutor(1)
        self.go, self.begun = threading.Event(), threading.Semaphore(0)
        self.answered = 0
        if free:
            self.go.set()

    def offered(self) -> Mapping[str, Model]:
        return {KEY: model()}

    def loaded(self) -> Sequence[str]:
        return [KEY]

    def segmenter(self, key: str) -> Any:
        assert key == KEY
        return self

    weights_sha256 = "0" * 64

    def predict(self, pixels: NDArray[np.uint8], label_space: str | None = None, name: str = "") -> Prediction:
        self.begun.release()
        assert self.go.wait(WAIT_S)
        self.answered += 1
        labels = np.full(pixels.shape[:2], 3, np.uint8)
        spent = {"preprocess": 1.0, "forward": 2.0, "postprocess": 3.0}
        labels = remap(labels, "camvid-11", label_space or "camvid-11")
        return Prediction(labels, labels, label_space or "camvid-11", spent, "torch", np.zeros((11, 1, 1), np.float16))


@pytest.fixture(scope="module")
def service(cache: Path) -> Iterator[str]:
    """The service as `make api` starts it, with the bundled models."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "seglab.api:app", "--port", str(port)]
    process = subprocess.Popen(command, cwd=ROOT, env={**os.environ, "SEGLAB_CACHE": str(cache)})
    url = f"http://127.0.0.1:{port}"
    until = time.monotonic() + 5 * WAIT_S
    try:
        while True:
            assert process.poll() is None
            assert time.monotonic() < until
            try:
                if requests.get(f"{url}/ready", timeout=WAIT_S).status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(0.2)
        yield url
    finally:
        process.terminate()
        process.wait(WAIT_S)


def post(url: str, data: bytes = PHOTO, name: str = "street.png", **more: Any) -> requests.Response:
    return requests.post(url, files={"image": (name, data)}, timeout=WAIT_S, **more)


def unpack(url: str) -> NDArray[np.uint8]:
    kind, _, text = url.partition(";base64,")
    assert kind in ("data:image/png", "data:image/jpeg")
    return np.asarray(Image.open(BytesIO(base64.b64decode(text))))


def test_an_answer_is_what_the_model_says(service: str) -> None:
    found = post(f"{service}/predict?model={KEY}&opacity=0.3").json()
    prediction = Segmenter(model()).predict(PIXELS)
    np.testing.assert_array_equal(unpack(found["mask"]), prediction.labels)
    assert (found["width"], found["height"], found["label_space"]) == (128, 96, "camvid-11")
    assert np.abs(unpack(found["original"]).astype(int) - PIXELS).mean() < 8
    assert unpack(found["overlay"]).shape == PIXELS.shape
    shares = [one["share_frac"] for one in found["classes"]]
    assert sum(shares) == pytest.approx(1)
    assert shares == sorted(shares, reverse=True)
    road = next(one for one in found["classes"] if one["name"] == "road")
    assert (road["id"], road["colour"]) == (3, "#804080")
    assert set(found["latency_ms"]) == {"decode", "preprocess", "forward", "postprocess", "encode"}
    assert found["run"] == f"camvid-architectures/{KEY}-seed42"


def test_an_answer_comes_in_the_form_that_is_asked_for(service: str) -> None:
    url = f"{service}/predict?model={KEY}&label_space=cityscapes-8"
    labels = Segmenter(model()).predict(PIXELS, "cityscapes-8").labels
    png = post(url, headers={"Accept": "image/png"})
    assert png.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(png.content))), labels)
    outlines = post(url, headers={"Accept": "application/geo+json"})
    assert outlines.headers["content-type"] == "application/geo+json"
    names = {one["properties"]["class"] for one in outlines.json()["features"]}
    assert names <= set(space("cityscapes-8").names)
    assert names


def test_a_batch_answers_in_order_and_one_broken_image_hides_no_other(service: str) -> None:
    files = [("images", (f"{n}.png", PHOTO if n != 1 else b"no image")) for n in range(3)]
    found = requests.post(f"{service}/predict/batch?model={KEY}", files=files, timeout=WAIT_S).json()
    assert [one["name"] for one in found] == ["0.png", "1.png", "2.png"]
    assert "is not a JPEG" in found[1]["error"]
    assert found[1]["answer"] is None
    np.testing.assert_array_equal(unpack(found[0]["answer"]["mask"]), unpack(found[2]["answer"]["mask"]))
    many = [("images", ("a.png", PHOTO))] * (MAX_BATCH + 1)
    assert requests.post(f"{service}/predict/batch", files=many, timeout=WAIT_S).status_code == 413


def test_corrupted_photos_name_what_was_done_and_equal_seeds_give_equal_bytes(service: str) -> None:
    found = post(f"{service}/augment?samples=5&seed=7").json()
    assert len(found) == 5
    assert found == post(f"{service}/augment?samples=5&seed=7").json()
    assert found != post(f"{service}/augment?samples=5&seed=8").json()
    one = post(f"{service}/augment?samples=1&corruption=iso_noise&severity=3&seed=1").json()[0]
    assert (one["corruption"], one["severity"]) == ("iso_noise", 3)
    assert one["parameters"]
    worse = corrupt(PIXELS, "iso_noise", 3, one["seed"])[0]
    assert np.abs(unpack(one["image"]).astype(int) - worse).mean() < np.abs(PIXELS.astype(int) - worse).mean()
    gallery = post(f"{service}/augment/gallery?severity=1").json()
    assert [one["corruption"] for one in gallery] == list(CORRUPTIONS)


def test_models_health_and_metrics_say_what_is_there(service: str) -> None:
    models = {one["key"]: one for one in requests.get(f"{service}/models", timeout=WAIT_S).json()}
    assert list(models) == [one.key for one in bundled_models()]
    assert all(one["loaded"] for one in models.values())
    assert models[KEY]["miou"] == model().facts.metrics["miou"]
    assert models["deeplabv3plus"]["test_miou"] == pytest.approx(0.555)
    assert "not used for any choice" in models["deeplabv3plus"]["test_origin"]
    assert "flatters: it lies 9 points above test" in models["deeplabv3plus"]["beside_test"]
    untested = models["mask2former"]
    assert (untested["test_miou"], untested["test_origin"], untested["beside_test"]) == (None, "not measured", "")
    assert models[KEY]["label_spaces"] == ["camvid-11", "cityscapes-8"]
    assert requests.get(f"{service}/health", timeout=WAIT_S).json() == {"status": "alive"}
    post(f"{service}/predict?model={KEY}")
    text = requests.get(f"{service}/metrics", timeout=WAIT_S).text
    assert 'seglab_requests_total{method="POST",route="/predict",status="200"}' in text
    assert 'seglab_request_seconds_bucket{le="1.0",method="POST",route="/predict"}' in text
    assert "seglab_queue_taken 0.0" in text
    assert f'seglab_model_bytes{{model="{KEY}"}}' in text


REFUSED = [
    ("POST", "/predict", {}, 400, "image"),
    ("POST", "/predict/batch", {}, 400, "images"),
    ("POST", "/augment", {}, 400, "image"),
    ("POST", "/predict", {"json": {"image": "x"}}, 415, "multipart"),
    ("POST", "/predict?model=nothing", {"files": {"image": PHOTO}}, 422, "expected a model out of deeplabv3plus"),
    ("POST", "/predict?opacity=7", {"files": {"image": PHOTO}}, 422, "opacity"),
    ("POST", "/predict?label_space=cityscapes-19", {"files": {"image": PHOTO}}, 422, "cityscapes-19"),
    ("POST", "/predict?label_space=nowhere", {"files": {"image": PHOTO}}, 422, ", ".join(SPACES)),
    ("POST", "/predict", {"files": {"image": b""}}, 422, "empty"),
    ("POST", "/augment?corruption=hail", {"files": {"image": PHOTO}}, 422, "hail"),
    ("POST", "/augment?samples=1000", {"files": {"image": PHOTO}}, 422, "samples"),
    ("GET", "/predict", {}, 405, "Method"),
    ("DELETE", "/models", {}, 405, "Method"),
    ("GET", "/nothing/here", {}, 404, "Not Found"),
    ("POST", "/predict", {"data": b"x" * (17 * 2**20)}, 413, "at most 16 MiB"),
    ("POST", "/predict", {"headers": {"Origin": "http://evil.example"}}, 403, "evil.example"),
    ("POST", "/predict", {"headers": {"Origin": "http://["}}, 403, "http://["),
]


@pytest.mark.parametrize(("method", "path", "asked", "status", "words"), REFUSED)
def test_what_cannot_be_answered_is_refused_in_json(
    service: str, method: str, path: str, asked: dict[str, Any], status: int, words: str
) -> None:
    found = requests.request(method, service + path, timeout=WAIT_S, **asked)
    assert found.status_code == status
    assert words in found.json()["error"]
    assert found.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in found.headers["content-security-policy"]


def test_a_body_without_a_length_is_refused_once_it_is_too_long(service: str) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
        for _ in range(200):
            yield b"x" * 2**20

    headers = {"content-type": "multipart/form-data; boundary=b"}
    found = requests.post(f"{service}/predict", data=chunks(), headers=headers, timeout=WAIT_S)
    assert found.status_code == 413
    assert "at most 16 MiB" in found.json()["error"]
    assert requests.get(f"{service}/health", timeout=WAIT_S).status_code == 200


@pytest.mark.parametrize(
    "name",
    [
        "bomb-claimed.png",
        "noise.jpg",
        "cut-50.jpeg",
        "huge-width.bmp",
        "absurd-count.tif",
        "cut-80.heic",
        "huge-alpha.avif",
        "frame-outside.gif",
    ],
)
def test_hostile_images_get_a_sentence(service: str, name: str) -> None:
    found = post(f"{service}/predict?model={KEY}", next(case.data for case in corpus() if case.name == name), name)
    assert found.status_code == 422
    assert name in found.json()["error"]
    assert "Traceback" not in found.text


@pytest.mark.parametrize("name", ["turned.heic", "tiles.avif", "animated.gif"])
def test_a_phones_photo_is_told_by_its_content(service: str, name: str) -> None:
    case = next(case for case in corpus() if case.name == name)
    files = {"image": ("IMG_0001", case.data, "application/octet-stream")}  # as some phones send it
    found = requests.post(f"{service}/predict?model={KEY}", files=files, timeout=WAIT_S)
    assert found.status_code == 200
    assert case.size == unpack(found.json()["mask"]).shape


def test_the_schema_names_every_format_of_photo(service: str) -> None:
    assert FORMATS in requests.get(f"{service}/openapi.json", timeout=WAIT_S).text


def test_hosts_tokens_and_origins_are_checked() -> None:
    settings_ = {"SEGLAB_API_TOKEN": "sésame", "SEGLAB_API_ORIGINS": "https://ours.example"}
    with listening(create_api(Slow(free=True), settings_)) as url:
        assert requests.get(f"{url}/health", timeout=WAIT_S).status_code == 200
        assert requests.get(f"{url}/docs", timeout=WAIT_S).status_code == 200
        for headers in ({}, {"Authorization": "Bearer sesame"}, {"Authorization": "sésame".encode()}):
            found = requests.get(f"{url}/models", headers=headers, timeout=WAIT_S)
            assert found.status_code == 401
            assert found.headers["www-authenticate"] == "Bearer"
            assert post(f"{url}/predict?model={KEY}", headers=headers).status_code == 401
        right = {"Authorization": "bearer sésame".encode()}
        assert requests.get(f"{url}/models", headers=right, timeout=WAIT_S).status_code == 200
        ours = {**right, "Origin": "https://ours.example"}
        found = post(f"{url}/predict?model={KEY}", headers=ours)
        assert found.status_code == 200
        assert found.headers["access-control-allow-origin"] == "https://ours.example"
        assert (
            requests.get(f"{url}/health", headers={"Host": "evil.example"}, timeout=WAIT_S).text
            == "Invalid host header"
        )
        refused = post(f"{url}/predict", headers={"Origin": "https://ours.example"})
        assert (refused.status_code, refused.headers["access-control-allow-origin"]) == (401, "https://ours.example")
    with listening(create_api(Slow(free=True), {"SEGLAB_API_ORIGINS": "*"})) as url:
        assert post(f"{url}/predict?model={KEY}", headers={"Origin": "https://any.example"}).status_code == 200
    for key, value in (("PLACES", "many"), ("PLACES", "0"), ("HOSTS", "*seg.example")):
        with pytest.raises(ValueError, match=f"expected SEGLAB_API_{key} as .*, got {re.escape(repr(value))}"):
            create_api(Slow(), {f"SEGLAB_API_{key}": value})


def test_a_full_queue_answers_at_once_and_a_client_that_leaves_frees_its_place() -> None:
    models = Slow()
    api = create_api(models, {"SEGLAB_API_PLACES": "2"})
    with listening(api) as url, ThreadPoolExecutor(8) as clients:
        first = clients.submit(post, f"{url}/predict?model={KEY}")
        assert models.begun.acquire(timeout=WAIT_S)
        with socket.create_connection((url[7:].split(":")[0], int(url.rsplit(":", 1)[1]))) as leaver:
            body = (
                b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n'
                + PHOTO
                + b"\r\n--b--\r\n"
            )
            head = f"POST /predict?model={KEY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            leaver.sendall(head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + body)
            wait_for(api, 2)
            refused = post(f"{url}/predict?model={KEY}")
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) >= 1
            assert "all 2 places" in refused.json()["error"]
            assert requests.get(f"{url}/health", timeout=WAIT_S).status_code == 200
        wait_for(api, 1)  # it has left
        second = clients.submit(post, f"{url}/predict?model={KEY}")
        wait_for(api, 2)
        models.go.set()
        assert first.result(WAIT_S).status_code == second.result(WAIT_S).status_code == 200
        wait_for(api, 0)
        assert models.answered == 2, "what the leaver asked for was not worked on"


def wait_for(api: Any, taken: int) -> None:
    until = time.monotonic() + WAIT_S
    while api.state.places.taken != taken:
        assert time.monotonic() < until, f"{api.state.places.taken} places are taken"
        time.sleep(0.02)


def test_what_was_asked_and_left_is_not_kept_in_memory() -> None:
    models = Slow()
    api = create_api(models, {"SEGLAB_API_PLACES": "3"})
    with listening(api) as url, ThreadPoolExecutor(2) as clients:
        first = clients.submit(post, f"{url}/predict?model={KEY}")
        assert models.begun.acquire(timeout=WAIT_S)
        for one in range(24):
            if one == 4:  # client and service have their buffers
                before = resident_mib()
            with pytest.raises(requests.Timeout):
                requests.post(f"{url}/predict?model={KEY}", files={"image": PHOTO + bytes(12 * 2**20)}, timeout=0.5)
            wait_for(api, 1)
        gc.collect()
        assert resident_mib() < before + 100, "twenty images of 12 MiB have left"
        models.go.set()
        assert first.result(WAIT_S).status_code == 200


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@pytest.mark.parametrize(("again", "status"), [(True, 503), (False, 422)])
def test_a_photo_without_an_answer_is_told_in_the_models_own_sentence(again: bool, status: int) -> None:
    models = Slow(free=True)

    def none(*args: Any, **named: Any) -> Prediction:
        raise AnswerError("there is no mask of street.jpg", again=again)

    models.predict = none  # type: ignore[method-assign]
    with listening(create_api(models, {})) as url:
        said = post(f"{url}/predict?model={KEY}")
        assert (said.status_code, said.json()) == (status, {"error": "there is no mask of street.jpg"})
        files = [("images", ("a.png", PHOTO))]
        batch = requests.post(f"{url}/predict/batch?model={KEY}", files=files, timeout=WAIT_S).json()
        assert [one["error"] for one in batch] == ["there is no mask of street.jpg"]


def test_a_failing_model_is_told_logged_and_counted_and_the_service_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    models = Slow(free=True)
    right, calls = models.predict, iter(range(100))

    def every_second(*args: Any, **named: Any) -> Prediction:
        if next(calls) % 2:
            raise RuntimeError("out of tune")
        return right(*args, **named)

    models.predict = every_second  # type: ignore[method-assign]
    with listening(create_api(models, {})) as url:
        files = [("images", (f"{n}.png", PHOTO)) for n in range(3)]
        batch = requests.post(f"{url}/predict/batch?model={KEY}", files=files, timeout=WAIT_S).json()
        assert [one["error"] and "RuntimeError" in one["error"] for one in batch] == [None, True, None]
        found = post(f"{url}/predict?model={KEY}")
        assert found.status_code == 500
        assert found.json() == {"error": "the service failed at this request (RuntimeError); its log has more"}
        assert found.headers["x-content-type-options"] == "nosniff"
        assert requests.get(f"{url}/health", timeout=WAIT_S).status_code == 200
        text = requests.get(f"{url}/metrics", timeout=WAIT_S).text
        assert 'seglab_requests_total{method="POST",route="/predict",status="500"} 1.0' in text
    assert caplog.text.count("RuntimeError: out of tune") == 2


def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guards, "BODY_S", 0.5)
    api = create_api(Slow(free=True), {})
    with listening(api) as url, socket.create_connection((url[7:].split(":")[0], int(url.rsplit(":", 1)[1]))) as slow:
        head = b"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n"
        slow.sendall(head + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n")
        slow.settimeout(WAIT_S)
        assert slow.recv(4096).startswith(b"HTTP/1.1 408 ")
        wait_for(api, 0)


def test_a_model_that_could_not_be_loaded_is_tried_again() -> None:
    models = Slow(free=True)
    broken = [True]

    def segmenter(key: str) -> Slow:
        if broken:
            broken.pop()
            raise RunError("no such weights")
        return models

    models.segmenter = segmenter  # type: ignore[method-assign]
    with listening(create_api(models, {}, warm=False)) as url:
        until = time.monotonic() + WAIT_S
        found: dict[str, Any] = {}
        while not found.get("ready") and time.monotonic() < until:
            found = requests.get(f"{url}/ready", timeout=WAIT_S).json()
            time.sleep(0.02)
    assert not broken
    assert found == {"ready": True, "loaded": [KEY], "failed": {}}


schema = schemathesis.openapi.from_asgi("/openapi.json", create_api(Slow(free=True), {"SEGLAB_API_HOSTS": "*"}))
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


@pytest.mark.parametrize("path", ["/predict", "/predict/batch"])
def test_the_schema_lists_the_label_spaces(path: str) -> None:
    asked = schema.raw_schema["paths"][path]["post"]["parameters"]
    target = next(one["schema"] for one in asked if one["name"] == "label_space")
    assert target["anyOf"][0] == {"type": "string", "enum": list(SPACES)}


@schema.parametrize()
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_every_route_keeps_to_its_schema(case: Any) -> None:
    case.call_and_validate(checks=CHECKS)


def test_a_photo_sent_as_the_schema_says_is_answered_as_the_schema_says() -> None:
    with listening(create_api(Slow(free=True), {})) as url:
        paths = requests.get(f"{url}/openapi.json", timeout=WAIT_S).json()["paths"]
        assert {"/predict", "/predict/batch", "/augment", "/augment/gallery", "/models", "/ready"} <= set(paths)
        answer = post(f"{url}/predict?model={KEY}").json()
        np.testing.assert_array_equal(unpack(answer["mask"]), np.full(PIXELS.shape[:2], 3))
        assert json.dumps(answer)
        assert open_photo(base64.b64decode(answer["original"].partition(",")[2]), "a.jpg").width == 128
