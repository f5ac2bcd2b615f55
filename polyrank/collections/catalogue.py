"""Finding a collection's card by its name."""

from __future__ import annotations

import difflib
from dataclasses import replace

from polyrank.collections.cards import CARDS, CollectionCard
from polyrank.errors import UsageError


def list_collections(
    language: str | None = None, source: str | None = None
) -> list[CollectionCard]:
    """The cards, those with queries or documents in a language, or of one source.

    Raises:
        LanguageError: for an unknown language.
    """
    found = [card for card in CARDS if source in (None, card.source)]
    return found if language is None else [card for card in found if card.speaks(language)]


def collection_card(name: str) -> CollectionCard:
    """The card of a collection, by the name that `load_collection` takes.

    A name that is not in the table but has the form of one that is (`irds:ID`,
    `clef:FOLDER`) gets that one's card under its own name.

    Raises:
        UsageError: for a name of no known form.
    """
    for card in CARDS:
        if card.name == name:
            return card
    if name.startswith("irds:"):
        return _named("irds:ID", name)
    if name.startswith("clef:"):
        return _named("clef:FOLDER", name)
    if name.startswith("hf:"):
        return _named("hf:MAPPING.json", name)
    near = difflib.get_close_matches(name, [card.name for card in CARDS], n=3)
    hint = f" (like it: {', '.join(near)})" if near else ""
    raise UsageError(
        f"there is no collection {name!r}{hint}; 'polyrank collections list' shows what there is"
    )


def _named(pattern: str, name: str) -> CollectionCard:
    (card,) = (one for one in CARDS if one.name == pattern)
    example = card.example.replace(pattern, name)
    return replace(card, name=name, example=example)
