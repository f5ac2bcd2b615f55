"""Queries and documents of a file: of a table where its name ends in .tsv, else of JSON lines.

Without an ending, as a pipe has none, what it begins with decides.
"""

from __future__ import annotations

from pathlib import Path

from polyrank.collections import jsonl, tsv
from polyrank.collections.files import has_ending, holds_json_lines, is_nameless
from polyrank.collections.records import Document, Query


def read_queries(path: str | Path, language: str | None = None) -> dict[str, Query]:
    """Id → query, in the order of the file; `language` is of those that do not say theirs."""
    read = tsv.iter_queries if _is_table(path) else jsonl.iter_queries
    return {query.id: query for query in read(path, language)}


def read_documents(path: str | Path, language: str | None = None) -> dict[str, Document]:
    """Id → document, likewise."""
    read = tsv.iter_documents if _is_table(path) else jsonl.iter_documents
    return {document.id: document for document in read(path, language)}


def _is_table(path: str | Path) -> bool:
    return not holds_json_lines(path) if is_nameless(path) else has_ending(path, ".tsv")
