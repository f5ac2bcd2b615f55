"""Independent pieces of work on several threads, each of which runs PyTorch on one.

PyTorch's own threads meet after every operation. While another process holds a core, each meeting
waits for the scheduler, 4 ms on Linux: with a hundred short operations that is most of the time.
Threads that each take whole pieces meet once.

OpenMP's threads, which PyTorch uses, also spin for some milliseconds after work, on cores that the
threads here want. So what comes before a call of `each` is done in `one_thread`, if it is short.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from functools import cache
from threading import Barrier
from typing import TypeVar

import torch

Piece = TypeVar("Piece")


@contextmanager
def one_thread() -> Iterator[None]:
    """PyTorch uses the calling thread alone."""
    own = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(own)  # what a thread sets, threads started later begin with


def each(
    pieces: Iterable[Piece], worker: Callable[[], Callable[[Piece], None]], threads: int
) -> None:
    """Do every piece by PyTorch, in any order, on as many threads, the calling one among them.

    Args:
        worker: makes what does a piece, once for every thread, so that a thread can have memory of
            its own. No gradients are recorded in it.
        threads: with 1, the pieces are done in their order.
    """

    def work(own: Iterator[Piece]) -> None:
        with torch.inference_mode():  # may write to tensors of either mode
            do = worker()
            for piece in own:
                do(piece)

    most = max(torch.get_num_threads(), threads)
    with one_thread():
        share(pieces, work, threads, most)


def share(
    pieces: Iterable[Piece], work: Callable[[Iterator[Piece]], None], threads: int, most: int
) -> None:
    """As `each`, for work that is not PyTorch's.

    Args:
        work: does the pieces that it is given, of which other threads take others.
        most: threads that any call may want.
    """
    queue = deque(pieces)

    def own() -> Iterator[Piece]:
        while queue:
            try:
                yield queue.popleft()
            except IndexError:  # another thread took the last one
                return

    def run() -> None:
        try:
            work(own())
        except BaseException:
            queue.clear()  # the others stop, too
            raise

    helpers = _pool(os.getpid(), most - 1) if threads > 1 else None
    running = [helpers.submit(run) for _ in range(threads - 1)] if helpers else []
    try:
        run()
    finally:
        if running:
            wait(running)
    for done in running:
        done.result()


@cache
def _pool(process: int, threads: int) -> ThreadPoolExecutor:
    """Threads that stay, so that their memory does: fresh memory costs as much as a product. They
    are the same ones however many a call takes. After a fork there are none, hence the process's
    number."""
    pool = ThreadPoolExecutor(threads, "polyrank", torch.set_num_threads, (1,))
    # All start here, inside `one_thread`: one that started later would leave its 1 to threads
    # started after it.
    with one_thread():
        started = Barrier(threads)
        wait([pool.submit(started.wait) for _ in range(threads)])
    return pool
