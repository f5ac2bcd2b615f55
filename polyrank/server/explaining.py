"""Why a document scored as it did, and which modules acted, for answers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from polyrank.collections.records import Document, Query
from polyrank.errors import PolyrankError
from polyrank.evaluation.explain import explained
from polyrank.server.models import Served


def explanation(
    served: Served,
    query: Query,
    document: Document,
    index: int,
    guessed: tuple[bool, bool] = (False, False),
) -> dict[str, Any]:
    """A document's place in the request, `Explanation.record`, and the text that its spans count.

    Args:
        guessed: whether the languages of query and document were identified, and so stop
            nothing.

    Raises:
        UsageError: a model that ranks lists as a whole.
    """
    if guessed[0] and served.lacks(query.language):
        query = replace(query, language=None)
    if guessed[1] and served.lacks(document.language):
        document = replace(document, language=None)
    (found,) = explained(served.source, query, [document])
    return {
        "index": index,
        **found.record(),
        "query_text": query.text,
        "document_text": document.full_text,
        "modules": modules(served, query.language, document.language),
    }


def modules(
    served: Served, query_language: str | None, document_language: str | None
) -> dict[str, Any] | None:
    """Which modules act on texts of these languages; None for a model without modules."""
    plan = getattr(served.source, "composition", None)
    if not callable(plan):
        return None
    try:
        found = plan(query_language, document_language)
    except PolyrankError:  # a language of which nothing is known, under fallback 'error'
        return None
    active = found.active()
    return {
        "base": found.base,
        "routing": found.routing,
        "kind": found.kind,
        "query": list(active["query"]),
        "document": list(active["document"]),
        "ranking": found.ranking and Path(found.ranking).name,
        "ranking_kind": found.ranking_kind,
        "notes": [str(note) for note in found.notes],
    }
