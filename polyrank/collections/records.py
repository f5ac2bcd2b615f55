"""The four records that every reader yields, the collection that holds them, and the run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked, with its language as a normalised tag, and its date, where they are known."""

    id: str
    text: str
    language: str | None = None
    date: str | None = None  # YYYY-MM-DD


@dataclass(frozen=True, slots=True)
class Document:
    """What is ranked; `group` is shared by the same passage in every language."""

    id: str
    text: str
    title: str = ""
    language: str | None = None
    group: str | None = None

    @property
    def full_text(self) -> str:
        """Title and text, joined by a space."""
        return f"{self.title} {self.text}" if self.title else self.text


@dataclass(frozen=True, slots=True)
class Judgement:
    """How relevant a document is to a query: 0 or less is not, more is more."""

    query_id: str
    document_id: str
    relevance: int


@dataclass(frozen=True, slots=True)
class ScoredDocument:
    """One document's score for one query; higher is better."""

    query_id: str
    document_id: str
    score: float


Run: TypeAlias = dict[str, list[ScoredDocument]]
"""Per query id, its documents by `ranked`."""


def ranked(documents: Iterable[ScoredDocument]) -> list[ScoredDocument]:
    """Highest score first; equal scores by document id."""
    return sorted(documents, key=lambda hit: (-hit.score, hit.document_id))


def as_run(documents: Iterable[ScoredDocument]) -> Run:
    """Group scored documents by query, in the order in which queries appear, each `ranked`."""
    run: Run = {}
    for hit in documents:
        run.setdefault(hit.query_id, []).append(hit)
    return {query_id: ranked(hits) for query_id, hits in run.items()}


@dataclass(frozen=True, repr=False)
class Collection:
    """Documents, queries and judgements; it prints its size and languages, not its content.

    `documents` may be a mapping that reads each document when it is asked for. `notes` says what
    a reader assumed or left out.
    """

    name: str
    documents: Mapping[str, Document]
    queries: Mapping[str, Query]
    qrels: list[Judgement] = field(default_factory=list)
    licence: str = ""
    notes: tuple[str, ...] = field(default=(), compare=False)

    def __repr__(self) -> str:
        parts = (
            f"{len(self.documents):,} documents{_languages(self.documents)}",
            f"{len(self.queries):,} queries{_languages(self.queries)}",
            f"{len(self.qrels):,} judgements",
        )
        licence = f", {self.licence}" if self.licence else ""
        return f"Collection({self.name!r}: {', '.join(parts)}{licence})"

    def relevant(self) -> Iterator[Judgement]:
        """The judgements with a relevance above zero."""
        return (judgement for judgement in self.qrels if judgement.relevance > 0)


def _languages(records: Mapping[str, Query] | Mapping[str, Document]) -> str:
    """' [en 240, zh 12]', largest first; nothing when no record has a language."""
    if not isinstance(records, dict):  # its records are on disk, and may be millions
        language = getattr(records, "language", None)
        return f" [{language}]" if language else ""
    counts = Counter(record.language for record in records.values())
    if set(counts) <= {None}:
        return ""
    shown = (f"{tag or 'unknown'} {n:,}" for tag, n in counts.most_common())
    return f" [{', '.join(shown)}]"
