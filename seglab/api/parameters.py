"""What requests may say, as routes take it and the OpenAPI page tells it."""

import re
from typing import Annotated, Any

from fastapi import File, HTTPException, Query, Request, UploadFile
from pydantic import AfterValidator, Field

from seglab.api.schema import Problem
from seglab.data.corruptions import CORRUPTIONS
from seglab.images import FORMATS, MAX_PIXELS
from seglab.labels import SPACES, space

MAX_BATCH = 16
MAX_SAMPLES = 30
FORMS = ("application/json", "image/png", "application/geo+json")  # of an answer; the first is the default

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
Space = Annotated[str, AfterValidator(lambda key: space(key).key), Field(json_schema_extra={"enum": list(SPACES)})]
Target = Annotated[Space | None, Query(description="Of the answer; the model's own by default.")]
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


def accepted(header: str) -> str:
    """Return the form that an Accept header likes best, JSON where it does not say.

    >>> accepted("application/json;q=0.5, image/png"), accepted("*/*"), accepted("text/html, */*;q=0.1")
    ('image/png', 'application/json', 'application/json')
    """
    best, most = FORMS[0], 0.0
    for part in header.lower().split(","):
        kind, *more = (word.strip() for word in part.split(";"))
        weight = next((word[2:] for word in more if word.startswith("q=")), "1")
        liked = float(weight) if re.fullmatch(r"[01](\.[0-9]{0,3})?", weight) else 0.0
        if kind in FORMS and liked > most:
            best, most = kind, liked
    return best
