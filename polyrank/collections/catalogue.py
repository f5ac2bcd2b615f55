"""The table of sources, and what is looked up in it: a name's source, its card, the cards of all.

A row is a source's name, and where its `Source` is defined (module:name), so that the names are
known without loading any. Collections are recognised by name, in the order of the table: a folder
that is called like a bundled collection does not hide it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from importlib import import_module

from polyrank.collections.cards import CollectionCard
from polyrank.collections.collection_source import Need, Pairs, Source
from polyrank.errors import UsageError

SOURCES: dict[str, str] = {
    "bundled": "polyrank.collections.bundled:SOURCE",
    "irds": "polyrank.collections.irds:SOURCE",
    "hf": "polyrank.collections.columns:SOURCE",
    "clef": "polyrank.collections.clef:SOURCE",
    "futurequeryeval": "polyrank.collections.future_query_eval:SOURCE",
    "beir": "polyrank.collections.beir:SOURCE",
}


def source_named(name: str) -> Source:
    """A row of the table."""
    module, _, attribute = SOURCES[name].partition(":")
    source: Source = getattr(import_module(module), attribute)
    return source


def sources() -> Iterator[Source]:
    """All rows, in order."""
    return map(source_named, SOURCES)


def source_of(name: str) -> Source:
    """The source of a collection.

    Raises:
        UsageError: for a name that none takes.
    """
    if (source := _taking(name)) is not None:
        return source
    forms = ", ".join(form for source in sources() for form in source.names)
    similar = difflib.get_close_matches(name, [card.name for card in _cards()], n=3)
    hint = f" Similar names: {', '.join(similar)}." if similar else ""
    raise UsageError(
        f"no collection is named {name!r}.{hint}\n"
        f"Give one of: {forms}. 'polyrank collections list' shows all."
    )


def list_collections(
    language: str | None = None, source: str | None = None
) -> list[CollectionCard]:
    """The cards, those with queries or documents in a language, or of one source.

    Raises:
        LanguageError: for an unknown language.
    """
    cards = [card for card in _cards() if source in (None, card.source)]
    return cards if language is None else [card for card in cards if card.speaks(language)]


def collection_card(name: str) -> CollectionCard:
    """The card of a collection, by the name that `load_collection` takes.

    A name without a card of its own, of a form that has one (`irds:ID`, `clef:FOLDER`), gets that
    one under its own name.

    Raises:
        UsageError: for a name of no known form.
    """
    for card in _cards():
        if card.name == name:
            return card
    return source_of(name).card(name)


def needs_of(name: str, pairs: Pairs) -> list[Need]:
    """What reading a collection needs and this machine lacks; an unknown name is a BEIR folder's.

    Args:
        pairs: languages of queries and of documents.
    """
    return (_taking(name) or source_named("beir")).needs(name, pairs)


def is_parallel(name: str) -> bool:
    """Whether texts of all languages share their ids, as far as the source knows."""
    source = _taking(name)
    return source is not None and source.parallel(name)


def _taking(name: str) -> Source | None:
    return next((source for source in sources() if source.takes(name)), None)


def _cards() -> Iterator[CollectionCard]:
    return (card for source in sources() for card in source.cards)
