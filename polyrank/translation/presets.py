"""What of a collection is translated before it is searched and reranked: CLIRudit's settings.

arXiv 2504.16264, §4: 'none' leaves queries and documents in their languages; 'query' translates
queries into the documents' language, 'document' documents into the queries'; 'gold' takes queries
that humans translated, and is what the others are measured against.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from polyrank.collections.records import Collection, Document, Query
from polyrank.errors import UsageError
from polyrank.languages import tags
from polyrank.translation.translator import Translator, translated

PRESETS = ("none", "query", "document", "gold")
TRANSLATING = ("query", "document")  # that need a translator
Record = TypeVar("Record", Query, Document)


def with_translations(
    collection: Collection,
    preset: str,
    translator: Translator | None = None,
    gold: Mapping[str, Query] | None = None,
) -> Collection:
    """A collection as a preset has it, ids and judgements unchanged.

    Args:
        preset: one of `PRESETS`.
        translator: of 'query' and 'document'.
        gold: of 'gold': queries in the documents' language, by their ids.

    Raises:
        UsageError: an unknown preset, one that lacks what it needs, records without a language, or
            several languages where one is translated into.
    """
    if preset not in PRESETS:
        raise UsageError(f"unknown translation '{preset}'; use one of {', '.join(PRESETS)}")
    if (translator is None) != (preset not in TRANSLATING):
        needs = "needs a translator" if translator is None else "takes no translator"
        raise UsageError(f"the translation '{preset}' {needs}")
    if preset == "none":
        return collection
    if preset == "gold":
        return replace(collection, queries=_gold(collection, gold))
    assert translator is not None
    if preset == "query":
        target = only_language(collection.documents.values(), "documents")
        queries = list(collection.queries.values())
        return replace(collection, queries=_by_id(translated_queries(translator, queries, target)))
    target = only_language(collection.queries.values(), "queries")
    documents = list(collection.documents.values())
    made = translated_documents(translator, documents, target)
    return replace(collection, documents=_by_id(made))


def with_gold(texts: Collection, name: str, split: str | None = None) -> Collection:
    """A collection by the preset 'gold', with the queries of another in the documents' language.

    Args:
        name: of the collection that has them, under the same ids; mostly the same one.
        split: of it.

    Raises:
        UsageError: documents in several languages, or queries that nobody translated.
    """
    from polyrank.collections.load import load_collection

    language = only_language(texts.documents.values(), "documents")
    human = load_collection(name, queries=language, documents=language, split=split)
    return with_translations(texts, "gold", gold=human.queries)


def translated_queries(
    translator: Translator, queries: Sequence[Query], target: str
) -> list[Query]:
    """Queries in another language, from whichever they are in."""
    texts = _across(translator, queries, [query.text for query in queries], target)
    return [
        replace(query, text=text, language=target)
        for query, text in zip(queries, texts, strict=True)
    ]


def translated_documents(
    translator: Translator, documents: Sequence[Document], target: str
) -> list[Document]:
    """Documents in another language, titles too, from whichever they are in."""
    texts = _across(translator, documents, [document.text for document in documents], target)
    titles = _across(translator, documents, [document.title for document in documents], target)
    return [
        replace(document, text=text, title=title, language=target)
        for document, text, title in zip(documents, texts, titles, strict=True)
    ]


def _across(
    translator: Translator,
    records: Sequence[Record],
    texts: Sequence[str],
    target: str,
) -> list[str]:
    """Texts of records, those of each language together."""
    places: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        if record.language is None:
            raise UsageError(
                f"'{record.id}' has no language, so it cannot be translated; name it with "
                "--query-language and --document-language"
            )
        places.setdefault(tags.normalise(record.language), []).append(place)
    found = list(texts)
    for source, own in places.items():
        answers = translated(translator, [texts[place] for place in own], source, target)
        for place, answer in zip(own, answers, strict=True):
            found[place] = answer
    return found


def only_language(records: Iterable[Record], what: str) -> str:
    """The language of all records.

    Raises:
        UsageError: none, or several.
    """
    languages = {record.language for record in records}
    if len(languages) != 1 or None in languages:
        told = ", ".join(sorted(str(tag or "unknown") for tag in languages)) or "none"
        raise UsageError(
            f"the {what} are in several languages, or in none that is known ({told}), so nothing "
            "can be translated into theirs; choose one with --query-language or "
            "--document-language"
        )
    (language,) = languages
    return tags.normalise(str(language))


def _gold(collection: Collection, gold: Mapping[str, Query] | None) -> dict[str, Query]:
    """The collection's queries as humans translated them.

    Raises:
        UsageError: some have no such translation, or all of them are the same texts.
    """
    given = gold or {}
    lacking = [identity for identity in collection.queries if identity not in given]
    if lacking:
        raise UsageError(
            f"{len(lacking)} of {len(collection.queries)} queries of '{collection.name}' have no "
            f"human translation into the documents' language, e.g. '{lacking[0]}'; 'gold' is for "
            "collections with parallel queries, such as xquad"
        )
    pairs = [(query, given[identity]) for identity, query in collection.queries.items()]
    differing = any(query.language != human.language for query, human in pairs)
    if differing and all(query.text == human.text for query, human in pairs):
        raise UsageError(
            f"the queries of '{collection.name}' are the same texts in both languages, so no human "
            "translated them; 'gold' is for collections with parallel queries, such as xquad"
        )
    return {human.id: human for _, human in pairs}


def _by_id(records: Sequence[Record]) -> dict[str, Record]:
    return {record.id: record for record in records}
