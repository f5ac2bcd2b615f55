"""CLEF's topics, one file a language: SGML with CLEF's tags, DIRECT's XML, or lines with labels."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from polyrank.collections.sgml import Assumed, decoded_lines, unescape
from polyrank.errors import DataError, LanguageError
from polyrank.languages.tags import normalise

# CLEF's own codes where they are not tags: of 2000, and SW for Swedish beside SV.
CODES = {"e": "en", "d": "de", "f": "fr", "i": "it", "sp": "es", "sw": "sv", "nl": "nl"}
YEARS = {"2000": (1, 40), "2001": (41, 90), "2002": (91, 140), "2003": (141, 200)}
_PARTS = {
    "num": "number", "identifier": "number", "query_id": "number",
    "title": "title", "desc": "description", "description": "description",
    "narr": "narrative", "narrative": "narrative",
}  # fmt: skip
_WHOLE = ("top", "topic")
_TAG = re.compile(r"<(/?)(?:([A-Za-z]{1,3})-)?([A-Za-z_]+)[^<>]*>")
_LABEL = re.compile(r"^\s*(query_id|title|description)\s*:", re.IGNORECASE | re.MULTILINE)
_NUMBER = re.compile(r"(?:number\s*:)?\s*(?:[\d.]+/)?C?(\d+)(?:-[A-Z]+)?", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True)
class Topic:
    """One topic; the query is title and description, as the references have it."""

    line: int
    number: int
    title: str
    description: str

    @property
    def text(self) -> str:
        return f"{self.title} {self.description}"

    @property
    def year(self) -> str | None:
        """The campaign, by its number."""
        return next((y for y, (low, high) in YEARS.items() if low <= self.number <= high), None)


def topic_number(word: str) -> int | None:
    """141 of `C141`, `141` and `10.2452/141-AH`; None where it is none of these."""
    found = _NUMBER.fullmatch(word.strip())
    return int(found[1]) if found else None


def read_topics(
    path: Path, legacy: str | None, assumed: Assumed
) -> tuple[str | None, dict[int, Topic]]:
    """The language that the tags name (`de` of `<DE-title>`), and the topics by number.

    Raises:
        DataError: for a topic without number, title or description, a number that occurs twice,
            tags of two languages, or a file without topics.
    """
    lines = [line for _, line in decoded_lines(path, legacy, assumed)]
    text = "".join(lines)
    prefix: str | None = None
    topics: dict[int, Topic] = {}
    for line, parts, code in _blocks(path, text):
        topic = _topic(path, line, parts)
        if topic.number in topics:
            reason = f"topic {topic.number} is on line {topics[topic.number].line} too"
            raise DataError(path, line, reason)
        if code and prefix not in (None, code):
            raise DataError(path, line, f"a topic with {code}- tags among {prefix}- tags")
        prefix = prefix or code
        topics[topic.number] = topic
    if not topics:
        raise DataError(path, None, "no topic in this file (<top> with <num>, or query_id: lines)")
    return (_language(path, prefix) if prefix else None), topics


def _blocks(path: Path, text: str) -> Iterator[tuple[int, dict[str, str], str | None]]:
    """(line, parts, language code) of each topic; a part ends at the next tag of a topic."""
    marks: list[tuple[int, int, str | None, str | None]]
    marks = [
        (m.start(), m.end(), m[2], None if m[1] else m[3].lower())
        for m in _TAG.finditer(text)
        if m[3].lower() in (*_PARTS, *_WHOLE)
    ]
    if not any(name in _WHOLE for *_, name in marks):
        marks = [(m.start(), m.end(), None, m[1].lower()) for m in _LABEL.finditer(text)]
    followers = [start for start, *_ in marks[1:]]
    line, counted = 1, 0
    open_at, parts, code = 0, dict[str, str](), None
    for (start, end, prefix, name), follower in zip_longest(marks, followers):
        line, counted = line + text.count("\n", counted, start), start
        if name in (*_WHOLE, "query_id"):
            if open_at:
                yield open_at, parts, code
            open_at, parts, code = line, {}, None
        part = _PARTS.get(name or "")
        if part and open_at:
            if part in parts:
                raise DataError(path, line, f"a second {part} in the topic of line {open_at}")
            content = _TAG.sub(" ", text[end:follower])
            parts[part] = " ".join(unescape(content).split())
            code = code or (prefix and prefix.lower())
    if open_at:
        yield open_at, parts, code


def _topic(path: Path, line: int, parts: dict[str, str]) -> Topic:
    for part in ("number", "title", "description"):
        if not parts.get(part):
            raise DataError(path, line, f"a topic without {part}")
    number = topic_number(parts["number"])
    if number is None:
        raise DataError(path, line, f"the topic number {parts['number']!r} is not like C141")
    return Topic(line, number, parts["title"], parts["description"])


def _language(path: Path, code: str) -> str:
    try:
        return CODES.get(code) or normalise(code)
    except LanguageError as error:
        raise DataError(path, None, f"<{code}-title>: {error}") from None
