"""What of a collection is translated: each preset, languages, and what is refused."""

from __future__ import annotations

import pytest

from polyrank.collections.records import Collection, Document, Judgement, Query
from polyrank.errors import UsageError
from polyrank.translation.presets import with_translations

TEXTS = Collection(
    "toy",
    {"d": Document("d", "eis", "see", "de")},
    {"q": Query("q", "buz", "tr"), "r": Query("r", "deniz", "tr")},
    [Judgement("q", "d", 1)],
)


def told(texts, source, target):
    return [f"{source}>{target}:{text}" for text in texts]


def test_each_preset():
    assert with_translations(TEXTS, "none") is TEXTS
    query = with_translations(TEXTS, "query", told)
    assert query.queries["q"] == Query("q", "tr>de:buz", "de")
    assert (query.documents, query.qrels) == (TEXTS.documents, TEXTS.qrels)
    document = with_translations(TEXTS, "document", told)
    assert document.documents["d"] == Document("d", "de>tr:eis", "de>tr:see", "tr")
    assert document.queries == TEXTS.queries
    human = {identity: Query(identity, "von hand", "de") for identity in ("r", "q", "s")}
    gold = with_translations(TEXTS, "gold", gold=human)
    assert list(gold.queries) == ["q", "r"] and gold.queries["q"].text == "von hand"


def test_texts_of_several_languages_go_by_their_own():
    mixed = Collection(
        "mixed", TEXTS.documents, {"q": Query("q", "buz", "tr"), "s": Query("s", "ice", "en")}
    )
    found = with_translations(mixed, "query", told).queries
    assert [query.text for query in found.values()] == ["tr>de:buz", "en>de:ice"]
    with pytest.raises(UsageError, match=r"queries are in several languages.*en, tr"):
        with_translations(mixed, "document", told)


def test_what_is_refused():
    with pytest.raises(UsageError, match="unknown translation 'both'"):
        with_translations(TEXTS, "both")
    with pytest.raises(UsageError, match="'query' needs a translator"):
        with_translations(TEXTS, "query")
    with pytest.raises(UsageError, match="'gold' takes no translator"):
        with_translations(TEXTS, "gold", told)
    with pytest.raises(UsageError, match="2 of 2 queries of 'toy' have no human translation"):
        with_translations(TEXTS, "gold")
    same = {identity: Query(identity, q.text, "de") for identity, q in TEXTS.queries.items()}
    with pytest.raises(UsageError, match="'toy' are the same texts in both languages"):
        with_translations(TEXTS, "gold", gold=same)
    one = {**same, "r": Query("r", "meer", "de")}  # a word may be the same in both languages
    assert with_translations(TEXTS, "gold", gold=one).queries["r"].text == "meer"
    assert with_translations(TEXTS, "gold", gold=TEXTS.queries).queries == TEXTS.queries
    unknown = Collection("unknown", TEXTS.documents, {"q": Query("q", "buz")})
    with pytest.raises(UsageError, match="'q' has no language"):
        with_translations(unknown, "query", told)
