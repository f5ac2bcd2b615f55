"""Sorting by a function that only picks the best of a few (setwise, Zhuang et al. 2310.09497).

Both ways find the best k of n; the rest keep their order below them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

Pick = Callable[[Sequence[int]], int]  # places → the place of the best of them


def heap_sort(count: int, pick: Pick, k: int, width: int = 20) -> list[int]:
    """Heap sort whose nodes have width − 1 children, so that a pick sees up to `width` places.

    Building the heap takes about n / (width − 1) picks, each of the k places about log n / log
    width more.
    """
    children = width - 1
    heap = list(range(count))

    def sift(node: int, size: int) -> None:
        while (first := node * children + 1) < size:
            family = [node, *range(first, min(first + children, size))]
            places = [heap[member] for member in family]
            best = family[places.index(pick(places))]
            if best == node:
                return
            heap[node], heap[best] = heap[best], heap[node]
            node = best

    for node in reversed(range((count + children - 2) // children)):
        sift(node, count)
    found: list[int] = []
    size = count
    while size and len(found) < k:
        found.append(heap[0])
        size -= 1
        heap[0], heap[size] = heap[size], heap[0]
        sift(0, size)
    return _with_rest(found, count)


def tournament(count: int, pick: Pick, k: int, width: int = 20) -> list[int]:
    """Rounds of groups of `width`, whose winners meet; after each winner only its own groups again.

    The first round takes about n / (width − 1) picks, each further place one for each round.
    """
    results: dict[tuple[int, ...], int] = {}  # a group that did not change is not played again

    def winner(entrants: Sequence[int]) -> int:
        group = tuple(entrants)
        if len(group) == 1:
            return group[0]
        if group not in results:
            results[group] = pick(group)
        return results[group]

    groups = [list(range(start, min(start + width, count))) for start in range(0, count, width)]
    found: list[int] = []
    while len(found) < min(k, count):
        rounds = [winner(group) for group in groups if group]
        while len(rounds) > 1:
            rounds = [winner(rounds[s : s + width]) for s in range(0, len(rounds), width)]
        found.append(rounds[0])
        for group in groups:
            if rounds[0] in group:
                group.remove(rounds[0])
    return _with_rest(found, count)


SORTS = {"heap": heap_sort, "tournament": tournament}


def setwise_sort(
    pick: Pick, documents: Sequence[int] | int, k: int = 10, width: int = 20, sort: str = "heap"
) -> list[int]:
    """Places with the best k first, by one of `SORTS`; `documents` are places, or how many.

    >>> setwise_sort(min, 6, k=2, width=3)
    [0, 1, 2, 3, 4, 5]
    >>> setwise_sort(max, 6, k=2, width=3, sort="tournament")
    [5, 4, 0, 1, 2, 3]
    """
    if isinstance(documents, int):
        return SORTS[sort](documents, pick, k, width)
    chosen = list(documents)
    order = SORTS[sort](
        len(chosen),
        lambda places: places[[chosen[p] for p in places].index(pick([chosen[p] for p in places]))],
        k,
        width,
    )
    return [chosen[place] for place in order]


def _with_rest(found: list[int], count: int) -> list[int]:
    taken = set(found)
    return [*found, *(place for place in range(count) if place not in taken)]
