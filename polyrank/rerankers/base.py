"""The contract of every reranker: a query with its candidates in, a ranking of them out.

    Request   one query, its candidates, and their scores in the first stage
    Ranking   every candidate once, best first, with details and notes
    Reranker  rank_all(requests) → rankings, one for each request, in their order

A reranker sees the candidates of one query together and never those of another, so listwise,
groupwise and generating rerankers need no case of their own. Rerankers that score single pairs
define `score(pairs)` and inherit the rest from `polyrank.rerankers.pairs.PairScorer`; those that
see a whole list inherit from `ListReranker`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from polyrank.collections.records import Collection, Document, Query, Run, ScoredDocument, ranked
from polyrank.collections.texts import Documents, as_documents, one_query, run_of
from polyrank.collections.without_text import put_last
from polyrank.errors import PolyrankError, UsageError
from polyrank.notes import Notes
from polyrank.progress import track


@dataclass(frozen=True)
class Request:
    """One query and its candidates.

    first_stage: the candidates' scores in the first stage, for rerankers that read them; None
        where there are none.
    """

    query: Query
    documents: tuple[Document, ...]
    first_stage: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.first_stage is not None and len(self.first_stage) != len(self.documents):
            raise UsageError(
                f"query '{self.query.id}': {len(self.documents)} candidates but "
                f"{len(self.first_stage)} first-stage scores; give one for each"
            )

    @property
    def pairs(self) -> list[tuple[Query, Document]]:
        """The query with each candidate."""
        return [(self.query, document) for document in self.documents]


@dataclass(frozen=True)
class Ranking:
    """What came of a request.

    query_id: of the request.
    hits: every candidate once, best first.
    details: document id → what the reranker says of it: evidence, contribution, reasoning, scores
        of labels. Only documents of which it says something. Plain types, for JSON.
    notes: what was assumed, cut or malformed.
    """

    query_id: str
    hits: tuple[ScoredDocument, ...]
    details: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    notes: Notes = field(default_factory=Notes)


@runtime_checkable
class Reranker(Protocol):
    """What puts candidates into an order."""

    def rank_all(self, requests: Iterable[Request]) -> Iterator[Ranking]:
        """A ranking for each request, in their order; requests are taken as they are needed."""
        ...

    def identity(self) -> Mapping[str, str]:
        """Of what the scores depend on, for resume and caches: name → hash or setting."""
        ...


class Scorer(Protocol):
    """What scores pairs of texts: higher is better, and the same pairs get the same scores."""

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]: ...


class Retriever(Protocol):
    """A first stage: anything that finds candidates for queries."""

    def search(self, queries: Any, depth: int = 100) -> Run: ...


def best_first(
    request: Request,
    scores: Sequence[float],
    details: Mapping[str, Mapping[str, Any]] | None = None,
    notes: Notes | None = None,
) -> Ranking:
    """Every candidate once, best first; ties by document id, those without text last and counted.

    Scores keep nine digits, which hold any fp32 value, so that the order survives writing.

    Raises:
        PolyrankError: another number of scores than candidates, or one that is not finite.
    """
    query, documents = request.query, request.documents
    if len(scores) != len(documents):
        raise PolyrankError(
            f"query '{query.id}': {len(documents)} candidates but {len(scores)} scores"
        )
    for document, score in zip(documents, scores, strict=True):
        if not math.isfinite(score):
            raise PolyrankError(
                f"query '{query.id}', document '{document.id}': the score is {score}. "
                "Try --precision fp32, or look whether the module was trained to the end."
            )
    lowered, empty = put_last(scores, documents)
    hits = ranked(
        ScoredDocument(query.id, document.id, float(f"{score:.9g}"))
        for document, score in zip(documents, lowered, strict=True)
    )
    return Ranking(query.id, tuple(hits), details or {}, (notes or Notes()) + empty)


class ListReranker:
    """Ranks one query's list at a time: `rank_request` is what a reranker of this kind defines.

    Attributes:
        pointwise: whether a document's score is the same whatever the other candidates are, so that
            scores may be kept and candidates scored in parts.
        reads_first_stage: whether the ranking depends on the requests' first-stage scores.
    """

    pointwise = False
    reads_first_stage = False

    def rank_request(self, request: Request) -> Ranking:
        """The candidates of one query in order."""
        raise NotImplementedError

    def identity(self) -> Mapping[str, str]:
        """Of what the scores depend on, for resume and caches."""
        raise NotImplementedError

    def check_languages(self, queries: Iterable[Query], documents: Iterable[Document]) -> None:
        """Refuse, before anything is searched or scored, named languages that would stop the run.

        Raises:
            PolyrankError: a language that this reranker cannot take.
        """

    def rank_all(self, requests: Iterable[Request]) -> Iterator[Ranking]:
        """A ranking for each request, in their order."""
        for request in requests:
            yield self.rank_request(request)

    def rank(
        self,
        query: str | Query,
        passages: Documents,
        query_language: str | None = None,
        document_language: str | None = None,
    ) -> list[ScoredDocument]:
        """Order passages for one query, best first; every passage comes back once.

        Args:
            query: the text, or a record with its language.
            passages: texts (their ids are their positions, "0", "1", ...), records, id → text, or
                a data frame; see `collections/texts.py`.
            query_language, document_language: for texts and for records without a language.

        Raises:
            UsageError: two passages with one id, or what is no text.
        """
        question = one_query(query, query_language)
        documents = as_documents(passages, document_language)
        if len({document.id for document in documents}) != len(documents):
            raise UsageError("two passages have the same id; every id must be there once")
        (ranking,) = self.rank_all([Request(question, tuple(documents))])
        return list(ranking.hits)

    def rerank(
        self,
        collection: Collection,
        first_stage: Run | Retriever,
        depth: int = 100,
        progress: bool = True,
    ) -> Run:
        """Rerank the first `depth` candidates of every query of a collection.

        Args:
            collection: the texts.
            first_stage: a run, or a retriever to make one with.

        Returns:
            Query id → every candidate once, best first; ties by document id. Empty where the
            first stage found nothing.

        Raises:
            UsageError: a candidate that the collection lacks.
        """
        if hasattr(first_stage, "search"):
            queries = collection.queries.values()
            self.check_languages(queries, collection.documents.values())
            run = first_stage.search(queries, depth)
        else:
            run = run_of(first_stage)
        return rerank_run(self, collection, run, depth, progress).run


def check_languages(
    reranker: Reranker, queries: Iterable[Query], documents: Iterable[Document]
) -> None:
    """Refuse, before anything is searched or scored, named languages that would stop the run.

    A reranker of another library says so when it scores.

    Raises:
        PolyrankError: a language that the reranker cannot take.
    """
    if isinstance(reranker, ListReranker):
        reranker.check_languages(queries, documents)


class Loaded:
    """What holds a loaded model, which another process loads for itself."""

    def __reduce__(self) -> Any:
        """Refuse to be pickled or copied.

        Raises:
            UsageError: always; with what to pickle instead.
        """
        raise UsageError(
            f"a {type(self).__name__} holds a loaded model and is not pickled; pickle a "
            "RerankerSpec, and call load_reranker(spec) in the other process"
        )


class Pointwise(ListReranker):
    """A reranker of anything with `score(pairs)`."""

    pointwise = True

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def rank_request(self, request: Request) -> Ranking:
        """The candidates of one query by their scores."""
        before = Notes(getattr(self.scorer, "notes", {}))
        scores = self.scorer.score(request.pairs)
        return best_first(request, scores, notes=Notes(getattr(self.scorer, "notes", {})) - before)

    def identity(self) -> Mapping[str, str]:
        """The name of the scorer's class: all that is known of it."""
        return {"scorer": type(self.scorer).__qualname__}


def as_reranker(ranker: Reranker | Scorer) -> Reranker:
    """The reranker itself, or one of what only scores pairs."""
    return ranker if isinstance(ranker, Reranker) else Pointwise(ranker)


def request_of(
    query: Query, hits: Sequence[ScoredDocument], documents: Mapping[str, Document]
) -> Request:
    """A query with the candidates that a first stage found, and their scores.

    Raises:
        KeyError: a candidate that the documents lack.
    """
    return Request(
        query,
        tuple(documents[hit.document_id] for hit in hits),
        tuple(hit.score for hit in hits),
    )


def requests_of(collection: Collection, run: Run, depth: int | None = None) -> Iterator[Request]:
    """Each query of a run with its first `depth` candidates; one without candidates is left out.

    Raises:
        UsageError: a query or candidate that the collection lacks.
    """
    for query_id, hits in run.items():
        if not hits:
            continue
        try:
            yield request_of(collection.queries[query_id], hits[:depth], collection.documents)
        except KeyError as error:
            raise UsageError(
                f"the first stage names {error}, which the collection '{collection.name}' "
                "lacks; give the collection that the run was made for"
            ) from error


@dataclass(frozen=True)
class Reranked:
    """A run in the reranker's order, with what was noted and what was said of documents.

    details: query id → document id → as `Ranking.details`.
    """

    run: Run
    notes: Notes
    details: Mapping[str, Mapping[str, Mapping[str, Any]]]


def rerank_run(
    reranker: Reranker | Scorer,
    collection: Collection,
    run: Run,
    depth: int | None = None,
    progress: bool = True,
) -> Reranked:
    """A first stage in memory, every query in the reranker's order; empty ones stay empty.

    Raises:
        UsageError: a query or candidate that the collection lacks.
    """
    rankings = as_reranker(reranker).rank_all(requests_of(collection, run, depth))
    reranked: Run = {query_id: [] for query_id in run}
    notes, details = Notes(), {}
    count = sum(bool(hits) for hits in run.values())
    for ranking in track(rankings, "reranking", count, show=progress):
        reranked[ranking.query_id] = list(ranking.hits)
        notes += ranking.notes
        details[ranking.query_id] = ranking.details
    return Reranked(reranked, notes, details)
