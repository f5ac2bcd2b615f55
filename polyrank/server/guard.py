"""What stands before every route: keys, limits of a body and of the time it takes, and counting.

A body is read here, whole, before anything looks at it. One that is too large is read on and thrown
away for a while, since a client that is still sending would never see the answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

from polyrank.server.metrics import Metrics
from polyrank.server.problems import CLOSED, Problem
from polyrank.server.settings import Settings

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

log = logging.getLogger("polyrank.server")

DRAINED, DRAIN_SECONDS = 256 << 20, 20.0  # of a body that is refused
ANYONE = ""  # the owner of requests where no keys are asked for


class Gone(Exception):
    """The client closed the connection."""


class Keys:
    """The keys that open a server, compared in a time that says nothing about them."""

    def __init__(self, keys: tuple[str, ...]) -> None:
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def owner(self, headers: list[tuple[bytes, bytes]]) -> str:
        """Whose request it is: a name for bounds, not the key.

        Raises:
            Problem: 401, without a key that is known.
        """
        if not self._digests:
            return ANYONE
        given = dict(headers).get(b"authorization", b"")
        scheme, _, key = given.partition(b" ")
        digest = hashlib.sha256(key.strip()).digest()
        same = [hmac.compare_digest(digest, known) for known in self._digests]  # all, always
        if scheme.lower() != b"bearer" or not any(same):
            raise Problem(
                401,
                "this server asks for a key: send 'Authorization: Bearer KEY'",
                code="invalid_api_key",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return str(same.index(True))


class Guard:
    """An ASGI application around another.

    Args:
        app: what answers.
        settings: limits and keys.
        metrics: count every answer.
        routes: that are counted by name; others are 'other'.
    """

    def __init__(self, app: App, settings: Settings, metrics: Metrics, routes: set[str]) -> None:
        self.app, self.settings, self.metrics, self.routes = app, settings, metrics, routes
        self._keys = Keys(settings.keys)
        self._receiving = 0  # bytes of bodies in memory

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, route = time.monotonic(), self._route(scope)
        status = 0

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                spent = f"{1000 * (time.monotonic() - begun):.0f}".encode()
                message["headers"] = [*message.get("headers", ()), (b"x-total-time", spent)]
            await send(message)

        try:
            await self._guarded(scope, receive, counted)
        except Gone:
            status = CLOSED
        except Problem as problem:
            await refuse(problem, counted)
        finally:
            seconds = time.monotonic() - begun
            self.metrics.requests.labels(route, str(status)).inc()
            self.metrics.seconds.labels(route).observe(seconds)
            log.info("%s %s %d %.0f ms", scope["method"], route, status, 1000 * seconds)

    def _route(self, scope: Scope) -> str:
        return scope["path"] if scope["path"] in self.routes else "other"

    async def _guarded(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] != "POST":
            await self.app(scope, receive, send)
            return
        try:
            scope["polyrank.owner"] = self._keys.owner(scope["headers"])
            room = self._declared(scope)
        except Problem:
            await drained(receive)
            raise
        held = 0

        async def received() -> list[bytes] | None:
            """The body's chunks; None where there is no room for it."""
            nonlocal held
            chunks: list[bytes] = []
            async for chunk in body_of(receive):
                held += len(chunk)
                self._receiving += len(chunk)
                if held > room or self._receiving > self.settings.max_bodies:
                    return None
                chunks.append(chunk)
            return chunks

        try:
            chunks = await asyncio.wait_for(received(), self.settings.body_seconds)
            if chunks is not None:
                scope["polyrank.body"] = b"".join(chunks)
                del chunks
                await self.app(scope, receive, send)
                return
        except asyncio.TimeoutError:
            raise Problem(
                408,
                f"the body did not arrive within {self.settings.body_seconds:g} s",
                headers={"Connection": "close"},
            ) from None
        finally:
            self._receiving -= held
        await drained(receive)
        raise self._too_large() if held > room else self._too_many()

    def _declared(self, scope: Scope) -> int:
        """Bytes that a body may have.

        Raises:
            Problem: the request says that it has more.
        """
        length = dict(scope["headers"]).get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.settings.max_body:
            raise self._too_large()
        return self.settings.max_body

    def _too_large(self) -> Problem:
        return Problem(
            413,
            f"a request may have {self.settings.max_body} bytes; send fewer documents at a time",
            headers={"Connection": "close"},
        )

    def _too_many(self) -> Problem:
        return Problem(
            429,
            "too many requests are being received; try again",
            code="overloaded",
            headers={"Retry-After": "1", "Connection": "close"},
        )


async def body_of(receive: Receive) -> AsyncIterator[bytes]:
    """The chunks of a body.

    Raises:
        Gone: the client left before its end.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Gone
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def drained(receive: Receive) -> None:
    """Read what is left of a body and forget it, within bounds."""

    async def forgotten() -> None:
        read = 0
        async for chunk in body_of(receive):
            read += len(chunk)
            if read > DRAINED:
                return

    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(forgotten(), DRAIN_SECONDS)


async def refuse(problem: Problem, send: Send) -> None:
    """Send a problem as the answer."""
    body = json.dumps(problem.body()).encode()
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **problem.headers,
    }
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": problem.status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
