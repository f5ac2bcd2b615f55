"""Ranks over all answers to all documents of a query (ERank, arXiv 2509.00520)."""

from __future__ import annotations

from collections.abc import Sequence

PENALTY = -1.0


def rank_rewards(
    scores: Sequence[Sequence[float | None]],
    relevant: Sequence[bool],
    expected: Sequence[float | None] = (),
    penalty: float = PENALTY,
    highest: float = 10.0,
) -> list[list[float]]:
    """A reward for each answer, by where its score stands among those of all documents.

    The N × G scores of a query are pooled and ranked, equal ones at the best of their ranks. An
    answer to a relevant document earns 1 / rank. One to another document that scores above any
    answer to a relevant one, or as high, earns the penalty; below all of them it earns
    1 − ((score − expected) / highest)², near 1 where the model stays by the score that it gave
    after imitation. An answer without a score earns the penalty.

    After the paper, which does not print its penalties.

    >>> rank_rewards([[9, 7], [2, 8]], [True, False], [None, 2.0])
    [[1.0, 0.3333333333333333], [1.0, -1.0]]

    Args:
        scores: (N, G): of G answers for each of N documents; None where none could be read.
        relevant: of each document.
        expected: of each document, its score before; None, or nothing, for 0.
        penalty: of a negative above a positive, and of a bad form.
        highest: of the scale.
    """
    before = list(expected) or [None] * len(scores)
    pool = [score for row in scores for score in row if score is not None]
    of_relevant = [
        score
        for row, good in zip(scores, relevant, strict=True)
        for score in row
        if good and score is not None
    ]
    lowest = min(of_relevant, default=float("inf"))

    def reward(score: float | None, good: bool, stood: float | None) -> float:
        if score is None:
            return penalty
        if good:
            return 1 / (1 + sum(other > score for other in pool))
        if score >= lowest:
            return penalty
        return 1 - ((score - (stood or 0.0)) / highest) ** 2

    return [
        [reward(score, good, stood) for score in row]
        for row, good, stood in zip(scores, relevant, before, strict=True)
    ]
