"""Queries and documents of a file: of a table where its name ends in .tsv, else of JSON lines."""

from __future__ import annotations

from pathlib import Path

from polyrank.collections import jsonl, tsv
from polyrank.collections.files import has_ending
from polyrank.collections.records import Document, Query


def read_queries(path: str | Path, language: str | None = None) -> dict[str, Query]:
    """Id → query, in the order of the file; `language` is of those that do not say theirs."""
    read = tsv.iter_queries if has_ending(path, ".tsv") else jsonl.iter_queries
    return {query.id: query for query in read(path, language)}


def read_documents(path: str | Path, language: str | None = None) -> dict[str, Document]:
    """Id → document, likewise."""
    read = tsv.iter_documents if has_ending(path, ".tsv") else jsonl.iter_documents
    return {document.id: document for document in read(path, language)}
