"""How alike two rankings are, with more weight at their tops."""

from __future__ import annotations

from collections.abc import Sequence


def tau_ap(ranking: Sequence[str], reference: Sequence[str]) -> float:
    """τ_AP (Yilmaz, Aslam & Robertson 2008, SIGIR, eq. 4): average precision's rank correlation.

        τ_AP = 2 / (N − 1) · Σ_{i=2..N} C(i) / (i − 1) − 1

    C(i): of the items above rank i in `ranking`, how many `reference` has above item i, too. A swap
    at the top costs more than one at the bottom.

    Args:
        ranking, reference: the same items, each once, best first.

    Returns:
        1 for the same order, −1 for the reverse; the two arguments are not interchangeable.

    Raises:
        ValueError: other items in one than in the other, or fewer than two.
    """
    if len(ranking) < 2 or len(set(ranking)) != len(ranking) or set(ranking) != set(reference):
        raise ValueError("τ_AP needs two orders of the same items, of which there are two or more")
    place = {item: number for number, item in enumerate(reference)}
    total = 0.0
    for i, item in enumerate(ranking[1:], start=1):
        total += sum(place[above] < place[item] for above in ranking[:i]) / i
    return 2 * total / (len(ranking) - 1) - 1


def tau_ap_of_shared(a: Sequence[str], b: Sequence[str]) -> float | None:
    """The mean of τ_AP both ways, over the items that two rankings share; None for fewer than two.

    >>> tau_ap_of_shared(["x", "y", "z"], ["z", "y", "w"])
    -1.0
    """
    ours, theirs = set(a), set(b)
    left, right = [i for i in a if i in theirs], [i for i in b if i in ours]
    if len(left) < 2:
        return None
    return (tau_ap(left, right) + tau_ap(right, left)) / 2
