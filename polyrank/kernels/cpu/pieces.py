"""How the compiled kernel's work is cut into pieces, and done by threads.

A piece takes some milliseconds, since an interrupt waits for one. No score depends on the cuts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

import torch
from torch import Tensor

from polyrank.kernels.contract import Problem
from polyrank.kernels.cpu import threads

QUERY_ROWS = 512  # query tokens of one piece: a quarter of a megabyte at 128 dimensions
PIECE = 1 << 22  # similarities of one piece
SHARED = 1 << 19  # similarities from which threads share the work: half a millisecond or more
SHARES = 4  # pieces for each thread at least, where threads share

Piece = tuple[int, int, int, int]  # first and last query, first and last column
Part = TypeVar("Part")


def _threads(work: int) -> int:
    """How many threads take part; 1 where starting them costs more than it brings."""
    return torch.get_num_threads() if work >= SHARED else 1


def parts(work: int) -> int:
    """Into how many parts so many similarities are cut."""
    several = _threads(work)
    return max(-(-work // PIECE), several * SHARES if several > 1 else 1)


def share(several: Iterable[Part], do: Callable[[Part], None], work: int) -> None:
    """Do all parts of so many similarities, on threads where there are enough."""

    def each(own: Iterable[Part]) -> None:
        for part in own:
            do(part)

    known = list(several)
    most = max(min(_threads(work), len(known)), 1)
    threads.share(known, each, most, torch.get_num_threads())


def pieces(problem: Problem, ends: Tensor | None, tokens: int, wanted: int) -> Iterator[Piece]:
    """All queries and columns, in about as many pieces as are wanted.

    Args:
        ends: offsets of the documents in the columns (N + 1,), if they lie in order.
        tokens: of all queries.
    """
    count = problem.queries.count
    together = min(count, wanted) if problem.own else -(-tokens // QUERY_ROWS)
    cuts = -(-wanted // max(together, 1))
    alike = problem.own or ends is None or cuts == 1
    columns = list(even(problem.columns, cuts) if alike or ends is None else by_rows(ends, cuts))
    for first, last in even(count, together):
        for start, stop in columns:
            yield first, last, start, stop


def by_rows(ends: Tensor, cuts: int) -> Iterator[tuple[int, int]]:
    """Documents, first and last, in runs of about as many rows."""
    first, last = int(ends[0]), int(ends[-1])
    steps = ends.new_tensor([first + (last - first) * i // cuts for i in range(1, cuts)])
    edges = [0, *torch.searchsorted(ends, steps).tolist(), len(ends) - 1]
    yield from ((a, b) for a, b in zip(edges, edges[1:], strict=False) if a < b)


def even(count: int, cuts: int) -> Iterator[tuple[int, int]]:
    """First and last of runs of about as many things, at most one run for each."""
    cuts = min(max(cuts, 1), max(count, 1))
    for i in range(cuts):
        if i * count // cuts < (i + 1) * count // cuts:
            yield i * count // cuts, (i + 1) * count // cuts
