"""Collections and texts that options name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from polyrank.errors import UsageError
from polyrank.progress import note

if TYPE_CHECKING:
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
    from polyrank.collections.text_files import read_documents, read_queries

    if collection is not None:
        if queries is not None or documents is not None:
            raise UsageError("give --collection, or --queries with --documents, not both")
        loaded = load_collection(
            collection, query_language, document_language, split, missing_judged=missing_judged
        )
        for message in loaded.notes:
            note(message)
        return loaded
    if split is not None:
        raise UsageError("--split goes with --collection")
    if queries is None or documents is None:
        raise UsageError("give --collection NAME, or --queries FILE with --documents FILE")
    return Collection(
        name=documents.name,
        documents=read_documents(documents, document_language),
        queries=told_of_empty(read_queries(queries, query_language)),
    )


def told_of_empty(queries: dict[str, Query]) -> dict[str, Query]:
    """The queries; those without text, whose rankings mean nothing, are counted on stderr."""
    empty = [identity for identity, query in queries.items() if not query.text.strip()]
    if empty:
        note(f"{len(empty)} queries have no text (the first: '{empty[0]}'), and arbitrary rankings")
    return queries


def read_passages(path: Path, language: str | None) -> list[Document]:
    """Documents of a .jsonl or .tsv file; of any other a passage per line, named by its number."""
    from polyrank.collections.files import has_ending, numbered_lines
    from polyrank.collections.records import Document
    from polyrank.collections.text_files import read_documents

    if has_ending(path, ".tsv", ".jsonl", ".json"):
        return list(read_documents(path, language).values())
    return [Document(str(number), line, language=language) for number, line in numbered_lines(path)]
