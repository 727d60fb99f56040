"""A refusal reaches its client: where a body is left unread, the answer goes out, the rest is dropped, then the connection ends.

A server that closes while the client still sends makes the client see a reset instead of the answer; most clients send all of a
body before they read a byte.
"""

import asyncio

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_BYTES = 2**30  # of a body that are dropped at most: what a client would not wait to send anyway
LINGER_S = 30.0  # for all of it
SILENT_S = 5.0  # without a byte
MAX_LINGERING = 64  # connections at a time; the next are closed at once, so that no crowd of slow senders piles up


class Linger:
    """The outermost layer of an application.

    Args:
        app: what it stands before.
        max_bytes: of a body that are dropped.
        seconds: for all of it.
        silent_s: without a byte.
        places: connections that are lingered on at a time.
    """

    def __init__(
        self,
        app: ASGIApp,
        max_bytes: int = LINGER_BYTES,
        seconds: float = LINGER_S,
        silent_s: float = SILENT_S,
        places: int = MAX_LINGERING,
    ) -> None:
        self.app, self.max_bytes, self.seconds, self.silent_s, self.places = app, max_bytes, seconds, silent_s, places
        self.lingering = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        headers = Headers(scope=scope) if scope["type"] == "http" else {}
        if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return
        unread, answered = True, False

        async def receive_noted() -> Message:
            nonlocal unread
            message = await receive()
            unread = unread and message["type"] == "http.request" and message.get("more_body", False)
            return message

        async def send_held(message: Message) -> None:
            nonlocal answered
            if unread and message["type"] == "http.response.start":
                MutableHeaders(scope=message)["connection"] = "close"
            if unread and message["type"] == "http.response.body" and not message.get("more_body", False):
                answered = True  # all of it is on its way; the server may not know that yet, or it would stop reading
                message = {**message, "more_body": True}
            await send(message)

        try:
            await self.app(scope, receive_noted, send_held)
        finally:
            if answered:
                await self._drop(receive)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _drop(self, receive: Receive) -> None:
        """Read and drop what the client still sends, within bounds."""
        if self.lingering >= self.places:
            return
        self.lingering += 1
        left, clock = self.max_bytes, asyncio.get_running_loop().time
        until = clock() + self.seconds
        try:
            while left > 0:
                async with asyncio.timeout_at(min(until, clock() + self.silent_s)):
                    message = await receive()
                if message["type"] != "http.request" or not message.get("more_body", False):
                    return
                left -= len(message.get("body", b""))
        except TimeoutError:
            pass
        finally:
            self.lingering -= 1
