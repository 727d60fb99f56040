"""What routes share: the models on offer, their one queue, and what a form holds."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from fastapi import HTTPException, Request, UploadFile
from fastapi.responses import Response

from seglab.api import work
from seglab.api.models import Models
from seglab.images import open_photo
from seglab.labels import rolls_up
from seglab.predict.model import Model

T = TypeVar("T")


class Service:
    """Answers in the models' thread.

    Args:
        models: where they come from.
    """

    def __init__(self, models: Models) -> None:
        self.models = models

    def known(self, key: str, target: str | None) -> Model:
        """Return the model of a request.

        Raises:
            HTTPException: where it is not on offer, or its labels cannot be told in the label space asked for.
        """
        offered = self.models.offered()
        if key not in offered:
            raise HTTPException(422, f"expected a model out of {', '.join(offered) or 'none: train one'}, got {key!r}")
        own = offered[key].label_space
        if target is not None and not rolls_up(own, target):
            raise HTTPException(422, f"labels of {own} cannot be told in {target}; /models lists what can")
        return offered[key]

    async def in_turn(self, request: Request, job: Callable[[], T]) -> T:
        """Work in the models' thread; a client that leaves meanwhile frees its place, and the job lets go of its image."""
        box = [job]  # the pool's queue keeps what was cancelled until its turn comes
        answer = asyncio.wrap_future(self.models.pool.submit(lambda: box.pop()()))
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

    async def draws(
        self, request: Request, image: UploadFile | None, asked: Sequence[work.Draw], max_side: int
    ) -> Response:
        """Answer with a photo under corruptions; other requests get their turn between two of them."""
        file = await self.read(image)
        pixels = await self.in_turn(request, lambda: work.shrink(open_photo(*file).pixels, max_side))
        found = []
        for one in asked:
            found.append(await self.in_turn(request, lambda one=one: work.corrupted(pixels, one)))  # type: ignore[misc]
        return Response(b"[" + b",".join(found) + b"]", media_type="application/json")

    async def read(self, image: UploadFile | None) -> tuple[bytes, str]:
        """Return an uploaded file's bytes and name."""
        if image is None:
            raise HTTPException(400, "expected an image file in the form's field 'image', got none")
        return await image.read(), image.filename or "photo"


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
