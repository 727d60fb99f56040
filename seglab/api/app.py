"""The service put together: middlewares around its routes, errors as one sentence of JSON."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException as HttpError
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse

from seglab.api import routes
from seglab.api.guards import Guard, Places, problem, read_settings, too_large
from seglab.api.linger import Linger
from seglab.api.metrics import Metrics
from seglab.api.models import Loader, Models, OwnModels
from seglab.api.service import Service
from seglab.images import MAX_BYTES, ImageError
from seglab.predict.model import AnswerError


def create_api(models: Models | None = None, environ: Mapping[str, str] = os.environ, warm: bool = True) -> FastAPI:
    """Return the service.

    Args:
        models: where it has its models from; its own by default.
        environ: settings (the package's docstring names them).
        warm: load all models when the server starts.

    Raises:
        ValueError: for settings that cannot be.
    """
    bench: Models = models or OwnModels()
    given = read_settings(environ)
    places = Places(given.places)
    metrics, loader = Metrics(places, bench), Loader(bench)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if warm:
            loader.load_all()
        yield

    api = FastAPIOffline(
        title="seglab",
        description="Street-scene segmentation by several models, and photos under fifteen corruptions.",
        version="1",
        lifespan=lifespan,
        dependencies=[Depends(HTTPBearer(auto_error=False))],  # for the OpenAPI page; the guard checks it
        redoc_url=None,
    )
    api.state.places = places
    limit = MAX_BYTES + 2**16  # a form's own lines
    api.add_middleware(RequestBodyLimitMiddleware, max_body_size=limit)  # innermost
    api.add_middleware(TrustedHostMiddleware, allowed_hosts=given.hosts, www_redirect=False)
    api.add_middleware(
        Guard, places=places, token=given.token, origins=given.origins, max_bytes=limit, observe=metrics.observe
    )
    api.add_middleware(
        CORSMiddleware,
        allow_origins=given.origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=["Retry-After"],
    )
    api.add_middleware(Linger)  # outermost: a refusal reaches its client whoever refuses
    _errors(api)
    service = Service(bench)
    for router in (routes.state(service, metrics, loader), routes.answers(service), routes.corruptions(service)):
        api.include_router(router)
    return api


def _errors(api: FastAPI) -> None:
    """Let every error be JSON with one sentence."""

    @api.exception_handler(HttpError)
    async def refused(_: Request, error: HttpError) -> JSONResponse:
        if error.status_code == 413 and error.detail == "Content Too Large":  # Starlette's, at a body without a length
            return too_large(MAX_BYTES)
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @api.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        said = [f"{'.'.join(str(part) for part in one['loc'][1:])}: {one['msg']}" for one in error.errors()[:5]]
        return problem(422, "; ".join(said)[:1000])

    @api.exception_handler(ImageError)
    async def unusable(_: Request, error: ImageError) -> JSONResponse:
        return problem(422, str(error))

    @api.exception_handler(AnswerError)
    async def unanswered(_: Request, error: AnswerError) -> JSONResponse:
        return problem(503 if error.again else 422, str(error))
