"""Strengths from pairwise comparisons: soft labels where judges only said which is better.

Bradley & Terry 1952 (Biometrika 39): P(i beats j) = p_i / (p_i + p_j).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from polyrank.errors import UsageError

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Strengths:
    """What comparisons say.

    Attributes:
        logits: log-strengths, (n,), of mean 0 in each part: P(i beats j) = σ(logits_i − logits_j).
        parts: number of the connected part that an item belongs to, (n,). Items of different parts
            were never compared, not even through others: nothing says which is better.
        steps: updates that were made.
    """

    logits: Array
    parts: NDArray[np.int64]
    steps: int

    @property
    def connected(self) -> bool:
        return int(self.parts.max()) == 0


def bradley_terry(
    wins: Any, prior: float = 0.1, steps: int = 100_000, tolerance: float = 1e-8
) -> Strengths:
    """Strengths by minorisation–maximisation (Hunter 2004, Annals of Statistics 32, eq. 3).

    p_i ← W_i / Σ_j n_ij / (p_i + p_j), n_ij the comparisons of i with j, W_i the wins of i.

    Args:
        wins: wins[i, j] is how often i was found better than j, (n, n), weights allowed.
        prior: how many wins, and as many losses, each item is given against an imagined item of
            strength 1. It keeps the strength of one that never lost finite, and pulls those with
            few comparisons to the middle. 0 for none.
        steps, tolerance: stop when no log-strength moves by more, or after so many updates.

    Raises:
        UsageError: a matrix that is not square, negative or not finite; a winner against itself;
            without a prior, items of which no chain of defeats leads from one to the other and
            back, as then no finite strengths are the most likely ones; no end within the steps.
    """
    table = np.asarray(wins, dtype=np.float64)
    if table.ndim != 2 or table.shape[0] != table.shape[1] or not len(table):
        raise UsageError(f"wins must be a square matrix, not of shape {table.shape}")
    if not np.isfinite(table).all() or (table < 0).any() or np.diag(table).any():
        raise UsageError("wins must be finite, 0 or more, and 0 of an item against itself")
    if not (np.isfinite(prior) and prior >= 0):
        raise UsageError(f"the prior is {prior:g}; give 0 or more")
    from scipy.sparse.csgraph import connected_components

    count, parts = connected_components(table > 0, directed=False)
    if prior == 0:
        # Ford 1957: the maximum is finite just when every item of a part can be reached from every
        # other along wins.
        strong, _ = connected_components(table > 0, directed=True, connection="strong")
        if strong != count:
            raise UsageError(
                "some items won, or lost, every comparison, so that their strengths have no bound; "
                "give a prior above 0"
            )
    games = table + table.T
    won = table.sum(axis=1) + prior
    p = np.ones(len(table))
    for step in range(1, steps + 1):
        weight = (games / (p[:, None] + p[None, :])).sum(axis=1) + 2 * prior / (p + 1)
        new = np.divide(won, weight, out=p.copy(), where=weight > 0)  # alone, without prior: 1
        if prior == 0:
            new = np.exp(_centred(np.log(new), parts))  # only ratios are known
        moved = np.abs(np.log(new) - np.log(p)).max()
        p = new
        if moved < tolerance:
            return Strengths(_centred(np.log(p), parts), parts.astype(np.int64), step)
    raise UsageError(
        f"the strengths still moved by {moved:.1e} after {steps} updates; give more, or a prior"
    )


def _centred(logits: Array, parts: NDArray[Any]) -> Array:
    """Of mean 0 in each part."""
    means = np.bincount(parts, weights=logits) / np.bincount(parts)
    centred: Array = logits - means[parts]
    return centred
