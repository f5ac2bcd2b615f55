"""Connections whose request does not come: uvicorn waits for a head for ever, this does not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class PunctualProtocol(H11Protocol):
    """uvicorn's protocol, which closes a connection that does not send a request's head in time.

    A connection that has had an answer and is idle since is left to uvicorn's keep-alive.

    Args:
        seconds: from the connection, or from the first byte of a later request, to the head's end.
    """

    def __init__(self, *arguments: Any, seconds: float, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop()
        super().connection_lost(exc)

    def handle_events(self) -> None:
        """Read what has come, then wait or not for the rest of a head."""
        super().handle_events()
        begun = bool(self.conn.trailing_data[0])
        if self.conn.their_state is not h11.IDLE:
            self._stop()
        elif begun and self._timer is None:
            self._wait()

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self._seconds, self._late)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        if self.transport.is_closing():
            return
        if self.conn.trailing_data[0]:  # to a client that has said nothing nothing is said
            self.transport.write(LATE)
        self.transport.close()


def punctual(seconds: float) -> Callable[..., PunctualProtocol]:
    """What `uvicorn.Config` takes as `http`."""
    return partial(PunctualProtocol, seconds=seconds)
