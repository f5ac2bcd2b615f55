"""What is summarised: a text, and where there is one a reference summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from polyrank.collections.jsonl import LANGUAGE, TEXT, identity_of, iter_objects
from polyrank.errors import DataError, LanguageError, UsageError
from polyrank.languages import tags
from polyrank.notes import Notebook

REFERENCE = ("reference", "summary", "highlights")
LOOKED_AT = 20_000  # characters of a text that its language is identified by


@dataclass(frozen=True, slots=True)
class Article:
    """A text to be summarised; its reference is '' where there is none."""

    id: str
    text: str
    language: str | None = None
    reference: str = ""


def read_articles(path: str | Path, language: str | None = None) -> Iterator[Article]:
    """Articles of a JSONL file: `_id`, `text`, and perhaps `reference` (or `summary`, or
    `highlights`) and `language`. Of fields that mean the same, the first that is not empty counts.

    Args:
        language: of rows that do not name their own.

    Raises:
        DataError: a line that is not such an object, without text or id, or with an id that an
            earlier line has.
    """
    lines: dict[str, int] = {}
    for number, row in iter_objects(path):
        try:
            article = _article(row, path, number, language)
        except (ValueError, LanguageError) as error:
            raise DataError(path, number, str(error)) from None
        if lines.setdefault(article.id, number) != number:
            line = lines[article.id]
            raise DataError(path, number, f"the id {article.id!r} is already on line {line}")
        yield article


def articles_of(name: str, language: str, limit: int | None = None) -> Iterator[Article]:
    """The articles of a collection: a query is the reference summary of its one relevant document,
    as a headline is of its article. Queries with none or several are left out.

    Raises:
        UsageError: a collection without such queries in that language.
    """
    from polyrank.collections.load import load_collection

    texts = load_collection(name, queries=language, documents=language)
    relevant = [j for j in texts.qrels if j.relevance > 0 and j.query_id in texts.queries]
    counts = Counter(judgement.query_id for judgement in relevant)
    single = [judgement for judgement in relevant if counts[judgement.query_id] == 1]
    if not single:
        raise UsageError(
            f"the collection '{name}' has no query with one relevant document in '{language}', "
            "which would be a summary and its article; give --documents FILE"
        )
    for judgement in islice(single, limit):
        document = texts.documents[judgement.document_id]
        query = texts.queries[judgement.query_id]
        yield Article(query.id, document.full_text, document.language, query.text)


def identified(article: Article, notebook: Notebook) -> Article:
    """The article with a language: its own, or the one identified.

    Args:
        notebook: gets what was identified; without any language, rules of English split sentences,
            and ROUGE compares words as they are.
    """
    if article.language is not None:
        return article
    ((language, _),) = tags.identify([article.text[:LOOKED_AT]])
    if language is None:
        notebook.add(
            "unidentified",
            "no language could be identified: sentences are split as in English; name the language",
        )
        return article
    notebook.add("identified", f"language identified as '{language}'")
    return replace(article, language=language)


def _article(row: dict[str, Any], path: str | Path, line: int, language: str | None) -> Article:
    identity, text = identity_of(row, path, line), _text(row, TEXT)
    if not text:
        named = any(row.get(name) is not None for name in TEXT)
        has = ", ".join(sorted(row)) or "nothing"
        fields = " or ".join(map(repr, TEXT))
        raise ValueError("the text is empty" if named else f"no field {fields}; it has {has}")
    tag = _text(row, LANGUAGE) or language
    return Article(identity, text, tags.normalise(tag) if tag else None, _text(row, REFERENCE))


def _text(row: dict[str, Any], names: tuple[str, ...]) -> str:
    """The first of these fields that holds something, '' for none; ValueError for a value that is
    no text."""
    for name in names:
        value = row.get(name)
        if value is not None and not isinstance(value, str):
            raise ValueError(f"the field '{name}' is {value!r:.60}, not a text")
        if value is not None and value.strip():
            return value
    return ""
