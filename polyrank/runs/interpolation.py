"""A reranking mixed with its first stage, query by query, as both come."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from polyrank.collections.records import Query, Run, ScoredDocument
from polyrank.rerankers.scoring import Ranking
from polyrank.runs.fusion import interpolate


@dataclass
class Interpolated:
    """Mixes every ranking with the first stage's of the same query.

    weight, normalise: as of `polyrank.runs.fusion.interpolate`.
    """

    weight: float
    normalise: str

    def __post_init__(self) -> None:
        self._first: Run = {}
        interpolate({}, {}, self.weight, self.normalise)  # refuses now, not after scoring

    def remember(self, rankings: Iterable[Ranking]) -> Iterator[Ranking]:
        """The same rankings of the first stage; each is kept until its query has been scored."""
        for query_id, hits in rankings:
            self._first[query_id] = hits
            yield query_id, hits

    def mix(
        self, scored: Iterable[tuple[Query, list[ScoredDocument]]]
    ) -> Iterator[tuple[Query, list[ScoredDocument]]]:
        """The scored rankings, in the order in which they were remembered, each mixed."""
        for query, hits in scored:
            while next(iter(self._first)) != query.id:  # was not scored: done before, or empty
                del self._first[next(iter(self._first))]
            first = {query.id: self._first.pop(query.id)}
            mixed = interpolate(first, {query.id: hits}, self.weight, self.normalise)
            yield query, mixed[query.id]
