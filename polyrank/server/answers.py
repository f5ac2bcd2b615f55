"""The parts of an answer: its rows, what is said of their documents, and warnings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polyrank.collections.records import Document
from polyrank.notes import Notes
from polyrank.rerankers.base import Ranking
from polyrank.server.contracts import RerankBody
from polyrank.server.lists import Listed


def listed_texts(given: str | Sequence[str] | None) -> list[str]:
    """One text, several or none, as a list."""
    return [given] if isinstance(given, str) else list(given or ())


def query_language(language: str | None, confidence: float | None) -> dict[str, Any]:
    """What was used for a query, and whether it was identified."""
    if confidence is None:
        return {"language": language, "identified": False}
    return {"language": language, "identified": True, "confidence": round(confidence, 6)}


def tei_row(row: dict[str, Any], documents: Sequence[Document], text: bool) -> dict[str, Any]:
    """A row as TEI's clients read it."""
    found = {"index": row["index"], "score": row["relevance_score"]}
    return {**found, "text": documents[row["index"]].text} if text else found


def about_document(
    index: int,
    listed: Listed,
    documents: Sequence[Document],
    ids: Sequence[str | int | None],
    body: RerankBody,
) -> dict[str, Any]:
    """What a row says of its document beside the score."""
    found: dict[str, Any] = {"language": listed.documents[index].language}
    if documents[index].language is None:
        found["language_identified"] = True
    if ids[index] is not None:
        found["id"] = ids[index]
    if body.returns_text:
        found["document"] = {"text": documents[index].text}
    return found


def warnings_of(ranked: Sequence[tuple[Listed, Ranking]]) -> list[str]:
    """What a client should know of how its lists were read."""
    found = sum((ranking.notes for _, ranking in ranked), Notes()).lines()
    read = [listed.query_read for listed, _ in ranked if listed.query_read is not None]
    if len(ranked) == 1 and read:
        found.append(f"the query was cut to its first {read[0]} tokens")
    elif read:
        found.append(f"{len(read)} of {len(ranked)} queries were not read to their ends")
    if cut := sum(len(listed.cut) for listed, _ in ranked):
        count = sum(len(listed.documents) for listed, _ in ranked)
        found.append(f"{cut} of {count} documents were not read to their ends")
    return found


def rows_of(
    listed: Listed, ranking: Ranking, raw: bool, least: float | None = None
) -> list[dict[str, Any]]:
    """The rows of an answer, best first.

    Args:
        least: the score that a row has at least.
    """
    index_of = {document.id: index for index, document in enumerate(listed.documents)}
    rows = [row_of(listed, index_of[hit.document_id], hit.score, raw) for hit in ranking.hits]
    if least is not None:
        rows = [row for row in rows if row["relevance_score"] >= least]
    return sorted(rows, key=lambda row: -row["relevance_score"])  # those of equal scores stay


def row_of(listed: Listed, index: int, score: float, raw: bool) -> dict[str, Any]:
    """A row of an answer."""
    row: dict[str, Any] = {
        "index": index,
        "relevance_score": score if raw else listed.relevance(index, score),
    }
    if index in listed.cut:
        row["cut"] = True
    if piece := listed.best.get(index):
        places = {"start": piece.start, "end": piece.end}
        row["passage"] = {key: max(0, at - listed.before[index]) for key, at in places.items()}
    return row
