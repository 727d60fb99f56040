"""The real app in a subprocess and Chromium to look at it: what the browser tests and the benchmarks share."""

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

ROOT = Path(__file__).resolve().parents[2]
APP = ROOT / "streamlit_app.py"
START_S = 180.0
ANSWER_S = 420.0  # the first run on a machine converts four models


@dataclass(frozen=True)
class Server:
    """A running Streamlit server."""

    url: str
    process: subprocess.Popen[bytes]
    log_file: Path

    @property
    def log(self) -> str:
        """What the server has printed so far."""
        return self.log_file.read_text("utf-8", "replace")


@contextmanager
def serve(script: Path = APP, env: Mapping[str, str] | None = None) -> Iterator[Server]:
    """Start Streamlit on a free port, wait until it is healthy, and stop it on exit.

    Raises:
        RuntimeError: where it does not start, with what it printed.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="seglab-server-") as folder:
        log_file = Path(folder) / "log"
        if script == APP:  # as `make app` does
            command = [
                sys.executable,
                "-m",
                "seglab",
                "serve",
                "--headless",
                "--address",
                "127.0.0.1",
                "--port",
                str(port),
            ]
        else:
            command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless", "true"]
            command += ["--server.address", "127.0.0.1", "--server.port", str(port)]
        with open(log_file, "wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env={**os.environ, **(env or {})}, stdout=log, stderr=subprocess.STDOUT
            )
        server = Server(f"http://127.0.0.1:{port}", process, log_file)
        try:
            _wait_healthy(server)
            yield server
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_healthy(server: Server) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError(f"the server did not start:\n{server.log}")


def chromium_path() -> str:
    """Return the Chromium to drive.

    Raises:
        FileNotFoundError: where there is none; the message says how to install it.
    """
    for name in (os.environ.get("SEGLAB_CHROMIUM"), "chromium", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    raise FileNotFoundError(
        "expected Chromium in $SEGLAB_CHROMIUM or on PATH, found none; run `bash tests/browser/install_chromium.sh`"
    )


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a headless Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path(), args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


def watch(page: Page, server: Server, complaints: list[str]) -> None:
    """Let a list fill with what the page complains about; hosts other than the server may be out of reach."""

    def on_console(message: ConsoleMessage) -> None:
        source = str(message.location.get("url", ""))
        if source.removeprefix(server.url).rpartition("/_stcore/")[0]:
            return  # Streamlit asks below a page's own path first, finds nothing there and goes on at the root
        if "/media/" in source + message.text:
            return  # a run of the script that was overtaken took its picture along; broken ones are looked for in the end
        if message.type == "error" and (source.startswith(server.url) or not source.startswith("http")):
            complaints.append(f"console: {message.text} ({source})")

    def on_failure(request: Request) -> None:
        if request.url.startswith(server.url) and request.failure != "net::ERR_ABORTED":
            complaints.append(f"request: {request.url} {request.failure}")

    page.on("console", on_console)
    page.on("requestfailed", on_failure)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))


def wait_for_panels(page: Page, count: int = 4, *, photo: str = "", timeout_s: float = ANSWER_S) -> list[str]:
    """Wait until the viewer shows ``count`` ready panels, of the photo whose description holds ``photo``.

    Returns:
        The panels' keys, in their order.
    """
    panels = page.locator("[data-testid^=viewer-panel-]")
    ready = page.locator("[data-testid^=viewer-panel-][data-ready=true][data-status=ready]")
    if photo:
        ready = ready.filter(has=page.locator(f'canvas[aria-label*="{photo}"]'))
    expect(ready).to_have_count(count, timeout=timeout_s * 1000)
    expect(panels).to_have_count(count)
    expect(page.get_by_test_id("stProgress")).to_have_count(0, timeout=timeout_s * 1000)
    ids = panels.evaluate_all("panels => panels.map(panel => panel.dataset.testid)")
    return [str(one).removeprefix("viewer-panel-") for one in ids]


def upload(page: Page, *files: tuple[str, bytes], key: str = "upload") -> None:
    """Give files to a file uploader of the page."""
    payloads = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    page.locator(f".st-key-{key} input[type=file]").set_input_files(payloads)
