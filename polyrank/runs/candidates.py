"""What a first-stage run gives to rerank: each query with those candidates that there are."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from polyrank.collections.records import Collection, Run, ScoredDocument
from polyrank.collections.run_lines import TREC, LineFormat
from polyrank.collections.stream import iter_run_by_query
from polyrank.collections.trec import check_words
from polyrank.errors import DataError, PolyrankError
from polyrank.rerankers.base import Request, request_of
from polyrank.runs.resume import candidates_hash

Missing = Literal["error", "skip"]
Candidates: TypeAlias = tuple[str, list[ScoredDocument]]  # a query's id and what was found for it


def without_self(query_id: str, hits: Sequence[ScoredDocument]) -> list[ScoredDocument]:
    """Candidates other than the query itself, where queries are documents, as in ArguAna."""
    return [hit for hit in hits if hit.document_id != query_id]


def rankings_of(
    run: str | Path | Run, depth: int | None, limit: int | None, exclude_self: bool = False
) -> Iterator[Candidates]:
    """Query id and candidates, streamed, the first `depth` of the first `limit` queries."""
    stream: Iterable[Candidates]
    stream = iter_run_by_query(run) if isinstance(run, str | Path) else iter(run.items())
    for query_id, hits in itertools.islice(stream, limit):
        kept = without_self(query_id, hits) if exclude_self else hits
        yield query_id, kept[:depth]


def streamed_requests(
    collection: Collection,
    rankings: Iterable[Candidates],
    missing: Missing,
    source: str | Path | Run,
) -> Iterator[Request]:
    """Each query with those of its candidates that the collection holds."""
    for query_id, hits in rankings:
        query = collection.queries.get(query_id)
        documents = collection.documents
        lacking = [hit.document_id for hit in hits if hit.document_id not in documents]
        if missing == "error" and (query is None or lacking):
            raise _missing(collection, source, query_id, None if query is None else lacking[0])
        if query is not None:
            yield request_of(query, [h for h in hits if h.document_id in documents], documents)


def _missing(
    collection: Collection, source: str | Path | Run, query_id: str, document_id: str | None
) -> PolyrankError:
    what = f"query '{query_id}'" if document_id is None else f"document '{document_id}'"
    reason = (
        f"{what} is not in the collection '{collection.name}'. Give the collection that the run "
        "was made for, or leave such lines out with --missing skip"
    )
    if not isinstance(source, str | Path):
        return PolyrankError(f"the first-stage run: {reason}")
    return DataError(source, _line_of(source, query_id, document_id), reason)


def _line_of(path: str | Path, query_id: str, document_id: str | None) -> int | None:
    """The number of the line that names the query, or the query and the document."""
    wanted = {query_id, document_id} - {None}
    with open(path, encoding="utf-8", errors="replace") as lines:
        for number, line in enumerate(lines, start=1):
            if wanted <= set(line.replace('"', " ").replace(",", " ").split()):
                return number
    return None


class Survey(NamedTuple):
    """What a first pass over the run finds, before anything is scored."""

    queries: int
    skipped: int
    without_candidates: tuple[str, ...]
    candidates: str  # hash


def survey_of(
    collection: Collection,
    run: str | Path | Run,
    missing: Missing,
    depth: int | None,
    limit: int | None,
    layout: LineFormat,
    tag: str,
    with_scores: bool,
    exclude_self: bool = False,
) -> Survey:
    """Read the whole run once, so that a bad line stops the command before hours of scoring.

    Args:
        with_scores: whether the hash covers the first stage's scores, because the result does.
    """
    if layout is TREC:
        check_words(tag)
    asked: dict[str, int] = {}
    total = 0

    def counted() -> Iterator[Candidates]:
        nonlocal total
        for query_id, hits in rankings_of(run, depth, limit, exclude_self):
            total += len(hits)
            asked.setdefault(query_id, 0)
            yield query_id, hits

    for request in streamed_requests(collection, counted(), missing, run):
        asked[request.query.id] = len(request.documents)
        if layout is TREC:
            check_words(request.query.id, *(document.id for document in request.documents))
    ranked_queries = {query_id for query_id, kept in asked.items() if kept}
    wanted = collection.queries if limit is None else asked
    return Survey(
        queries=len(ranked_queries),
        skipped=total - sum(asked.values()),
        without_candidates=tuple(
            i for i in wanted if i in collection.queries and i not in ranked_queries
        ),
        candidates=candidates_hash(
            (query_id, [(h.document_id, h.score) if with_scores else h.document_id for h in hits])
            for query_id, hits in rankings_of(run, depth, limit, exclude_self)
        ),
    )
