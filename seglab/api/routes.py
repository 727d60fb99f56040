"""The service's routes: its state, photos to answers, photos under corruptions."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, File, HTTPException, Query, Request, UploadFile
from fastapi.responses import Response
from starlette.responses import JSONResponse

from seglab.api import work
from seglab.api.metrics import Metrics
from seglab.api.models import Loader
from seglab.api.parameters import (
    MAX_BATCH,
    MAX_SAMPLES,
    REFUSED,
    Drawn,
    MaxSide,
    ModelKey,
    Opacity,
    Photo,
    Seed,
    SmallSide,
    Target,
    accepted,
    multipart,
)
from seglab.api.schema import Answer, BatchItem, Corrupted, ModelInfo, Ready
from seglab.api.service import Service
from seglab.data.corruptions import CORRUPTIONS, Severity
from seglab.labels import SPACES, rolls_up
from seglab.predict.model import Model, beside_test


def state(service: Service, metrics: Metrics, loader: Loader) -> APIRouter:
    """Return the routes that tell what the service is and how it fares."""
    router = APIRouter()

    @router.get("/", include_in_schema=False)
    async def root(request: Request) -> dict[str, str]:
        """Say where to look."""
        at = request.scope.get("root_path", "")
        return {name: f"{at}/{name}" for name in ("docs", "openapi.json", "models", "health", "ready", "metrics")}

    @router.head("/health", include_in_schema=False)
    @router.get("/health")
    async def health() -> dict[str, str]:
        """Tell that the service is alive."""
        return {"status": "alive"}

    @router.get("/ready", responses={503: {"model": Ready, "description": "Not all models are loaded yet."}})
    async def ready() -> Response:
        """Tell whether all models have been loaded; asking loads them."""
        loader.load_all()
        done = all(key in loader.done for key in service.models.offered())
        answer = Ready(ready=done, loaded=sorted(loader.done), failed=loader.failed)
        return JSONResponse(answer.model_dump(), 200 if done else 503)

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus() -> Response:
        """Return requests, latencies, the queue and the models' memory for Prometheus."""
        return metrics.text()

    @router.get("/models")
    async def list_models() -> list[ModelInfo]:
        """List the models, each with the run that it comes from and its figure on the validation split."""
        found = set(service.models.loaded())
        return [_info(model, key in found) for key, model in service.models.offered().items()]

    return router


def answers(service: Service) -> APIRouter:
    """Return the routes that segment photos."""
    router = APIRouter()

    @router.post(
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
        asked, (data, name) = service.known(model, label_space), await service.read(image)
        form = accepted(request.headers.get("accept", ""))
        options = work.Options(label_space, opacity, max_side)
        content = await service.in_turn(
            request, lambda: work.predict(service.models.segmenter(model), asked, data, name, options, form)
        )
        return Response(content, media_type=form)

    @router.post(
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
        asked = service.known(model, label_space)
        if not images:
            raise HTTPException(400, "expected image files in the form's field 'images', got none")
        if len(images) > MAX_BATCH:
            raise HTTPException(413, f"expected at most {MAX_BATCH} images, got {len(images)}")
        options = work.Options(label_space, opacity, max_side)
        found = []
        for image in images:
            data, name = await service.read(image)

            def job(data: bytes = data, name: str = name) -> bytes:
                return work.batch_item(lambda: service.models.segmenter(model), asked, data, name, options)

            found.append(await service.in_turn(request, job))
        return Response(b"[" + b",".join(found) + b"]", media_type="application/json")

    return router


def corruptions(service: Service) -> APIRouter:
    """Return the routes that corrupt photos."""
    router = APIRouter()
    corrupted = REFUSED | {200: {"model": list[Corrupted]}}

    @router.post("/augment", dependencies=[Depends(multipart)], responses=corrupted, response_model=None)
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
        return await service.draws(request, image, asked, max_side)

    @router.post("/augment/gallery", dependencies=[Depends(multipart)], responses=corrupted, response_model=None)
    async def gallery(
        request: Request,
        image: Photo = None,
        severity: Annotated[int, Query(ge=1, le=3)] = 2,
        seed: Seed = 0,
        max_side: SmallSide = 640,
    ) -> Response:
        """Return the photo under all fifteen corruptions."""
        asked = [(key, cast(Severity, severity), seed) for key in CORRUPTIONS]
        return await service.draws(request, image, asked, max_side)

    return router


def _info(model: Model, loaded: bool) -> ModelInfo:
    return ModelInfo(
        key=model.key,
        title=model.title,
        label_space=model.label_space,
        label_spaces=[target for target in SPACES if rolls_up(model.label_space, target)],
        parameters=model.facts.parameters,
        miou=model.facts.metrics.get("miou"),
        test_miou=model.facts.test.miou if model.facts.test else None,
        test_origin=model.facts.test.origin if model.facts.test else model.facts.no_test,
        beside_test=beside_test([model], origin=False),
        data=model.facts.data,
        run=model.facts.origin,
        weights_sha256=model.sha256,
        loaded=loaded,
    )
