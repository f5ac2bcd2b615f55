"""Sliding windows over a list, from its tail to its head.

Each window is put into order and hands its best on to the next, so that a good document rises from
the tail of a list of any length (Sun et al. 2023, arXiv 2304.09542). With a window of w and a step
of s, w − s documents are carried on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Order = Callable[[Sequence[int]], Sequence[int]]


def slide(count: int, order: Order, window: int = 20, step: int = 10) -> list[int]:
    """The places 0 … count − 1 in the order of the windows.

    Args:
        order: takes the places of a window in their present order, gives them best first.

    >>> slide(5, sorted, window=3, step=2)
    [0, 1, 2, 3, 4]
    >>> slide(5, lambda places: sorted(places, reverse=True), window=3, step=2)
    [4, 1, 0, 3, 2]
    """
    places = list(range(count))
    start = max(0, count - window)
    while True:
        shown = places[start : start + window]
        found = list(order(shown))
        if sorted(found) != sorted(shown):
            raise AssertionError("a window must come back with the same documents")
        places[start : start + window] = found
        if start == 0:
            return places
        start = max(0, start - step)
