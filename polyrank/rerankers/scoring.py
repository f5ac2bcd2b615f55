"""From a scorer of pairs to the ranking of a query."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

from polyrank.collections.records import Document, Query, ScoredDocument, ranked
from polyrank.errors import PolyrankError

Work = tuple[Query, Sequence[Document]]  # a query and its candidates
Ranking = tuple[str, list[ScoredDocument]]  # a query's id and its candidates


class Scorer(Protocol):
    """What scores pairs of texts: higher is better, and the same pairs get the same scores."""

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]: ...


@runtime_checkable
class StreamScorer(Protocol):
    """A scorer that takes many queries at once, and gives their scores in the same order."""

    def score_queries(self, work: Iterable[Work]) -> Iterator[tuple[Work, list[float]]]: ...


def best_first(
    query: Query, documents: Sequence[Document], scores: Sequence[float]
) -> list[ScoredDocument]:
    """Every document once, best first; ties by document id.

    Scores keep nine digits, which hold any fp32 value, so that the order survives writing.
    """
    if len(scores) != len(documents):
        raise PolyrankError(
            f"query '{query.id}': {len(documents)} candidates but {len(scores)} scores"
        )
    for document, score in zip(documents, scores, strict=True):
        if not math.isfinite(score):
            raise PolyrankError(
                f"query '{query.id}', document '{document.id}': the score is {score}. "
                "Try --dtype float32, or look whether the module was trained to the end."
            )
    return ranked(
        ScoredDocument(query.id, document.id, float(f"{score:.9g}"))
        for document, score in zip(documents, scores, strict=True)
    )


def rerank_query(
    scorer: Scorer, query: Query, documents: Sequence[Document]
) -> list[ScoredDocument]:
    """The candidates of one query in the scorer's order."""
    return best_first(query, documents, scorer.score([(query, document) for document in documents]))


def rerank_queries(
    scorer: Scorer, work: Iterable[Work]
) -> Iterator[tuple[Query, list[ScoredDocument]]]:
    """Each query with its candidates in the scorer's order, one after the other."""
    if isinstance(scorer, StreamScorer):
        for (query, documents), scores in scorer.score_queries(work):
            yield query, best_first(query, documents, scores)
    else:
        for query, documents in work:
            yield query, rerank_query(scorer, query, documents)
