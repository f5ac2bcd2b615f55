"""The mean of several rerankers' scores: what a student of several teachers learns."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from polyrank.collections.records import Document, Query
from polyrank.notes import Notes
from polyrank.rerankers.base import ListReranker, Ranking, Request, best_first
from polyrank.rerankers.pairs import PairScorer
from polyrank.rerankers.scales import SCALES


def averaged(columns: Sequence[Sequence[float]], scale: str = "raw") -> tuple[float, ...]:
    """The mean over rerankers of their scores of one query's candidates.

    Args:
        columns: per reranker its scores, in the same order.
        scale: what is done to each one's scores first: nothing ('raw'), brought to [0, 1]
            ('min-max') or to mean 0 and deviation 1 ('z-score'), so that none outweighs another.
            Scores that are all equal become 0.
    """
    scaled = [SCALES[scale](np.asarray(column, dtype=np.float64)) for column in columns]
    return tuple(np.mean(scaled, axis=0).tolist())


class MeanReranker(ListReranker):
    """Ranks a query's candidates by the mean of several rerankers' scores.

    Scaled scores depend on the whole list, so it is listwise.

    Args:
        members: at least one, each scoring pairs.
        scale: what is done to each one's scores of a query first, see `averaged`.
    """

    def __init__(self, members: Sequence[PairScorer], scale: str = "raw") -> None:
        self.members, self.scale = members, scale

    @property
    def notes(self) -> Notes:
        """What the members assumed or cut so far."""
        return sum((member.notes for member in self.members), Notes())

    def size(self) -> tuple[int, int]:
        """Parameters and bytes of all members."""
        sizes = [member.size() for member in self.members]
        return sum(p for p, _ in sizes), sum(b for _, b in sizes)

    def identity(self) -> Mapping[str, str]:
        """Of what the scores depend on: that of every member, and the scale."""
        parts = {
            f"{place} {name}": value
            for place, member in enumerate(self.members)
            for name, value in member.identity().items()
        }
        return {**parts, "scale": self.scale}

    def check_languages(self, queries: Iterable[Query], documents: Iterable[Document]) -> None:
        """Refuse, before anything is searched or scored, what one of the members refuses.

        Raises:
            PolyrankError: a language that a member cannot take.
        """
        queries, documents = list(queries), list(documents)
        for member in self.members:
            member.check_languages(queries, documents)

    def rank_request(self, request: Request) -> Ranking:
        """The candidates of one query by their mean scores."""
        before = self.notes
        columns = [member.score(request.pairs) for member in self.members]
        means = averaged(columns, self.scale)
        return best_first(request, means, notes=self.notes - before)
