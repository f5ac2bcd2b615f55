"""What every neighbour asks: an order of texts, as places in the list that was given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from polyrank.collections.records import Document, Query
from polyrank.languages import tags
from polyrank.rerankers.base import Request, Reranker, as_reranker
from polyrank.rerankers.load import load_reranker


def loaded(model: Any) -> Reranker:
    """A reranker: the one that is given, or what `load_reranker` makes of a name, folder or spec.

    A language without a module gets none, as texts that are not of the caller's choice may be in
    any.
    """
    if hasattr(model, "rank_all") or hasattr(model, "score"):
        return as_reranker(model)
    return load_reranker(model, fallback="none")


def ranked_places(
    reranker: Reranker,
    query: str,
    documents: Sequence[Document],
    query_language: str | None = None,
    top: int | None = None,
) -> list[tuple[int, float]]:
    """(place in the list, raw score) of the best `top` documents, best first.

    Their ids are not looked at, so that a document may be there twice; of equal scores the first
    comes first.
    """
    width = len(str(len(documents)))  # ids that sort as their places do
    named = [replace(one, id=f"{place:0{width}}") for place, one in enumerate(documents)]
    language = tags.normalise(query_language) if query_language else None
    if not named:
        return []
    (found,) = reranker.rank_all([Request(Query("query", query, language), tuple(named))])
    return [(int(hit.document_id), hit.score) for hit in found.hits[:top]]


def language_in(
    metadata: Mapping[str, Any], key: str = "language", other: str | None = None
) -> str | None:
    """The language that a document's metadata names, else another one, in its usual spelling."""
    named = metadata.get(key) or other
    return tags.normalise(str(named)) if named else None
