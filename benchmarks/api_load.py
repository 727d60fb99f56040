"""Fifty clients on the REST service for a bounded time, against one that asks one photo at a time.

python benchmarks/api_load.py [--seconds 60] [--clients 50]

Every client asks again as soon as it has an answer, and after Retry-After where all places were taken. Fails on an answer that is
neither 200 nor 503, and where memory has grown by more than a tenth from the first quarter to the last.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from seglab.predict.samples import FOLDER

PHOTO = (FOLDER / "clear.jpg").read_bytes()
GROWTH = 1.1
START_S = 300
PAGE = os.sysconf("SC_PAGE_SIZE")


def ask(url: str, model: str) -> tuple[int, float]:
    """Ask once; return status and seconds to wait before the next question."""
    found = requests.post(f"{url}/predict?model={model}", files={"image": ("clear.jpg", PHOTO)}, timeout=120)
    return found.status_code, float(found.headers.get("retry-after", 0))


def load(url: str, model: str, clients: int, seconds: float) -> tuple[list[float], Counter[int]]:
    """Let clients ask for so long; return the latencies of answers and how often each status came."""
    until, latencies, statuses, lock = time.monotonic() + seconds, [], Counter[int](), threading.Lock()

    def client() -> None:
        while time.monotonic() < until:
            start = time.monotonic()
            try:
                status, wait_s = ask(url, model)
            except requests.RequestException:
                status, wait_s = 0, 0.1
            with lock:
                statuses[status] += 1
                if status == 200:
                    latencies.append(time.monotonic() - start)
            time.sleep(min(wait_s, max(0.0, until - time.monotonic())))

    threads = [threading.Thread(target=client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return latencies, statuses


def main() -> int:
    """Measure; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--model", default="fpn_convnextv2")
    args = parser.parse_args()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "seglab.api:app", "--port", str(port), "--log-level", "warning"]
    process, url = subprocess.Popen(command, cwd=ROOT), f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START_S
        while True:
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit("the service did not start")
            try:
                if requests.get(f"{url}/ready", timeout=120).status_code == 200:
                    break
            except requests.ConnectionError:
                pass
            time.sleep(0.5)
        for _ in range(5):
            ask(url, args.model)
        alone, _ = load(url, args.model, 1, args.seconds / 4)
        memory: list[float] = []
        done = threading.Event()

        def watch() -> None:
            while not done.wait(0.5):
                memory.append(int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * PAGE / 2**20)

        watcher = threading.Thread(target=watch)
        watcher.start()
        start = time.monotonic()
        latencies, statuses = load(url, args.model, args.clients, args.seconds)
        took = time.monotonic() - start
        done.set()
        watcher.join()
    finally:
        process.terminate()
        process.wait()
    quarter = max(1, len(memory) // 4)
    first, last = statistics.median(memory[:quarter]), statistics.median(memory[-quarter:])
    cuts = statistics.quantiles(latencies, n=20)
    one, many = 1 / statistics.mean(alone), len(latencies) / took
    print(f"{args.clients} clients, {took:.0f} s, {args.model}: answers by status {dict(statuses)}")
    print(f"latency of answers: p50 {statistics.median(latencies):.2f} s, p95 {cuts[-1]:.2f} s")
    print(f"memory of the service: {first:.0f} MiB in the first quarter, {last:.0f} MiB in the last")
    print(
        f"throughput: one client {one:.1f} photos/s, {args.clients} clients {many:.1f} photos/s: ratio {many / one:.2f}"
    )
    odd = set(statuses) - {200, 503}
    return 1 if odd or last > first * GROWTH else 0


if __name__ == "__main__":
    sys.exit(main())
