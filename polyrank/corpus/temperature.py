"""How much of a mixture each language gets: shares at a temperature, whole numbers of a budget."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def shares(sizes: Sequence[int], alpha: float) -> NDArray[np.float64]:
    """p_l = n_l^α / Σ n^α, (L,): α = 1 keeps the sizes' proportions, α = 0 makes all equal.

    As XLM-R samples its languages, with α = 0.3 (Conneau et al. 2020, arXiv 1911.02116, §3.1).
    """
    weights = np.array(sizes, float) ** alpha
    return weights / weights.sum()


def apportion(budget: int, parts: NDArray[np.float64]) -> list[int]:
    """Whole numbers that sum to the budget and are nearest to its parts (largest remainders).

    >>> apportion(10, np.array([0.55, 0.3, 0.15]))
    [6, 3, 1]
    """
    exact = budget * parts
    whole = np.floor(exact).astype(np.int64)
    rest = budget - int(whole.sum())
    whole[np.argsort(whole - exact, kind="stable")[:rest]] += 1
    return [int(number) for number in whole]


def draw(sizes: NDArray[np.int64], quota: int, random: np.random.Generator) -> NDArray[np.int64]:
    """How often each line is taken, (n,), so that the sizes of what is taken reach the quota.

    All lines are taken equally often, and of the remainder random ones without repetition, as many
    as fit. So no line is taken twice before all have been taken once.

    Args:
        sizes: of each line, (n,): 1, or its tokens.
        quota: the sum to reach; it is undercut by less than a line.
    """
    passes, rest = divmod(quota, int(sizes.sum()))
    times = np.full(len(sizes), passes, np.int64)
    order = random.permutation(len(sizes))
    fitting = np.searchsorted(np.cumsum(sizes[order]), rest, side="right")
    times[order[:fitting]] += 1
    return times
