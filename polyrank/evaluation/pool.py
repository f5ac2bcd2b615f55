"""What language-aware measures know of a collection: languages, and which texts are parallel."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from polyrank.collections.records import Collection, Document, Query
from polyrank.errors import UsageError


@dataclass(frozen=True)
class Pool:
    """Languages of queries and documents, and the parallel groups of documents.

    Attributes:
        query_languages, document_languages: id → tag; an id without a known language is absent.
        groups: document id → the id of its parallel group. A document without one is alone in a
            group of its own.
        spread: whether a document that nobody judged takes the highest relevance that was judged
            for its group: a translation is as relevant as its original.
    """

    query_languages: Mapping[str, str]
    document_languages: Mapping[str, str]
    groups: Mapping[str, str]
    spread: bool = True

    @classmethod
    def of(
        cls,
        queries: Iterable[Query],
        documents: Iterable[Document],
        spread: bool = True,
    ) -> Pool:
        """The pool of these records."""
        kept = list(documents)
        return cls(
            {query.id: query.language for query in queries if query.language},
            {document.id: document.language for document in kept if document.language},
            {document.id: document.group or document.id for document in kept},
            spread,
        )

    @classmethod
    def of_collection(cls, collection: Collection, spread: bool = True) -> Pool:
        """The pool of a collection."""
        return cls.of(collection.queries.values(), collection.documents.values(), spread)

    @cached_property
    def members(self) -> dict[str, list[str]]:
        """Group → its documents."""
        found: dict[str, list[str]] = {}
        for document_id, group in self.groups.items():
            found.setdefault(group, []).append(document_id)
        return found

    def query_language(self, query_id: str) -> str:
        """Raises UsageError for a query whose language is unknown."""
        try:
            return self.query_languages[query_id]
        except KeyError:
            raise UsageError(
                f"the language of query {query_id!r} is unknown; give it as a field of the query, "
                "or name one for all:  --query-language TAG"
            ) from None

    def document_language(self, document_id: str) -> str:
        """Raises UsageError for a document that is unknown, or whose language is."""
        try:
            return self.document_languages[document_id]
        except KeyError:
            why = "has no known language" if document_id in self.groups else "is not known"
            raise UsageError(
                f"document {document_id!r} {why}; a measure by languages needs every document of "
                "the run and of the judgements:  --collection NAME, or --documents FILE whose "
                "records name their language"
            ) from None

    def group(self, document_id: str) -> str:
        """The document's parallel group."""
        return self.groups.get(document_id, document_id)

    def relevance(self, judged: Mapping[str, int]) -> dict[str, int]:
        """One query's judgements, those of a group spread over its unjudged members.

        Relevance below 0 counts as 0.
        """
        found = {document_id: max(value, 0) for document_id, value in judged.items()}
        if not self.spread:
            return found
        best: dict[str, int] = {}
        for document_id, value in found.items():
            group = self.group(document_id)
            best[group] = max(value, best.get(group, 0))
        for group, value in best.items():
            for document_id in self.members.get(group, ()):
                found.setdefault(document_id, value)
        return found
