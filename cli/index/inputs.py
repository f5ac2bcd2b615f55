"""The documents that go into an index, and the queries that are asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.errors import UsageError

from .. import checks, loading
from .options import split

if TYPE_CHECKING:
    from polyrank.collections.records import Document


def documents_of(
    collection: str | None, documents: Path | None, language: str | None, languages: str | None
) -> Sequence[Document]:
    from polyrank.collections.load import load_collection
    from polyrank.languages.tags import normalise

    checks.one_of(collection=collection, documents=documents)
    texts: Iterable[Document]
    if collection is not None:
        loaded = load_collection(collection, documents=language)
        loading.told_of_others(loaded.documents, language, "document")
        texts = loaded.documents.values()
    else:
        assert documents is not None
        texts = loading.documents_of(documents, language).values()
    tags = None if languages is None else [normalise(tag) for tag in split(languages) or ()]
    chosen = [text for text in texts if tags is None or text.language in tags]
    if absent := set(tags or ()) - {text.language for text in chosen}:
        raise UsageError(f"no documents in {', '.join(sorted(absent))}")
    return chosen


def queries_of(collection: str | None, queries: Path | None, language: str | None) -> Any:
    from polyrank.collections.load import load_collection
    from polyrank.collections.records import Collection

    checks.one_of(collection=collection, queries=queries)
    if collection is not None:
        return load_collection(collection, queries=language)
    assert queries is not None
    return Collection(queries.name, {}, loading.queries_of(queries, language))
