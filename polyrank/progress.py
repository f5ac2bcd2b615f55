"""What the user sees meanwhile, on stderr: a bar for work of over two seconds, and messages.

Without a terminal, as in a log, a line a minute stands for the bar.
"""

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
EVERY = 60.0  # seconds between two lines, where there is no terminal


# What a terminal obeys rather than shows: C0 but tab and line feed, DEL, C1.
_OBEYED = dict.fromkeys(
    {*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A}, "\N{REPLACEMENT CHARACTER}"
)


def printable(text: str) -> str:
    """A text from outside as a terminal may have it: no control character reaches it.

    >>> printable("one" + chr(27) + "[31mtwo") == "one\N{REPLACEMENT CHARACTER}[31mtwo"
    True
    """
    return text.translate(_OBEYED)


def say(*cells: object, sep: str = " ", end: str = "\n") -> None:
    """A line of results for people, on stdout; what machines read stays as it is."""
    print(printable(sep.join(map(str, cells))), end=end)


def note(message: str) -> None:
    """A message to the user, on stderr: results alone go to stdout."""
    print(f"polyrank: {printable(message)}", file=sys.stderr)


class Bar:
    """Counts steps; draws itself once the work has taken longer than PATIENCE."""

    def __init__(self, description: str, total: int | None, show: bool) -> None:
        self.description, self.total = description, total
        self.done = 0
        self._start = time.monotonic()
        self._wanted, self._told = show, self._start
        self._show = show and sys.stderr.isatty()
        self._drawn: Progress | None = None

    def advance(self, steps: int = 1) -> None:
        self.done += steps
        if not self._show:
            self._tell()
            return
        if self._drawn is None:
            if time.monotonic() - self._start < PATIENCE:
                return
            self._drawn = self._draw()
        self._drawn.update(self._drawn.task_ids[0], completed=self.done)

    def _tell(self) -> None:
        """A line, when a minute has passed since the last."""
        now = time.monotonic()
        if not self._wanted or now - self._told < EVERY:
            return
        self._told = now
        of = f" of {self.total:,}" if self.total else ""
        minutes = (now - self._start) / 60
        note(f"{self.description or 'working'}: {self.done:,}{of} after {minutes:.0f} min")

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
