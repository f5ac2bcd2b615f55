"""Where polyrank search looks: in an index, or in the texts of a collection."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from polyrank.errors import UsageError
from polyrank.progress import note

from . import checks, loading, rerankers
from .index.opened import worker_pool

if TYPE_CHECKING:
    from polyrank.collections.records import Collection, Run
    from polyrank.index.multivector import MultiVectorIndex, Pruning


def asked_of(
    collection: str | None,
    queries: Path | None,
    query: str | None,
    language: str | None,
    split: str | None,
) -> Collection:
    """The queries: the one that was typed, a file's, or a collection's."""
    from polyrank.collections.load import load_collection
    from polyrank.collections.records import Collection, Query
    from polyrank.languages.tags import normalise

    checks.one_of(query=query, queries=queries, collection=collection)
    if split is not None and collection is None:
        raise UsageError("--split goes with --collection")
    if collection is not None:
        return load_collection(collection, queries=language, split=split)
    if queries is not None:
        asked = loading.queries_of(queries, language)
        return Collection(queries.name, {}, asked)
    tag = normalise(language) if language else None
    return Collection("query", {}, {"query": Query("query", query or "", tag)})


def texts_of(
    collection: str | None,
    queries: Path | None,
    documents: Path | None,
    query: str | None,
    query_language: str | None,
    document_language: str | None,
    split: str | None,
    missing_judged: str,
) -> Collection:
    """The documents, with their own queries or the one that was typed."""
    if query is None:
        return loading.load(
            collection, queries, documents, query_language, document_language, split,
            missing_judged,
        )  # fmt: skip
    if split is not None:
        raise UsageError("--split chooses queries; leave it out with --query")
    if queries is not None:
        raise UsageError("give --query or --queries, not both")
    from polyrank.collections.records import Collection, Query
    from polyrank.languages.tags import normalise

    if documents is not None and collection is None:
        texts = Collection(documents.name, loading.documents_of(documents, document_language), {})
    else:
        texts = _documents_alone(collection, documents, document_language)
    language = normalise(query_language) if query_language else None
    return replace(texts, queries={"query": Query("query", query, language)}, qrels=[])


def _documents_alone(
    collection: str | None, documents: Path | None, language: str | None
) -> Collection:
    """A collection whose own queries and judgements do not matter."""
    from polyrank.collections.load import load_collection

    checks.one_of(collection=collection, documents=documents)
    found = load_collection(collection or "", None, language, limit=1, missing_judged="skip")
    loading.told_of_others(found.documents, language, "document")
    return found


def search_index(
    opened: MultiVectorIndex,
    again: Callable[[], MultiVectorIndex],
    asked: Collection,
    limit: int | None,
    where: tuple[int, Sequence[str] | None, Pruning | None],
    ray: tuple[str | None, int | None],
) -> tuple[Collection, Run]:
    """What an index finds, and the texts to show and to rerank.

    Args:
        again: opens the index in a worker.
        limit: of queries.
        where: depth, languages and pruning of `MultiVectorIndex.search`.
        ray: address and workers.
    """
    queries = list(asked.queries.values())[:limit]
    address, workers = ray
    if address is None:
        found = opened.search(queries, *where)
    else:
        from polyrank.scale_out.indexing import RayIndex

        with worker_pool(again, opened.encoder, address, workers) as pool:
            scaled = RayIndex(pool)
            found = scaled.search(queries, *where)
            rerankers.report(scaled)
    rerankers.report(getattr(opened.encoder, "model", None))
    if not any(found.values()) and queries:
        there = ", ".join(f"{tag} {count}" for tag, count in opened.info().languages.items())
        note(f"nothing was found; the index has documents in: {there or 'no language'}")
    ids = dict.fromkeys(hit.document_id for hits in found.values() for hit in hits)
    return replace(asked, documents=opened.documents(list(ids))), found


def matching(found: Run) -> Run:
    """What BM25 found, without what shares no word with the query."""
    return {query_id: [h for h in hits if h.score > 0] for query_id, hits in found.items()}
