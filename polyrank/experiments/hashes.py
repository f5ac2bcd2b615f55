"""SHA-256 of the texts that a cell depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from polyrank.collections.records import Document, Judgement, Query


def queries_hash(queries: Iterable[Query]) -> str:
    """Over ids, languages and texts, in order."""
    return _hash([q.id, q.language, q.text] for q in queries)


def documents_hash(documents: Iterable[Document]) -> str:
    """Over ids, languages, titles and texts, in order."""
    return _hash([d.id, d.language, d.title, d.text] for d in documents)


def judgements_hash(judgements: Iterable[Judgement]) -> str:
    """Over the ids of query and document, and the relevance, in order."""
    return _hash([j.query_id, j.document_id, str(j.relevance)] for j in judgements)


def _hash(rows: Iterable[list[str | None]]) -> str:
    digest = hashlib.sha256()
    for row in rows:
        digest.update(json.dumps(row).encode())
    return digest.hexdigest()[:32]
