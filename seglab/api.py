"""The models as a REST service: segment photos and corrupt them, from any language.

``python -m seglab serve`` mounts it under ``/api`` beside the dashboard, where both share models and their queue;
``uvicorn seglab.api:app`` serves it alone. It needs ``requirements-api.txt``. Settings are environment variables:
``SEGLAB_API_TOKEN`` (asked of every request but /health and the OpenAPI page), ``SEGLAB_API_HOSTS`` (names that it answers to,
with commas; localhost by default), ``SEGLAB_API_ORIGINS`` (whose pages may call it), ``SEGLAB_API_PLACES`` (how many at a time).
"""

import asyncio
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar, cast

from fastapi import Depends, FastAPI, File, HTTPException, Query, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from fastapi_offline import FastAPIOffline
from starlette.exceptions import HTTPException as HttpError
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse

from seglab import api_work as work
from seglab.api_metrics import Metrics
from seglab.api_models import Loader, Models, OwnModels
from seglab.api_schema import Answer, BatchItem, Corrupted, ModelInfo, Problem, Ready
from seglab.corruptions import CORRUPTIONS, Severity
from seglab.guards import Guard, Places, problem, read_settings, too_large
from seglab.images import FORMATS, MAX_BYTES, MAX_PIXELS, ImageError, open_photo
from seglab.labels import SPACES, SpaceKey, rolls_up
from seglab.runs import Run

MAX_BATCH = 16
MAX_SAMPLES = 30
T = TypeVar("T")


REFUSED: dict[int | str, dict[str, Any]] = {
    code: {"model": Problem, "description": words}
    for code, words in {
        400: "The file is missing, or the host is not known.",
        401: "The token is missing or wrong.",
        408: "The request took too long to come.",
        500: "The service failed; its log has more.",
        403: "The page that asks is not allowed to.",
        413: "The request is too large.",
        415: "The request is no multipart form.",
        422: "Something in it cannot be used; the sentence says what.",
        503: "All places are taken; try again after Retry-After seconds.",
    }.items()
}
ModelKey = Annotated[str, Query(description="A key of /models.", max_length=80)]
Target = Annotated[SpaceKey | None, Query(description="Of the answer; the model's own by default.")]
Opacity = Annotated[float, Query(ge=0, le=1, description="Of the overlay.")]
MaxSide = Annotated[int, Query(ge=64, le=4096, description="Of the original and the overlay, in pixels.")]
SmallSide = Annotated[int, Query(ge=64, le=1280, description="Of the pictures, in pixels.")]
Drawn = Annotated[
    str | None, Query(description="Drawn where none is given.", json_schema_extra={"enum": list(CORRUPTIONS)})
]
Seed = Annotated[int, Query(ge=0, le=2**31 - 1)]
Photo = Annotated[UploadFile | None, File(description=f"A {FORMATS} of at most {MAX_PIXELS // 10**6} megapixels.")]


def multipart(request: Request) -> None:
    """Refuse a body that is no multipart form."""
    kind = request.headers.get("content-type", "")
    if kind and not kind.lower().startswith("multipart/form-data"):
        raise HTTPException(415, f"expected multipart/form-data, got {kind[:80]}; curl: -F image=@street.jpg")


def create_api(models: Models | None = None, environ: Mapping[str, str] = os.environ, warm: bool = True) -> FastAPI:
    """Return the service.

    Args:
        models: where it has its models from; its own by default.
        environ: settings (the module's docstring names them).
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
    _errors(api)

    def known(key: str, target: str | None) -> Run:
        runs = bench.offered()
        if key not in runs:
            raise HTTPException(422, f"expected a model out of {', '.join(runs) or 'none: train one'}, got {key!r}")
        own = str(runs[key].record["label_space"])
        if target is not None and not rolls_up(own, target):
            raise HTTPException(422, f"labels of {own} cannot be told in {target}; /models lists what can")
        return runs[key]

    async def in_turn(request: Request, job: Callable[[], T]) -> T:
        """Work in the models' thread; a client that leaves meanwhile frees its place, and the job lets go of its image."""
        box = [job]  # the pool's queue keeps what was cancelled until its turn comes
        answer = asyncio.wrap_future(bench.pool.submit(lambda: box.pop()()))
        gone = asyncio.ensure_future(_left(request))
        try:
            await asyncio.wait(set[asyncio.Future[Any]]({answer, gone}), return_when=asyncio.FIRST_COMPLETED)
            if not answer.done():
                answer.cancel()
                raise HTTPException(499, "the client has left")
            return answer.result()
        finally:
            box.clear()
            gone.cancel()

    async def draws(request: Request, image: UploadFile | None, asked: Sequence[work.Draw], max_side: int) -> Response:
        """Answer with a photo under corruptions; other requests get their turn between two of them."""
        file = await read(image)
        pixels = await in_turn(request, lambda: work.shrink(open_photo(*file).pixels, max_side))
        found = []
        for one in asked:
            found.append(await in_turn(request, lambda one=one: work.corrupted(pixels, one)))  # type: ignore[misc]
        return Response(b"[" + b",".join(found) + b"]", media_type="application/json")

    async def read(image: UploadFile | None) -> tuple[bytes, str]:
        if image is None:
            raise HTTPException(400, "expected an image file in the form's field 'image', got none")
        return await image.read(), image.filename or "photo"

    @api.get("/", include_in_schema=False)
    async def root(request: Request) -> dict[str, str]:
        """Say where to look."""
        at = request.scope.get("root_path", "")
        return {name: f"{at}/{name}" for name in ("docs", "openapi.json", "models", "health", "ready", "metrics")}

    @api.head("/health", include_in_schema=False)
    @api.get("/health")
    async def health() -> dict[str, str]:
        """Tell that the service is alive."""
        return {"status": "alive"}

    @api.get("/ready", responses={503: {"model": Ready, "description": "Not all models are loaded yet."}})
    async def ready() -> Response:
        """Tell whether all models have been loaded; asking loads them."""
        loader.load_all()
        done = all(key in loader.done for key in bench.offered())
        answer = Ready(ready=done, loaded=sorted(loader.done), failed=loader.failed)
        return JSONResponse(answer.model_dump(), 200 if done else 503)

    @api.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus() -> Response:
        """Return requests, latencies, the queue and the models' memory for Prometheus."""
        return metrics.text()

    @api.get("/models")
    async def list_models() -> list[ModelInfo]:
        """List the models, each with the run that it comes from and its figure on the validation split."""
        found = set(bench.loaded())
        return [_info(key, run, key in found) for key, run in bench.offered().items()]

    @api.post(
        "/predict",
        dependencies=[Depends(multipart)],
        responses=REFUSED
        | {
            200: {
                "model": Answer,
                "content": {"image/png": {}, "application/geo+json": {}},
                "description": "The answer.",
            }
        },
        response_model=None,
    )
    async def predict(
        request: Request,
        image: Photo = None,
        model: ModelKey = "mask2former",
        label_space: Target = None,
        opacity: Opacity = 0.55,
        max_side: MaxSide = 1280,
    ) -> Response:
        """Segment one photo.

        ``Accept: image/png`` answers the PNG of class ids alone, ``Accept: application/geo+json`` the classes' outlines.
        """
        run, (data, name) = known(model, label_space), await read(image)
        form = accepted(request.headers.get("accept", ""))
        options = work.Options(model, label_space, opacity, max_side)
        content = await in_turn(request, lambda: work.predict(bench.segmenter(model), run, data, name, options, form))
        return Response(content, media_type=form)

    @api.post(
        "/predict/batch",
        dependencies=[Depends(multipart)],
        responses=REFUSED | {200: {"model": list[BatchItem]}},
        response_model=None,
    )
    async def predict_batch(
        request: Request,
        images: Annotated[list[UploadFile] | None, File(description=f"At most {MAX_BATCH}.")] = None,
        model: ModelKey = "mask2former",
        label_space: Target = None,
        opacity: Opacity = 0.55,
        max_side: MaxSide = 1280,
    ) -> Response:
        """Segment several photos; answers come in order, and one that fails hides no other."""
        run = known(model, label_space)
        if not images:
            raise HTTPException(400, "expected image files in the form's field 'images', got none")
        if len(images) > MAX_BATCH:
            raise HTTPException(413, f"expected at most {MAX_BATCH} images, got {len(images)}")
        options = work.Options(model, label_space, opacity, max_side)
        found = []
        for image in images:
            data, name = await read(image)

            def job(data: bytes = data, name: str = name) -> bytes:
                return work.batch_item(lambda: bench.segmenter(model), run, data, name, options)

            found.append(await in_turn(request, job))
        return Response(b"[" + b",".join(found) + b"]", media_type="application/json")

    corrupted = REFUSED | {200: {"model": list[Corrupted]}}

    @api.post("/augment", dependencies=[Depends(multipart)], responses=corrupted, response_model=None)
    async def augment(
        request: Request,
        image: Photo = None,
        samples: Annotated[int, Query(ge=1, le=MAX_SAMPLES)] = 4,
        corruption: Drawn = None,
        severity: Annotated[int | None, Query(ge=1, le=3, description="Drawn where none is given.")] = None,
        seed: Seed = 0,
        max_side: SmallSide = 640,
    ) -> Response:
        """Return the photo under corruptions that are drawn."""
        if corruption is not None and corruption not in CORRUPTIONS:
            raise HTTPException(422, f"expected a corruption out of {', '.join(CORRUPTIONS)}, got {corruption[:80]!r}")
        asked = work.draw(samples, corruption, cast(Severity | None, severity), seed)
        return await draws(request, image, asked, max_side)

    @api.post("/augment/gallery", dependencies=[Depends(multipart)], responses=corrupted, response_model=None)
    async def gallery(
        request: Request,
        image: Photo = None,
        severity: Annotated[int, Query(ge=1, le=3)] = 2,
        seed: Seed = 0,
        max_side: SmallSide = 640,
    ) -> Response:
        """Return the photo under all fifteen corruptions."""
        asked = [(key, cast(Severity, severity), seed) for key in CORRUPTIONS]
        return await draws(request, image, asked, max_side)

    return api


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def accepted(header: str) -> str:
    """Return the form that an Accept header likes best, JSON where it does not say.

    >>> accepted("application/json;q=0.5, image/png"), accepted("*/*"), accepted("text/html, */*;q=0.1")
    ('image/png', 'application/json', 'application/json')
    """
    best, most = work.FORMS[0], 0.0
    for part in header.lower().split(","):
        kind, *more = (word.strip() for word in part.split(";"))
        weight = next((word[2:] for word in more if word.startswith("q=")), "1")
        liked = float(weight) if re.fullmatch(r"[01](\.[0-9]{0,3})?", weight) else 0.0
        if kind in work.FORMS and liked > most:
            best, most = kind, liked
    return best


def _info(key: str, run: Run, loaded: bool) -> ModelInfo:
    record = run.record
    own = str(record["label_space"])
    return ModelInfo(
        key=key,
        title=str(record["title"]),
        label_space=own,
        label_spaces=[target for target in SPACES if rolls_up(own, target)],
        parameters=record["model"].get("parameters"),
        miou=(record.get("metrics") or {}).get("miou"),
        data=str((record.get("data") or {}).get("name", "")),
        run=f"{record['experiment']}/{run.folder.name}",
        weights_sha256=str((record.get("weights") or {}).get("sha256", "")),
        loaded=loaded,
    )


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


def __getattr__(name: str) -> Any:
    """Make ``app`` when a server asks for it."""
    if name == "app":
        globals()["app"] = found = create_api()
        return found
    raise AttributeError(name)
