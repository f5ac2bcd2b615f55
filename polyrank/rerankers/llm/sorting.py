"""Sorting by a function that only picks the best of a few (setwise, Zhuang et al. 2310.09497).

Both ways find the best k of n; the rest keep their order below them. They yield the places among
which to pick and take back the place of the best; `setwise_sort` runs them with a function.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

Picks = Generator[tuple[int, ...], int, list[int]]


def heap_sort(count: int, k: int, width: int = 20) -> Picks:
    """Heap sort whose nodes have width − 1 children, so that a pick sees up to `width` places.

    Building the heap takes about n / (width − 1) picks, each of the k places as many more as the
    heap has levels.
    """
    children = width - 1
    heap = list(range(count))

    def sift(node: int, size: int) -> Generator[tuple[int, ...], int, None]:
        while (first := node * children + 1) < size:
            family = [node, *range(first, min(first + children, size))]
            places = tuple(heap[member] for member in family)
            best = family[places.index((yield places))]
            if best == node:
                return
            heap[node], heap[best] = heap[best], heap[node]
            node = best

    for node in reversed(range((count + children - 2) // children)):
        yield from sift(node, count)
    found: list[int] = []
    size = count
    while size and len(found) < k:
        found.append(heap[0])
        size -= 1
        heap[0], heap[size] = heap[size], heap[0]
        if len(found) < k:
            yield from sift(0, size)
    return _with_rest(found, count)


def tournament(count: int, k: int, width: int = 20) -> Picks:
    """Groups of `width` whose winners meet, in rounds; then again without the winner.

    A group that did not change is not played again, so each further place takes one pick a round.
    """
    results: dict[tuple[int, ...], int] = {}

    def winner(group: tuple[int, ...]) -> Generator[tuple[int, ...], int, int]:
        if len(group) == 1:
            return group[0]
        if group not in results:
            results[group] = yield group
        return results[group]

    groups = [tuple(range(start, min(start + width, count))) for start in range(0, count, width)]
    found: list[int] = []
    while len(found) < min(k, count):
        entrants = []
        for group in groups:
            if group:
                entrants.append((yield from winner(group)))
        while len(entrants) > 1:
            met = []
            for start in range(0, len(entrants), width):
                met.append((yield from winner(tuple(entrants[start : start + width]))))
            entrants = met
        found.append(entrants[0])
        groups = [tuple(place for place in group if place != entrants[0]) for group in groups]
    return _with_rest(found, count)


SORTS: dict[str, Callable[[int, int, int], Picks]] = {
    "heap": heap_sort,
    "tournament": tournament,
}


def setwise_sort(
    pick: Callable[[tuple[int, ...]], int],
    count: int,
    k: int = 10,
    width: int = 20,
    sort: str = "heap",
) -> list[int]:
    """The places 0 … count − 1 with the best k first, by one of `SORTS`.

    >>> setwise_sort(min, 6, k=2, width=3)
    [0, 1, 2, 3, 4, 5]
    >>> setwise_sort(max, 6, k=2, width=3, sort="tournament")
    [5, 4, 0, 1, 2, 3]
    """
    picks = SORTS[sort](count, k, width)
    try:
        shown = next(picks)
        while True:
            shown = picks.send(pick(shown))
    except StopIteration as done:
        order: list[int] = done.value
        return order


def _with_rest(found: list[int], count: int) -> list[int]:
    taken = set(found)
    return [*found, *(place for place in range(count) if place not in taken)]
