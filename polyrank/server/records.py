"""From a request's fields to records: ids, texts and languages."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from polyrank.collections.records import Document, Query
from polyrank.errors import LanguageError
from polyrank.languages.tags import identify
from polyrank.server.contracts import Languages, RerankBody, Text
from polyrank.server.models import as_tag
from polyrank.server.problems import Problem

LOOKED_AT = 20_000  # characters of a text that its language is identified by


def one_of(a: object, b: object, names: tuple[str, str]) -> None:
    """Refuse both or neither of two fields.

    Raises:
        Problem: 422.
    """
    if (a is None) == (b is None):
        what = "both of them" if a is not None else "neither"
        raise Problem(422, f"give {names[0]} or {names[1]}; the request has {what}", names[0])


def query_of(body: RerankBody) -> Query:
    """The query, with its language where the request names it.

    Raises:
        Problem: an empty query, or an unknown language.
    """
    given = body.query
    text = given if isinstance(given, str) else given.text
    language = body.query_language or (None if isinstance(given, str) else given.language)
    if not text.strip():
        raise Problem(422, "the query is empty; give a text", "query", "empty")
    return Query("query", text, tag_of(language, "query_language"))


def documents_of(body: RerankBody) -> tuple[list[Document], list[str | int | None]]:
    """The documents, and the ids that the request gave them.

    They have the request's ids where all have one, else their positions; of equal scores the one
    with the lower id comes first.

    Raises:
        Problem: no documents, two ids that are equal, or an unknown language.
    """
    one_of(body.documents, body.texts, ("documents", "texts"))
    given: Sequence[str | Text] = body.texts if body.documents is None else body.documents  # type: ignore[assignment]
    name = "texts" if body.documents is None else "documents"
    if not given:
        raise Problem(400, f"`{name}` cannot be empty", name, "empty")
    languages = spread(body.document_language, len(given), "document_language")
    ids = [None if isinstance(one, str) else one.id for one in given]
    named = [str(one) for one in ids if one is not None]
    if len(set(named)) != len(named):
        raise Problem(422, "two documents have the same id; ids must be distinct", name, "ids")
    own = len(named) == len(given)
    found = []
    for place, (one, language) in enumerate(zip(given, languages, strict=True)):
        identity = named[place] if own else str(place)
        if isinstance(one, str):
            found.append(Document(identity, one, language=language))
            continue
        tag = tag_of(one.language, f"documents[{place}].language") or language
        text, title = _text_of(one, body.rank_fields, place)
        found.append(Document(identity, text, title, tag))
    return found, ids


def _text_of(one: Text, fields: Sequence[str] | None, place: int) -> tuple[str, str]:
    """Text and title of a record, or the fields that are to be ranked by."""
    if not fields:
        if one.text is None:
            raise Problem(422, f"documents[{place}] has no text", f"documents[{place}].text")
        return one.text, one.title or ""
    record = one.model_dump()
    values = [str(record[name]) for name in fields if record.get(name) is not None]
    if not values:
        raise Problem(422, f"documents[{place}] has none of the rank_fields", f"documents[{place}]")
    return " ".join(values), ""


def spread(given: Languages, count: int, name: str) -> list[str | None]:
    """A language for each of so many texts, from one for all or a list.

    Raises:
        Problem: a list of another length, or an unknown language.
    """
    if not isinstance(given, list):
        return [tag_of(given, name)] * count
    if len(given) != count:
        raise Problem(422, f"{name} has {len(given)} languages for {count} texts", name)
    return [tag_of(one, name) for one in given]


def tag_of(language: str | None, name: str) -> str | None:
    """A language in its one spelling.

    Raises:
        Problem: an unknown one.
    """
    try:
        return as_tag(language)
    except LanguageError as error:
        message = str(error)[:300]
        raise Problem(422, f"{name}: {message}", name, "unknown_language") from None


def with_languages(
    query: Query, documents: Sequence[Document], usual: tuple[str | None, str | None]
) -> tuple[Query, list[Document], float | None]:
    """The same, each with its language: the one named, the model's own, or the one identified.

    Args:
        usual: what texts of both sides are in, to a model of one pair of languages.

    Returns:
        Query, documents, and how sure the query's language is, where it was identified.
    """
    confidence = None
    if query.language is None:
        language = usual[0]
        if language is None:
            language, confidence = identify([query.text[:LOOKED_AT]])[0]
        query = replace(query, language=language)
    unknown = list(dict.fromkeys(d.text[:LOOKED_AT] for d in documents if d.language is None))
    if usual[1] is not None:
        known: dict[str, str | None] = dict.fromkeys(unknown, usual[1])
    else:
        known = {
            text: found.language for text, found in zip(unknown, identify(unknown), strict=True)
        }
    filled = [
        d if d.language is not None else replace(d, language=known[d.text[:LOOKED_AT]])
        for d in documents
    ]
    return query, filled, confidence
