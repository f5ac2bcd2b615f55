"""Sliding windows over a list, from its tail to its head.

Each window is put into order and hands its best on to the next, so that a good document rises from
the tail of a list of any length (Sun et al. 2023, arXiv 2304.09542). With a window of w and a step
of s, w − s documents are carried on.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence

Windows = Generator[list[int], Sequence[int], list[int]]


def windows(count: int, window: int = 20, step: int = 10) -> Windows:
    """Yields the places of each window in their present order, and takes them back best first.

    Returns:
        The places 0 … count − 1 in the order of the windows.
    """
    places = list(range(count))
    start = max(0, count - window)
    while True:
        shown = places[start : start + window]
        found = list((yield shown))
        if sorted(found) != sorted(shown):
            raise AssertionError("a window must come back with the same documents")
        places[start : start + window] = found
        if start == 0:
            return places
        start = max(0, start - step)
