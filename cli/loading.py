"""Collections and texts that options name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from polyrank.errors import UsageError
from polyrank.progress import note

PLURAL = {"query": "queries", "document": "documents"}

if TYPE_CHECKING:
    from collections.abc import Mapping

    from polyrank.collections.records import Collection, Document, Query


def load(
    collection: str | None,
    queries: Path | None,
    documents: Path | None,
    query_language: str | None,
    document_language: str | None,
    split: str | None = None,
    missing_judged: str = "error",
) -> Collection:
    """The collection that the options name: by its name, or by two files.

    Raises:
        UsageError: when both or neither are named.
    """
    from polyrank.collections.load import load_collection
    from polyrank.collections.records import Collection

    if collection is not None:
        if queries is not None or documents is not None:
            raise UsageError("give --collection, or --queries with --documents, not both")
        loaded = load_collection(
            collection, query_language, document_language, split, missing_judged=missing_judged
        )
        for message in loaded.notes:
            note(message)
        told_of_others(loaded.queries, query_language, "query")
        told_of_others(loaded.documents, document_language, "document")
        return loaded
    if split is not None:
        raise UsageError("--split goes with --collection")
    if queries is None or documents is None:
        raise UsageError("give --collection NAME, or --queries FILE with --documents FILE")
    return Collection(
        name=documents.name,
        documents=documents_of(documents, document_language),
        queries=queries_of(queries, query_language),
    )


def queries_of(path: Path, language: str | None) -> dict[str, Query]:
    """A file's queries by id; what is odd about them is told on stderr."""
    from polyrank.collections.text_files import read_queries

    found = read_queries(path, language)
    told_of_others(found, language, "query")
    return told_of_empty(found)


def documents_of(path: Path, language: str | None) -> dict[str, Document]:
    """A file's documents by id, likewise."""
    from polyrank.collections.text_files import read_documents

    found = read_documents(path, language)
    told_of_others(found, language, "document")
    return found


def told_of_others(
    records: Mapping[str, Query] | Mapping[str, Document], language: str | None, side: str
) -> None:
    """Say on stderr how many records name another language than an option does.

    Args:
        language: of the option; None where it was not given.
        side: 'query' or 'document'.
    """
    from polyrank.languages.tags import normalise

    if language is None or not isinstance(records, dict):  # others are on disk, maybe millions
        return
    tag = normalise(language)
    other = [one for one in records.values() if one.language not in (None, tag)]
    if other:
        note(
            f"{len(other):,} of {len(records):,} {PLURAL[side]} name another language than "
            f"--{side}-language {tag} (the first: '{other[0].id}' is in '{other[0].language}'); "
            "the option is for those that name none"
        )


def told_of_empty(queries: dict[str, Query]) -> dict[str, Query]:
    """The queries; those without text, whose rankings mean nothing, are counted on stderr."""
    empty = [identity for identity, query in queries.items() if not query.text.strip()]
    if empty:
        note(f"{len(empty)} queries have no text (the first: '{empty[0]}'), and arbitrary rankings")
    return queries


def read_passages(path: Path, language: str | None) -> list[Document]:
    """Documents of a .jsonl or .tsv file; of any other a passage per line, named by its number."""
    from polyrank.collections.files import has_ending, holds_json_lines, numbered_lines
    from polyrank.collections.records import Document

    if has_ending(path, ".tsv") or holds_json_lines(path):
        return list(documents_of(path, language).values())
    return [Document(str(number), line, language=language) for number, line in numbered_lines(path)]
