"""Jobs for callers who may leave: handed to the queue, waited for, dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from polyrank.server.metrics import Metrics
from polyrank.server.problems import CLOSED, Problem
from polyrank.server.work import Busy, Closed, Job, WorkQueue

T = TypeVar("T")
Gone = Callable[[], Awaitable[None]]  # ends when the client has closed its connection


@dataclass(frozen=True)
class Caller:
    """Who asks: whose bounds count, and how to learn that they left."""

    owner: str
    gone: Gone


class Dispatcher:
    """Gives jobs to the queue, and short work to a thread beside it.

    Args:
        queue: before the models.
        metrics: count what is refused.
    """

    def __init__(self, queue: WorkQueue, metrics: Metrics) -> None:
        self.queue, self.metrics = queue, metrics
        self._aside = ThreadPoolExecutor(1, "polyrank-language")

    def close(self) -> None:
        """Finish what is worked on beside the queue."""
        self._aside.shutdown()

    async def aside(self, function: Callable[..., T], *arguments: Any) -> T:
        """What a function gives, run beside the models: languages are identified there."""
        return await asyncio.get_running_loop().run_in_executor(self._aside, function, *arguments)

    async def done(self, job: Job, caller: Caller, bounded: bool = True) -> Any:
        """A job's result; it is dropped when its client leaves.

        Args:
            bounded: as of `WorkQueue.submit`.

        Raises:
            Problem: no room, shutting down, or the client left; and whatever the job raises.
        """
        try:
            self.queue.submit(job, bounded)
        except Busy as busy:
            self.metrics.refused.inc()
            raise Problem(
                429,
                f"too many requests are waiting; try again in {busy.seconds} s",
                code="overloaded",
                headers={"Retry-After": str(busy.seconds)},
            ) from None
        except Closed:
            raise Problem(503, "the server is shutting down", code="unavailable") from None
        result = asyncio.wrap_future(job.future)
        left = asyncio.ensure_future(caller.gone())
        try:
            await asyncio.wait({result, left}, return_when=asyncio.FIRST_COMPLETED)
            if not result.done():
                raise Problem(CLOSED, "the client closed the connection")
            return result.result()
        finally:
            left.cancel()
            if not result.done():
                job.drop()
