"""The mean of several cross-encoders' scores: what a student of several teachers learned."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from polyrank.collections.records import Document, Query
from polyrank.rerankers.cross_encoder import CrossEncoder
from polyrank.rerankers.pairs import PairScorer
from polyrank.training.examples.teachers import averaged


class MeanScorer(PairScorer):
    """Scores a query's candidates by the mean of several cross-encoders' scores.

    Args:
        members: at least one.
        scale: what is done to each one's scores of a query first, see `teachers.averaged`.
    """

    def __init__(self, members: Sequence[CrossEncoder], scale: str) -> None:
        self.members, self.scale, self.notes = members, scale, Counter[str]()

    def size(self) -> tuple[int, int]:
        """Parameters and bytes of all members."""
        sizes = [member.size() for member in self.members]
        return sum(p for p, _ in sizes), sum(b for _, b in sizes)

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """Mean scores in the order given; the pairs of a query are its candidates."""
        places: dict[Query, list[int]] = {}
        for place, (query, _) in enumerate(pairs):
            places.setdefault(query, []).append(place)
        columns = [member.score(pairs) for member in self.members]
        found = [0.0] * len(pairs)
        for some in places.values():
            means = averaged([[column[i] for i in some] for column in columns], self.scale)
            for place, value in zip(some, means, strict=True):
                found[place] = value
        return found
