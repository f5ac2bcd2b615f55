"""A reranker mixed with its first stage, query by query."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from polyrank.collections.records import Document, Query, ScoredDocument, ranked
from polyrank.errors import UsageError
from polyrank.rerankers.base import (
    ListReranker,
    Ranking,
    Request,
    Reranker,
    best_first,
    check_languages,
)
from polyrank.runs.fusion import interpolate


class Interpolated(ListReranker):
    """Ranks by (1 − weight) · first stage + weight · reranker, each normalised over the candidates.

    Args:
        reranker: what is mixed in.
        weight: of the reranker, from 0 to 1.
        normalise: 'min-max' or 'z-score', as of `polyrank.runs.fusion.interpolate`.

    Raises:
        UsageError: another normalisation, or a weight outside 0 to 1.
    """

    reads_first_stage = True

    def __init__(self, reranker: Reranker, weight: float, normalise: str = "min-max") -> None:
        interpolate({}, {}, weight, normalise)  # refuses now, not after scoring
        self.reranker, self.weight, self.normalise = reranker, weight, normalise

    def identity(self) -> Mapping[str, str]:
        """That of the reranker, with weight and normalisation."""
        return {
            **self.reranker.identity(),
            "interpolate": f"{self.weight:g} {self.normalise}",
        }

    def rank_all(self, requests: Iterable[Request]) -> Iterator[Ranking]:
        """The reranker's rankings, each mixed with the scores in its request.

        Raises:
            UsageError: a request without first-stage scores.
        """
        waiting: deque[Request] = deque()  # requests whose rankings have not come, oldest first

        def passed_on() -> Iterator[Request]:
            for request in requests:
                waiting.append(request)
                yield request

        for ranking in self.reranker.rank_all(passed_on()):
            yield self._mixed(waiting.popleft(), ranking)

    def check_languages(self, queries: Iterable[Query], documents: Iterable[Document]) -> None:
        """Refuse, before anything is searched or scored, what the reranker refuses."""
        check_languages(self.reranker, queries, documents)

    def rank_request(self, request: Request) -> Ranking:
        """The candidates of one query, mixed."""
        (ranking,) = self.rank_all([request])
        return ranking

    def _mixed(self, request: Request, ranking: Ranking) -> Ranking:
        if request.first_stage is None:
            raise UsageError(
                f"query '{request.query.id}' has no first-stage scores to mix with; rerank a run, "
                "or leave out the interpolation"
            )
        query_id = request.query.id
        first = ranked(
            ScoredDocument(query_id, document.id, score)
            for document, score in zip(request.documents, request.first_stage, strict=True)
        )
        mixed = interpolate(
            {query_id: first}, {query_id: list(ranking.hits)}, self.weight, self.normalise
        )
        scores = {hit.document_id: hit.score for hit in mixed[query_id]}
        again = best_first(request, [scores[document.id] for document in request.documents])
        return replace(ranking, hits=again.hits)
