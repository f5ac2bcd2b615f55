"""Rankings for people: a line per passage, cut to the width of the terminal."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from polyrank.progress import printable

if TYPE_CHECKING:
    from rich.console import Console

    from polyrank.collections.records import Document, Query, ScoredDocument


def ranking(
    console: Console,
    query: Query,
    hits: Sequence[ScoredDocument],
    documents: Mapping[str, Document],
    relevant: frozenset[str] = frozenset(),
) -> None:
    """The query, then a line per passage: rank, score, language, id, beginning; relevant ones *."""
    from rich.text import Text

    language = f" [{query.language}]" if query.language else ""
    console.print(Text(printable(f"{query.text}{language}"), style="bold"))
    for rank, hit in enumerate(hits, start=1):
        document = documents[hit.document_id]
        mark = "*" if hit.document_id in relevant else " "
        tag = f"{document.language} " if document.language else ""
        line = Text(f"{mark}{rank:>3}. {hit.score:>8.3f}  {printable(tag)}")
        line.append(f"{printable(document.id)}  ", style="dim")
        line.append(printable(" ".join(document.full_text.split())))
        console.print(line, overflow="ellipsis", no_wrap=True, crop=True)


def as_json(
    query: Query,
    hits: Sequence[ScoredDocument],
    documents: Mapping[str, Document],
    details: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """One JSON object per query, with what a reranker says of its documents."""
    rows = [
        {
            "rank": rank,
            "document_id": hit.document_id,
            "score": hit.score,
            "title": documents[hit.document_id].title,
            "text": documents[hit.document_id].text,
            "language": documents[hit.document_id].language,
            **(details or {}).get(hit.document_id, {}),
        }
        for rank, hit in enumerate(hits, start=1)
    ]
    whole = {"query_id": query.id, "query": query.text, "language": query.language, "hits": rows}
    return json.dumps(whole, ensure_ascii=False)
