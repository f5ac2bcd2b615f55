"""`relevant_spans`: what in a document speaks for it, as Cohere's clients read it."""

from __future__ import annotations

from typing import Any

from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.evaluation.explain import explained
from polyrank.server.contracts import Spans
from polyrank.server.models import Served


def relevant_spans(
    served: Served, query: Query, document: Document, wanted: Spans
) -> list[dict[str, Any]]:
    """The parts of a document's text, best first; none of a listwise model's.

    `start` and `end` count code points of the text, the title left out.
    """
    try:
        (found,) = explained(served.source, query, [document])
    except UsageError:
        return []
    before = len(document.full_text) - len(document.text)
    parts = [(start - before, end - before, worth) for (start, end), worth in
             found.spans(wanted.threshold)]  # fmt: skip
    return [
        {"start": max(start, 0), "end": end, "score": round(min(max(worth, 0.0), 1.0), 6)}
        for start, end, worth in parts
        if end > 0
    ][: wanted.max_spans]
