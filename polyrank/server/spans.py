"""`relevant_spans`: what in a document speaks for it, as Cohere's clients read it."""

from __future__ import annotations

from typing import Any

from polyrank.collections.records import Document, Query
from polyrank.errors import UsageError
from polyrank.evaluation.explain import explained
from polyrank.server.contracts import Spans
from polyrank.server.models import Served


def relevant_spans(
    served: Served, query: Query, document: Document, wanted: Spans, moved: int = 0
) -> list[dict[str, Any]]:
    """The parts of a document's text, best first; none of a listwise model's.

    Args:
        document: what was read of one: all of it, or a part of its `full_text`.
        moved: how far after its text's beginning that is; less than 0 where a title comes first.

    Returns:
        `start` and `end` count code points of the text, the title left out.
    """
    try:
        (found,) = explained(served.source, query, [document])
    except UsageError:
        return []
    parts = [(start + moved, end + moved, worth) for (start, end), worth in
             found.spans(wanted.threshold)]  # fmt: skip
    return [
        {"start": max(start, 0), "end": end, "score": round(min(max(worth, 0.0), 1.0), 6)}
        for start, end, worth in parts
        if end > 0
    ][: wanted.max_spans]
