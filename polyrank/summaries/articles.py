"""What is summarised: a text, and where there is one a reference summary."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from polyrank.collections.jsonl import ID, LANGUAGE, TEXT, iter_objects
from polyrank.errors import DataError, LanguageError, UsageError
from polyrank.languages import tags

REFERENCE = ("reference", "summary", "highlights")


@dataclass(frozen=True, slots=True)
class Article:
    """A text to be summarised; its reference is '' where there is none."""

    id: str
    text: str
    language: str | None = None
    reference: str = ""


def read_articles(path: str | Path, language: str | None = None) -> Iterator[Article]:
    """Articles of a JSONL file: `_id`, `text`, and perhaps `reference` (or `summary`, or
    `highlights`) and `language`.

    Args:
        language: of rows that do not name their own.

    Raises:
        DataError: a line that is not such an object, without text, or with an id that an earlier
            line has.
    """
    lines: dict[str, int] = {}
    for number, row in iter_objects(path):
        try:
            article = _article(row, language)
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


def _article(row: dict[str, object], language: str | None) -> Article:
    identity = _text(row, ID)
    text = _text(row, TEXT)
    if not text.strip():
        raise ValueError("the text is empty")
    named = _text(row, LANGUAGE, "") or language
    return Article(
        identity, text, tags.normalise(named) if named else None, _text(row, REFERENCE, "")
    )


def _text(row: dict[str, object], names: tuple[str, ...], default: str | None = None) -> str:
    """The first of these fields; ValueError for a value that is no text, or for none at all."""
    for name in names:
        value = row.get(name)
        if isinstance(value, int) and not isinstance(value, bool) and names is ID:
            value = str(value)
        if value is not None:
            if not isinstance(value, str):
                raise ValueError(f"the field '{name}' is {value!r:.60}, not a text")
            return value
    if default is None:
        has = ", ".join(sorted(row)) or "nothing"
        raise ValueError(f"no field {' or '.join(map(repr, names))}; it has {has}")
    return default
