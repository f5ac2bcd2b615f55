"""JSON lines: documents, queries and runs, with the field names that neighbouring tools use."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polyrank.collections.conversation import query_text
from polyrank.collections.dates import checked_date
from polyrank.collections.files import numbered_lines, parse_json
from polyrank.collections.records import Document, Query, ScoredDocument
from polyrank.errors import DataError, LanguageError
from polyrank.languages.tags import normalise

ID = ("_id", "id", "docid", "doc_id", "query_id", "qid")
TEXT = ("text", "contents")
LANGUAGE = ("language", "lang")
FORMS = "an object on each line is expected, or columns between tabs in a file named .tsv"
_NUMBER = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?|nan|inf(?:inity)?)", re.IGNORECASE
)


def iter_documents(path: str | Path, language: str | None = None) -> Iterator[Document]:
    """Documents of a JSONL file in its order.

    The id is `_id`, `id` or `docid`, the text `text` or `contents`; `title`, `language` (or
    `lang`) and `group` may be absent, other fields are ignored.

    Args:
        path: the file, `.gz` too.
        language: for documents that do not name their own.

    Raises:
        DataError: for a line that is not a JSON object, lacks id or text, names an unknown
            language,
            or repeats an id.
    """
    default = normalise(language) if language else None
    for number, row in _rows(path):
        yield Document(
            id=identity_of(row, path, number),
            text=_text(row, TEXT, path, number),
            title=_optional(row, "title", path, number) or "",
            language=_language(row, path, number) or default,
            group=_optional(row, "group", path, number),
        )


def iter_queries(path: str | Path, language: str | None = None) -> Iterator[Query]:
    """Queries of a JSONL file; fields and errors as for `iter_documents`.

    A row may have `turns` in place of the text, see `polyrank.collections.conversation`, and a
    `date`.
    """
    default = normalise(language) if language else None
    for number, row in _rows(path):
        if "turns" in row:
            text = _conversation(row, path, number)
        else:
            text = _text(row, (*TEXT, "query"), path, number)
        date = checked_date(row["date"], path, number) if row.get("date") is not None else None
        yield Query(
            identity_of(row, path, number), text, _language(row, path, number) or default, date
        )


def _rows(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object), each id once."""
    first: dict[str, int] = {}
    for number, line in numbered_lines(path):
        if number == 1 and not line.lstrip().startswith(("{", "[")):
            raise DataError(path, number, f"not JSON; {FORMS}")
        row = json_object(line, path, number)
        identity = identity_of(row, path, number)
        if first.setdefault(identity, number) != number:
            reason = f"the id {identity!r} is already on line {first[identity]}"
            raise DataError(path, number, reason)
        yield number, row


def iter_objects(path: str | Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line number, object) of a JSONL file, whatever its fields are.

    Raises:
        DataError: a file that cannot be read, or a line that is no JSON object.
    """
    for number, line in numbered_lines(path):
        yield number, json_object(line, path, number)


def json_object(line: str, path: str | Path, number: int) -> dict[str, Any]:
    """The JSON object of a line.

    Raises:
        DataError: it is none.
    """
    try:
        row = parse_json(line)
    except (ValueError, RecursionError) as error:
        raise DataError(path, number, f"not JSON: {error}") from None
    if not isinstance(row, dict):
        reason = (
            f"a JSON {type(row).__name__}, where an object was expected; write one on each line"
        )
        raise DataError(path, number, reason)
    return row


def _first(row: dict[str, Any], names: tuple[str, ...], path: str | Path, number: int) -> Any:
    for name in names:
        if row.get(name) is not None:
            return row[name]
    for name in names:
        if name in row:
            raise DataError(path, number, f"the field '{name}' is null")
    found = ", ".join(sorted(row)) or "nothing"
    raise DataError(path, number, f"no field {' or '.join(map(repr, names))}; it has {found}")


def identity_of(row: dict[str, Any], path: str | Path, number: int) -> str:
    """The id of a row, in one of the fields `ID`; an integer becomes text.

    Raises:
        DataError: none, or one that is empty or neither text nor an integer.
    """
    value = _first(row, ID, path, number)
    if value == "":
        raise DataError(path, number, "the id '' is empty")
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise DataError(path, number, f"the id {value!r} is neither text nor an integer")
    return str(value)


def _text(row: dict[str, Any], names: tuple[str, ...], path: str | Path, number: int) -> str:
    value = _first(row, names, path, number)
    if not isinstance(value, str):
        raise DataError(path, number, f"the text is a {type(value).__name__}, not a string")
    return value


def _conversation(row: dict[str, Any], path: str | Path, number: int) -> str:
    try:
        return query_text(row)
    except ValueError as error:
        raise DataError(path, number, str(error)) from None


def _optional(row: dict[str, Any], name: str, path: str | Path, number: int) -> str | None:
    value = row.get(name)
    if value is not None and not isinstance(value, str):
        raise DataError(path, number, f"the {name} is a {type(value).__name__}, not a string")
    return value


def _language(row: dict[str, Any], path: str | Path, number: int) -> str | None:
    for name in LANGUAGE:
        tag = _optional(row, name, path, number)
        if tag:
            try:
                return normalise(tag)
            except LanguageError as error:
                raise DataError(path, number, str(error)) from None
    return None


def parse_scored(line: str, path: str | Path, number: int) -> ScoredDocument:
    """One line of a JSONL run: `{"query_id": …, "document_id": …, "score": …}`."""
    row = json_object(line, path, number)
    query_id, document_id = (
        identity_of({"id": _first(row, (name,), path, number)}, path, number)
        for name in ("query_id", "document_id")
    )
    score = _first(row, ("score",), path, number)
    return ScoredDocument(query_id, document_id, finite(score, path, number))


def dump_scored(hit: ScoredDocument, details: Mapping[str, Any] | None = None) -> str:
    """One line of a JSONL run, with its line end; the score keeps nine digits.

    Args:
        details: further fields of the line, which readers of runs leave alone.
    """
    row = {
        "query_id": hit.query_id,
        "document_id": hit.document_id,
        "score": float(f"{hit.score:.9g}"),
    }
    row = {**row, **{key: value for key, value in (details or {}).items() if key not in row}}
    return json.dumps(row, ensure_ascii=False) + "\n"


def finite(value: Any, path: str | Path, number: int) -> float:
    """A score as a finite float, or a DataError; float() alone would take 1_0 and any digits."""
    written = isinstance(value, str) and _NUMBER.fullmatch(value)
    if not written and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise DataError(path, number, f"the score {value!r} is not a number")
    try:
        score = float(value)
    except OverflowError:  # an integer of hundreds of digits
        score = math.inf
    if not math.isfinite(score):
        raise DataError(path, number, f"the score {value!r:.60} is not finite")
    return score
