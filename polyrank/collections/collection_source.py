"""What a source of collections is: one format, or one place, that collections are read from.

A new source is a file that defines a `Source`, and its row in `catalogue.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyrank.collections.cards import CollectionCard, card_named
from polyrank.collections.records import Collection, Judgement
from polyrank.errors import UsageError


@dataclass(frozen=True)
class Selection:
    """Which collection, and which part of it.

    Attributes:
        name: of the collection, as users write it.
        queries, documents: languages; None for all, or for what the records say.
        split: which of its queries; None for the usual ones.
        limit: at most this many queries (per language).
        missing_judged: for a relevant document that the documents lack: 'error', or 'skip' and
            count it.
    """

    name: str
    queries: str | None = None
    documents: str | None = None
    split: str | None = None
    limit: int | None = None
    missing_judged: str = "error"

    def without_split(self) -> Selection:
        """Itself, for a source whose collections have one split each.

        Raises:
            UsageError: when a split is asked for.
        """
        if self.split is not None:
            raise UsageError(f"{self.name} takes no split {self.split!r}; its name chooses one")
        return self


@dataclass(frozen=True)
class Need:
    """Something that reading a collection needs and this machine lacks.

    Attributes:
        what: a package, a folder, files.
        remedy: the command, or the advice, that provides it.
        fetched: whether reading the collection fetches it by itself.
        general: whether the remedy is only the usual one, which the user's own replaces.
    """

    what: str
    remedy: str
    fetched: bool = False
    general: bool = False


Pairs = Sequence[tuple[str, str]]  # languages of queries and of documents


@dataclass(frozen=True)
class Source:
    """One format, or one place, that collections come from.

    Attributes:
        name: in cards, and of `polyrank collections list --source`.
        names: how its collections are named, for users: names, or patterns such as `irds:ID`.
        cards: of what is known; the last is that of the pattern, where names follow one.
        takes: whether a name is one of its collections.
        read: a collection.
        judgements: the judgements alone, without reading documents.
        needs: what the collection of this name, in these pairs of languages, still needs.
        counts: figures of what is on this machine, without fetching; None where nothing is.
        in_views: whether ids depend on the languages chosen, so that one name stands for several
            collections.
        parallel: whether texts of all languages share their ids.
    """

    name: str
    names: tuple[str, ...]
    cards: tuple[CollectionCard, ...]
    takes: Callable[[str], bool]
    read: Callable[[Selection], Collection]
    judgements: Callable[[Selection], list[Judgement]]
    needs: Callable[[str, Pairs], list[Need]]
    counts: Callable[[str], dict[str, Any] | None] = lambda name: None
    in_views: bool = False
    parallel: Callable[[str], bool] = lambda name: False

    def card(self, name: str) -> CollectionCard:
        """The card of one of its collections."""
        return card_named(name, self.cards)


def starts_with(prefix: str) -> Callable[[str], bool]:
    """Whether a name has a source's prefix, such as `irds:`."""
    return lambda name: name.startswith(prefix)


def folder_needs(folder: Path) -> list[Need]:
    """A folder that the user brings."""
    if folder.is_dir():
        return []
    return [Need(f"the folder {folder}", "put the collection there", general=True)]


def counted(collection: Collection) -> dict[str, Any]:
    """Figures of a collection that was read."""
    query_tags = {query.language for query in collection.queries.values() if query.language}
    document_tags = {text.language for text in collection.documents.values() if text.language}
    return {
        "queries": len(collection.queries),
        "documents": len(collection.documents),
        "judgements": len(collection.qrels),
        "query languages": sorted(query_tags),
        "document languages": sorted(document_tags),
        "notes": list(collection.notes),
    }
