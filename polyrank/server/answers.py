"""The parts of an answer that are not its scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polyrank.collections.records import Document
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
