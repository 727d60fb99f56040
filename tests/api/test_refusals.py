"""A refusal reaches its client, however much is still being sent, and costs the server no memory."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from seglab.api.linger import Linger
from tests.api.test_api import listening

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "a-token"
MIB = 2**20
WAIT_S = 60.0
FORM = b'--x\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n'  # how a form begins
FLAT_MIB = 64  # what a refusal may cost at most, whatever is sent


class Served:
    """A service in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, root: str) -> None:
        self.process, self.port, self.root = process, port, root

    def memory_mib(self) -> float:
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
        raise AssertionError


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture(scope="module", params=["alone", "beside the dashboard"])
def served(request: pytest.FixtureRequest, cache: Path) -> Iterator[Served]:
    port = free_port()
    env = {**os.environ, "SEGLAB_CACHE": str(cache), "SEGLAB_API_TOKEN": TOKEN, "SEGLAB_API_PLACES": "1"}
    if request.param == "alone":
        root, command = "", ["-m", "uvicorn", "tests.api.cold:app", "--port", str(port), "--log-level", "warning"]
    else:
        root, command = "/api", ["-m", "seglab", "serve", "--headless", "--address", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen([sys.executable, *command], cwd=ROOT, env=env, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 3 * WAIT_S
        while True:
            assert process.poll() is None
            assert time.monotonic() < until
            try:
                if requests.get(f"http://127.0.0.1:{port}{root}/health", timeout=WAIT_S).status_code == 200:
                    break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield Served(process, port, root)
    finally:
        process.terminate()
        process.wait(WAIT_S)


def head(served: Served, length: int | None, path: str = "/predict", **headers: str) -> bytes:
    size = "Transfer-Encoding: chunked" if length is None else f"Content-Length: {length}"
    lines = {
        "Host": "localhost",
        "Authorization": f"Bearer {TOKEN}",
        "Content-Type": "multipart/form-data; boundary=x",
    } | {name.replace("_", "-"): value for name, value in headers.items()}
    told = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {served.root}{path} HTTP/1.1\r\n{told}{size}\r\n\r\n".encode()


def exchange(
    served: Served, start: bytes, total: int, *, chunked: bool = False, pause_s: float = 0.0
) -> tuple[int, dict[str, Any]]:
    """Send a head and then a body as a client does that reads nothing before all is sent; return status and answer."""
    piece = bytes(MIB)
    with socket.create_connection(("127.0.0.1", served.port), WAIT_S) as client:
        client.sendall(start + (b"%x\r\n%b\r\n" % (len(FORM), FORM) if chunked else FORM))
        for _ in range(total // MIB):
            client.sendall(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
            time.sleep(pause_s)
        if chunked:
            client.sendall(b"0\r\n\r\n")
        answer = b""
        while part := client.recv(MIB):  # until the server closes
            answer += part
    top, _, body = answer.partition(b"\r\n\r\n")
    assert b"connection: close" in top.lower()
    return int(top.split()[1]), json.loads(body)


@pytest.mark.parametrize("size_mib", [17, 64, 500])
def test_a_body_too_large_gets_its_413_when_all_is_sent_and_memory_stays_flat(served: Served, size_mib: int) -> None:
    before = served.memory_mib()
    status, answer = exchange(served, head(served, len(FORM) + size_mib * MIB), size_mib * MIB)
    assert (status, answer["error"][:23]) == (413, "expected a request of a")
    assert served.memory_mib() - before < FLAT_MIB


def test_a_slow_sender_has_the_answer_while_it_still_sends(served: Served) -> None:
    with socket.create_connection(("127.0.0.1", served.port), WAIT_S) as client:
        client.sendall(head(served, 64 * MIB) + bytes(MIB))
        answer = client.recv(MIB)
        client.sendall(bytes(MIB))  # nobody closed
    assert answer.startswith(b"HTTP/1.1 413")
    status, told = exchange(served, head(served, len(FORM) + 17 * MIB), 17 * MIB, pause_s=0.05)
    assert status == 413
    assert "send smaller or fewer images" in told["error"]


def test_a_body_of_no_told_length_gets_its_413(served: Served) -> None:
    before = served.memory_mib()
    status, answer = exchange(served, head(served, None), 64 * MIB, chunked=True)
    assert status == 413
    assert "at most 16 MiB" in answer["error"]
    assert served.memory_mib() - before < FLAT_MIB


REFUSALS: dict[str, tuple[dict[str, str], int, str]] = {
    "a wrong token": ({"Authorization": "Bearer wrong"}, 401, "expected the header 'Authorization"),
    "a foreign page": ({"Origin": "https://evil.example"}, 403, "pages of https://evil.example may not post here"),
    "no form": ({"Content-Type": "text/plain"}, 415, "expected multipart/form-data"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_every_refusal_reaches_its_client(served: Served, name: str) -> None:
    headers, expected, says = REFUSALS[name]
    size = 15 * MIB  # within the limit, so that this is what is refused
    status, answer = exchange(
        served, head(served, len(FORM) + size, **{k.replace("-", "_"): v for k, v in headers.items()}), size
    )
    assert status == expected
    assert says in answer["error"]


def test_a_foreign_host_and_an_unknown_route_are_answered_too(served: Served) -> None:
    size = 15 * MIB
    with socket.create_connection(("127.0.0.1", served.port), WAIT_S) as client:
        client.sendall(head(served, len(FORM) + size, Host="evil.example"))
        client.sendall(bytes(size))
        assert client.recv(MIB).startswith(b"HTTP/1.1 400")
    assert exchange(served, head(served, len(FORM) + size, path="/nothing"), size)[0] == 404


def test_with_all_places_taken_the_503_arrives_and_lingering_takes_no_place(served: Served) -> None:
    size = 15 * MIB
    with socket.create_connection(("127.0.0.1", served.port), WAIT_S) as slow:
        slow.sendall(head(served, size) + FORM + bytes(MIB))  # takes the only place, and sends no more for now
        time.sleep(0.3)
        status, answer = exchange(served, head(served, len(FORM) + size), size)
        assert (status, answer["error"][:12]) == (503, "all 1 places")
    with socket.create_connection(("127.0.0.1", served.port), WAIT_S) as refused:
        refused.sendall(head(served, 64 * MIB) + bytes(MIB))
        assert refused.recv(MIB).startswith(b"HTTP/1.1 413")  # and is lingered on
        status, _ = exchange(served, head(served, len(FORM) + size, Content_Type="text/plain"), size)
        assert status == 415, "the place was free"


@pytest.mark.parametrize("size_mib", [17, 64])
def test_usual_clients_see_the_sentence_and_no_reset(served: Served, size_mib: int) -> None:
    url, body = f"http://127.0.0.1:{served.port}{served.root}/predict", bytes(size_mib * MIB)
    headers = {"Authorization": f"Bearer {TOKEN}"}
    found = requests.post(url, data=body, headers=headers, timeout=WAIT_S)
    assert found.status_code == 413
    assert "at most 16 MiB" in found.json()["error"]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=WAIT_S)
    assert caught.value.code == 413


async def _refuse(scope: Any, receive: Any, send: Any) -> None:
    start = {"type": "http.response.start", "status": 418, "headers": [(b"content-length", b"2")]}
    if scope["type"] == "http":
        await send(start)
        await send({"type": "http.response.body", "body": b"{}"})


@pytest.mark.parametrize("bounds", [{"max_bytes": 4 * MIB}, {"silent_s": 0.2}, {"seconds": 0.2}, {"places": 0}])
def test_nobody_is_lingered_on_for_ever(bounds: dict[str, Any]) -> None:
    layer = Linger(_refuse, **bounds)
    with listening(layer) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), WAIT_S) as client:
            client.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\n")
            ended = False
            until = time.monotonic() + WAIT_S
            while not ended and time.monotonic() < until:
                try:
                    client.sendall(bytes(64 * 1024)) if "silent_s" not in bounds else time.sleep(0.3)
                    ended = "silent_s" in bounds and b"418" in client.recv(MIB) and client.recv(MIB) == b""
                except OSError:  # a reset: the server had enough
                    ended = True
        assert ended
        assert layer.lingering == 0
