"""What scores become as labels: probabilities and grades by quantiles, and joined ranks."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Scores = Sequence[tuple[float, ...]]  # one tuple a question

HIGHEST = 10  # grades are 0 to 10


def quantiles(scores: Scores) -> list[tuple[float, ...]]:
    """The share of all scores of the file that are lower, with half of the equal ones: in (0, 1).

    It keeps the order of scores across questions and depends on nothing else, so that teachers of
    any scale give probabilities.

    >>> quantiles([(1.0, 3.0), (2.0, 2.0)])
    [(0.125, 0.875), (0.5, 0.5)]
    """
    every = np.sort(np.concatenate([np.asarray(row, float) for row in scores]))

    def share(row: tuple[float, ...]) -> tuple[float, ...]:
        below = np.searchsorted(every, row, side="left") + np.searchsorted(every, row, side="right")
        return tuple((below / (2 * len(every))).tolist())

    return [share(row) for row in scores]


def grades(scores: Scores) -> list[tuple[float, ...]]:
    """Whole grades from 0 to 10: an eleventh of all scores has each, but for ties.

    >>> grades([(0.0, 5.0), (9.0, 2.0)])
    [(1.0, 6.0), (9.0, 4.0)]
    """
    return [tuple(float(int(share * (HIGHEST + 1))) for share in row) for row in quantiles(scores)]


def as_they_are(scores: Scores) -> list[tuple[float, ...]]:
    """Raw scores."""
    return list(scores)


FORMS: Mapping[str, Callable[[Scores], list[tuple[float, ...]]]] = {
    "scores": as_they_are,
    "chances": quantiles,
    "grades": grades,
}


def joined_ranks(
    point: Sequence[float], listed: Sequence[float], beta: float = 0.5
) -> tuple[float, ...]:
    """S = −β · log rank_point − (1 − β) · log rank_list, of one question (GroupRank,
    arXiv 2511.11653), which needs no answers. Equal scores share the mean of their ranks.

    >>> joined_ranks([3.0, 1.0], [0.2, 0.9], beta=0.5)
    (-0.34657359027997264, -0.34657359027997264)

    Args:
        point: scores of a teacher that judges each passage by itself, (N,).
        listed: those of one that sees the list, (N,).
        beta: weight of the first, from 0 to 1.
    """
    joined = -beta * np.log(_ranks(point)) - (1 - beta) * np.log(_ranks(listed))
    return tuple(joined.tolist())


def _ranks(scores: Sequence[float]) -> NDArray[np.float64]:
    """Ranks from 1, the highest score first; equal ones share the mean."""
    from scipy.stats import rankdata

    ranks: NDArray[np.float64] = rankdata(-np.asarray(scores, float))
    return ranks
