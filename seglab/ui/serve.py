"""Serves the dashboard and the REST service in one process: both share the models and the queue before them."""

import os
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from seglab.api.guards import read_settings
from seglab.api.linger import Linger
from seglab.predict.model import Model
from seglab.predict.shelf import served

if TYPE_CHECKING:
    from seglab.predict.segmenter import Segmenter
    from seglab.ui.workbench import Workbench

SCRIPT = Path(__file__).resolve().parents[2] / "streamlit_app.py"
API = "/api"


class PageModels:
    """The dashboard's models, as the REST service asks for them. Streamlit's caches want its server to run first."""

    @property
    def pool(self) -> ThreadPoolExecutor:
        """The thread in which models run."""
        return self._bench().pool

    def offered(self) -> Mapping[str, Model]:
        """Return the deployment's and the bundled models."""
        return served()

    def segmenter(self, key: str) -> "Segmenter":
        """Return a model, loaded where it is not yet; in the pool's thread only."""
        return self._bench().load(self.offered()[key])

    def loaded(self) -> Sequence[str]:
        """Return the keys of the models that are loaded."""
        return [model.key for model in self._bench().loaded(list(self.offered().values()))]

    def _bench(self) -> "Workbench":
        from seglab.ui.workbench import workbench

        found: Workbench = workbench()
        return found


def api() -> ASGIApp:
    """Return the REST service on the dashboard's models, or what says how to add it."""
    try:
        from seglab.api.app import create_api
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "seglab":
            raise
        return Linger(_missing)
    return create_api(PageModels(), warm=False)


class LazyApi:
    """The REST service, imported at its first request: the dashboard opens no later for it."""

    def __init__(self) -> None:
        self._app: ASGIApp | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if self._app is None:
            self._app = api()
        await self._app(scope, receive, send)


async def _missing(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "http":
        said = "the REST service is not installed; `pip install -r requirements-api.txt` adds it"
        await JSONResponse({"error": said}, 501)(scope, receive, send)


async def _to_api(request: Request) -> RedirectResponse:
    return RedirectResponse(f"{API}/")


def dashboard() -> st.App:
    """Return the dashboard with the REST service beside it, as an ASGI application.

    Raises:
        ValueError: for settings of the service that cannot be.
    """
    read_settings(os.environ)  # what is wrong with them is said now, not at the first request
    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    routes: list[BaseRoute] = [Route(API, _to_api, methods=methods), Mount(API, LazyApi())]
    return st.App(SCRIPT, routes=routes)


def serve_dashboard(port: int, address: str, headless: bool) -> None:
    """Serve until stopped; an empty address stands for all of the machine's."""
    sys.argv = [str(SCRIPT)]  # Streamlit looks there for its configuration, and puts that folder on the path
    config: dict[str, object] = {"server.port": port}
    config |= {"server.address": address} if address else {}
    config |= {"server.headless": True} if headless else {}
    dashboard().run(config=config)
