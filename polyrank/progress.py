"""What the user sees meanwhile, on stderr: a bar for work of over two seconds, and messages."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from rich.progress import Progress

T = TypeVar("T")

PATIENCE = 2.0  # seconds before a bar appears


def note(message: str) -> None:
    """A message to the user, on stderr: results alone go to stdout."""
    print(f"polyrank: {message}", file=sys.stderr)


class Bar:
    """Counts steps; draws itself once the work has taken longer than PATIENCE."""

    def __init__(self, description: str, total: int | None, show: bool) -> None:
        self.description, self.total = description, total
        self.done = 0
        self._start = time.monotonic()
        self._show = show and sys.stderr.isatty()
        self._drawn: Progress | None = None

    def advance(self, steps: int = 1) -> None:
        self.done += steps
        if not self._show:
            return
        if self._drawn is None:
            if time.monotonic() - self._start < PATIENCE:
                return
            self._drawn = self._draw()
        self._drawn.update(self._drawn.task_ids[0], completed=self.done)

    def _draw(self) -> Progress:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        drawn = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        drawn.add_task(self.description, total=self.total)
        drawn.start()
        return drawn

    def close(self) -> None:
        if self._drawn is not None:
            self._drawn.stop()


@contextmanager
def bar(description: str, total: int | None = None, show: bool = True) -> Iterator[Bar]:
    """A bar to advance by hand; it is cleared on the way out, however that is taken."""
    drawn = Bar(description, total, show)
    try:
        yield drawn
    finally:
        drawn.close()


def track(
    items: Iterable[T], description: str, total: int | None = None, show: bool = True
) -> Iterator[T]:
    """The items one by one, with a bar.

    >>> list(track([1, 2], "counting"))
    [1, 2]
    """
    if total is None and isinstance(items, Sized):
        total = len(items)
    with bar(description, total, show) as drawn:
        for item in items:
            yield item
            drawn.advance()
