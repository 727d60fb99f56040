"""The REST service beside the dashboard: one process, the same models, never a page where an API answer belongs."""

import sys

import pytest
import requests
from starlette.applications import Starlette
from starlette.routing import Mount

from seglab.predict.samples import FOLDER
from seglab.ui import serve
from tests.api.test_api import listening
from tests.browser.server import ANSWER_S, Server

pytestmark = pytest.mark.browser
SAMPLE = (FOLDER / "clear.jpg").read_bytes()


def test_dashboard_and_service_answer_at_one_address(server: Server) -> None:
    url = f"{server.url}/api"
    for path, status in (("/", 200), ("", 200), ("/health", 200), ("/nothing", 404), ("/models/nothing", 404)):
        found = requests.get(url + path, timeout=60)
        assert (found.status_code, found.headers["content-type"]) == (status, "application/json"), path
    assert requests.get(f"{url}/predict", timeout=60).status_code == 405
    page = requests.get(server.url, timeout=60)
    assert page.headers["content-type"].startswith("text/html")
    files = {"image": ("clear.jpg", SAMPLE)}
    found = requests.post(f"{url}/predict?model=deeplabv3plus", files=files, timeout=ANSWER_S)
    assert found.status_code == 200
    assert "road" in {one["name"] for one in found.json()["classes"]}
    loaded = {one["key"] for one in requests.get(f"{url}/models", timeout=60).json() if one["loaded"]}
    assert "deeplabv3plus" in loaded
    big = requests.post(f"{url}/predict", data=b"x" * (17 * 2**20), timeout=60)
    assert big.status_code == 413
    docs = requests.get(f"{url}/docs", timeout=60).text
    assert "/api/static-offline-docs/swagger-ui-bundle.js" in docs
    assert "https://" not in docs


def test_without_its_packages_the_service_says_what_adds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "fastapi", None)
    monkeypatch.delitem(sys.modules, "seglab.api.app", raising=False)
    with listening(Starlette(routes=[Mount("/api", serve.api())])) as url:
        found = requests.get(f"{url}/api/models", timeout=60)
    assert found.status_code == 501
    assert found.json() == {"error": "the REST service is not installed; `pip install -r requirements-api.txt` adds it"}
