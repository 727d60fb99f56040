"""What stands before the API's routes: token, origin, size, a bounded number of requests at a time, headers on every answer.

Streamlit's own guards do not cover routes that are mounted beside it.
"""

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BODY_S = 30.0  # to send a whole request
PLACES = 16
LOCAL = ("localhost", "127.0.0.1", "[::1]")
_OPEN = ("/docs", "/static-offline-docs")  # a browser sends no token where it opens a page
_STRICT = "default-src 'none'; frame-ancestors 'none'"
_DOCS = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; frame-ancestors 'none'"
)
_HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Settings:
    """What the environment says of the service."""

    token: str
    hosts: tuple[str, ...]
    origins: tuple[str, ...]
    places: int


def read_settings(environ: Mapping[str, str]) -> Settings:
    """Read ``SEGLAB_API_TOKEN``, ``_HOSTS``, ``_ORIGINS`` and ``_PLACES``.

    Raises:
        ValueError: for what they cannot be; one sentence.
    """

    def names(key: str) -> tuple[str, ...]:
        return tuple(name.strip() for name in environ.get(key, "").split(",") if name.strip())

    hosts = names("SEGLAB_API_HOSTS") or LOCAL
    if odd := [
        name for name in hosts if "*" in name and name != "*" and not (name.startswith("*.") and "*" not in name[1:])
    ]:
        raise ValueError(f"expected SEGLAB_API_HOSTS as names, '*.name' or '*', got {odd[0]!r}")
    places = environ.get("SEGLAB_API_PLACES", "") or str(PLACES)
    if not places.isdecimal() or not 1 <= int(places) <= 1000:
        raise ValueError(f"expected SEGLAB_API_PLACES as a number of 1 to 1000, got {places!r}")
    return Settings(environ.get("SEGLAB_API_TOKEN", ""), hosts, names("SEGLAB_API_ORIGINS"), int(places))


class Observe(Protocol):
    """Takes note of an answer."""

    def __call__(self, scope: Scope, status: int, seconds: float) -> None:
        """Method and route are in the scope."""


class Places:
    """How many requests may be read, wait or be worked on at a time; used from the event loop only."""

    def __init__(self, total: int) -> None:
        self.total, self.taken = total, 0
        self.mean_s = 1.0  # of the last answers

    def take(self) -> bool:
        """Take a place where there is one."""
        if self.taken >= self.total:
            return False
        self.taken += 1
        return True

    def free(self, seconds: float | None) -> None:
        """Give a place back; after so long, where it had an answer."""
        self.taken -= 1
        if seconds is not None:
            self.mean_s += (seconds - self.mean_s) / 8

    @property
    def retry_after_s(self) -> int:
        """Whole seconds after which a place is likely to be free."""
        return max(1, math.ceil(self.mean_s / 2))


class Guard:
    """Refuses at the door, before a body is read, and marks every answer.

    Args:
        app: what it stands before.
        places: for requests with a body.
        token: that requests must bear; empty for none. ``/health`` and the OpenAPI page never ask for it.
        origins: whose pages may post, beside the host's own.
        max_bytes: of a request's body.
        observe: takes note of every answer.
        clock: seconds.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        places: Places,
        token: str,
        origins: Sequence[str],
        max_bytes: int,
        observe: Observe,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.app, self.places, self.token, self.origins = app, places, token, set(origins)
        self.max_bytes, self.observe, self.clock = max_bytes, observe, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        start, path = self.clock(), scope["path"].removeprefix(scope.get("root_path", ""))
        status = 0

        async def send_marked(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
                page = path.startswith(("/docs", "/redoc", "/static-offline-docs"))
                headers.setdefault("content-security-policy", _DOCS if page else _STRICT)
            await send(message)

        async def answer() -> None:
            try:
                await self.app(scope, _in_time(receive) if scope["method"] == "POST" else receive, send_marked)
            except Exception as error:
                log.exception("a request to %s failed", path)
                if status:
                    raise  # half an answer is out
                said = f"the service failed at this request ({type(error).__name__}); its log has more"
                await problem(500, said)(scope, receive, send_marked)

        try:
            refusal = self._refusal(Headers(scope=scope), path, scope["method"])
            if refusal is not None:
                await refusal(scope, receive, send_marked)
            elif scope["method"] == "POST":
                try:
                    await answer()
                finally:
                    self.places.free(self.clock() - start if status == 200 else None)
            else:
                await answer()
        finally:
            self.observe(scope, status or 499, self.clock() - start)  # 499: the client has left

    def _refusal(self, headers: Headers, path: str, method: str) -> JSONResponse | None:
        """Return why a request is turned away; none where it may go on, with a place taken if it is a POST."""
        free = path in ("/health", "/openapi.json") or (method == "GET" and path.startswith(_OPEN))
        if self.token and not free:
            kind, _, given = headers.get("authorization", "").partition(" ")
            right = hmac.compare_digest(given.strip().encode("latin-1"), self.token.encode())
            if kind.lower() != "bearer" or not right:
                said = "expected the header 'Authorization: Bearer TOKEN' with the service's token"
                return problem(401, said, {"www-authenticate": "Bearer"})
        if method != "POST":
            return None
        origin = headers.get("origin")
        known = not origin or {origin, "*"} & self.origins or origin.partition("://")[2] == headers.get("host")
        if not known:
            return problem(403, f"pages of {str(origin)[:200]} may not post here; SEGLAB_API_ORIGINS allows them")
        length = headers.get("content-length", "0")
        if not length.isdigit() or int(length) > self.max_bytes:
            return too_large(self.max_bytes)
        if not self.places.take():
            said = f"all {self.places.total} places before the models are taken; try again in {self.places.retry_after_s} s"
            return problem(503, said, {"retry-after": str(self.places.retry_after_s)})
        return None


def _in_time(receive: Receive) -> Receive:
    """Return ``receive`` that gives a body up after :data:`BODY_S`."""
    until = asyncio.get_running_loop().time() + BODY_S
    complete = False

    async def receive_in_time() -> Message:
        nonlocal complete
        if complete:
            return await receive()
        try:
            async with asyncio.timeout_at(until):
                message = await receive()
        except TimeoutError:
            said = f"expected the whole request within {BODY_S:.0f} s; send a smaller image"
            raise HTTPException(408, said, {"connection": "close"}) from None
        complete = not message.get("more_body", False)
        return message

    return receive_in_time


def problem(status: int, said: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return an error as JSON: one sentence that says what to do."""
    return JSONResponse({"error": said}, status, headers)


def too_large(max_bytes: int) -> JSONResponse:
    """Return the answer to a body over the limit; the rest of it is not read."""
    said = f"expected a request of at most {max_bytes // 2**20} MiB; send smaller or fewer images"
    return problem(413, said, {"connection": "close"})
