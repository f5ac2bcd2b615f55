"""Newspapers and topics in the SGML of TREC and CLEF, as it was shipped about the year 2000.

Elements may lack their closing tags, files may be in UTF-8 or in an older encoding, and each
newspaper has its own words for title and text. What had to be assumed is counted in `Assumed`.
"""

from __future__ import annotations

import codecs
import html
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from polyrank.collections.files import raw_lines
from polyrank.errors import DataError

TITLE = frozenset({"TITLE", "HEADLINE", "TI", "HD", "HL"})
TEXT = frozenset({"TEXT", "LEAD", "TX", "LD", "ST", "TE", "LE", "LP"})
IDENTITY = ("DOCNO", "DOCID")  # the first is what judgements name
# Taken where there is no title or text of their own.
FALLBACK = {"HEAD": "title", "BODY": "text"}
MARKUP = frozenset(
    ("P", "BR", "B", "I", "U", "EM", "STRONG", "HI", "S", "SUB", "SUP", "HR")
    + ("TABLE", "TR", "TD", "TH", "UL", "OL", "LI")
)
_TAG = re.compile(r"<(/?)([A-Za-z][\w.:-]*)[^<>]*>|<[!?][^>]*>")
_ENTITY = re.compile(r"&(?:#\d+|#[xX][0-9a-fA-F]+|[A-Za-z][A-Za-z0-9]*);")
_OPEN = re.compile(r"<DOC(?:\s[^>]*)?>", re.IGNORECASE)
_CLOSE = re.compile(r"</DOC\s*>", re.IGNORECASE)
_DECLARED = re.compile(rb"<\?xml[^>]*\bencoding\s*=\s*[\"']([\w.:-]+)[\"']", re.IGNORECASE)


@dataclass
class Assumed:
    """What a reader assumed or left out: a sentence → how often, and where first."""

    times: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)

    def note(self, what: str, path: Path, line: int) -> None:
        self.times[what] += 1
        self.first.setdefault(what, f"{path}:{line}")

    def add(self, other: Assumed) -> None:
        self.times.update(other.times)
        self.first = {**other.first, **self.first}
        self.said += other.said

    def notes(self) -> tuple[str, ...]:
        counted = (
            f"{what}: {count:,} times, first {self.first[what]}"
            for what, count in self.times.items()
        )
        return (*self.said, *counted)


@dataclass(frozen=True)
class Element:
    """One document: where it starts, its identity, its title and text."""

    line: int
    id: str
    title: str
    text: str


def decoded_lines(path: Path, legacy: str | None, assumed: Assumed) -> Iterator[tuple[int, str]]:
    """(line number, text) of a file whose encoding it may not tell.

    An XML declaration or a byte-order mark is believed. Without, each line is UTF-8 where that is
    possible, else `legacy`, counted in `assumed`.

    Args:
        legacy: the older encoding; None where the language has no likely one.

    Raises:
        DataError: for a line in neither, or not in the declared encoding.
    """
    declared: str | None = None
    for number, raw in raw_lines(path):
        if number == 1:
            declared, raw = _declared(path, raw)
        try:
            yield number, raw.decode(declared or "utf-8")
            continue
        except UnicodeDecodeError as error:
            if declared or legacy is None:
                reason = f"not {declared or 'UTF-8'} ({error.reason}, byte {error.start})"
                raise DataError(path, number, reason + "; convert the file with iconv") from None
        assumed.note(f"a line is not UTF-8 and was read as {legacy}", path, number)
        yield number, _old(raw, legacy)


def _old(raw: bytes, legacy: str) -> str:
    """Windows-1252 leaves five bytes without meaning; ISO-8859-1 has one for all."""
    try:
        return raw.decode(legacy)
    except UnicodeDecodeError:
        return raw.decode("iso-8859-1")


def _declared(path: Path, raw: bytes) -> tuple[str | None, bytes]:
    """The encoding that a first line declares, and the line without its byte-order mark."""
    if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise DataError(path, 1, "UTF-16; convert the file to UTF-8 with iconv")
    marked = raw.startswith(codecs.BOM_UTF8)
    raw = raw.removeprefix(codecs.BOM_UTF8)
    if found := _DECLARED.search(raw):
        name = found[1].decode("ascii")
        try:
            known = codecs.lookup(name).name
        except LookupError:
            raise DataError(path, 1, f"the encoding {name!r} is not known") from None
        # What calls itself ISO-8859-1 is often its superset, with quotes and dashes.
        return ("cp1252" if known == "iso8859-1" and not marked else known), raw
    return ("utf-8" if marked else None), raw


def iter_documents(path: Path, legacy: str | None, assumed: Assumed) -> Iterator[Element]:
    """The `<DOC>` elements of a file; one ends at `</DOC>`, at the next, or with the file.

    Raises:
        DataError: for a file without a document, a document without a DOCNO, or bad bytes.
    """
    start, parts, seen = 0, [""], False
    for number, line in decoded_lines(path, legacy, assumed):
        while line:
            if not start:
                found = _OPEN.search(line)
                if _bare(line[: found.start()] if found else line):
                    assumed.note("a line outside of documents was skipped", path, number)
                if not found:
                    break
                start, parts, seen, line = number, [], True, line[found.end() :]
                continue
            close, again = _CLOSE.search(line), _OPEN.search(line)
            if close and not (again and again.start() < close.start()):
                parts.append(line[: close.start()])
                yield _element(path, start, "".join(parts), assumed)
                start, line = 0, line[close.end() :]
            elif again:
                assumed.note("a document without </DOC> was ended by the next", path, start)
                parts.append(line[: again.start()])
                yield _element(path, start, "".join(parts), assumed)
                start, parts, line = number, [], line[again.end() :]
            else:
                parts.append(line)
                break
    if start:
        assumed.note("a document without </DOC> was ended by its file", path, start)
        yield _element(path, start, "".join(parts), assumed)
    if not seen:
        raise DataError(path, None, "no <DOC> in this file; move it out of the documents' folder")


def _bare(text: str) -> str:
    """Text without tags, blanks and the end mark of DOS files."""
    return _TAG.sub("", text).strip(" \t\r\n\x1a\x00")


def _element(path: Path, line: int, body: str, assumed: Assumed) -> Element:
    fields = _fields(body)
    identities = [fields[name] for name in IDENTITY if fields.get(name)]
    if not identities:
        raise DataError(path, line, "a <DOC> without a DOCNO")
    identity = " ".join(identities[0])
    if len(identity.split()) != 1:
        raise DataError(path, line, f"the DOCNO {identity!r} is not one word")
    if not fields.get("DOCNO"):
        assumed.note("a document without DOCNO goes by its DOCID", path, line)
    title = fields.get("title") or fields.get("HEAD") or []
    text = fields.get("text") or fields.get("BODY") or []
    if not title and not text:
        assumed.note("a document without title and text was kept", path, line)
    for name in fields.keys() - {"title", "text", *IDENTITY, *FALLBACK}:
        assumed.note(f"<{name}> is not taken as text", path, line)
    return Element(line, identity, " ".join(title), " ".join(text))


def _fields(body: str) -> dict[str, list[str]]:
    """Texts by what they are: `title`, `text`, or the name of the element in which they stand.

    An element that is never closed ends where the next one begins, `MARKUP` aside. Inside a title
    or text that is closed, all but other titles and texts are markup.
    """
    tags = list(_TAG.finditer(body))
    closed: Counter[str] = Counter(tag[2].upper() for tag in tags if tag[1])
    found: dict[str, list[str]] = {}
    stack: list[str] = []
    place = 0
    for tag in [*tags, None]:
        piece = " ".join(unescape(body[place : tag.start() if tag else None]).split())
        if piece and stack:
            found.setdefault(_meaning(stack[-1]), []).append(piece)
        elif piece:
            found.setdefault("DOC", []).append(piece)
        if tag is None:
            return found
        place = tag.end()
        if tag[2] is None:  # a comment or a declaration
            continue
        name = tag[2].upper()
        if tag[1]:
            closed[name] -= 1
            if name in stack:
                del stack[len(stack) - 1 - stack[::-1].index(name) :]
        elif name not in MARKUP:
            while stack and closed[stack[-1]] < stack.count(stack[-1]):
                stack.pop()
            if _is_field(name) or not any(_is_field(s) for s in stack if s not in FALLBACK):
                stack.append(name)
    return found


def _is_field(name: str) -> bool:
    return name in TITLE or name in TEXT or name in IDENTITY or name in FALLBACK


def _meaning(name: str) -> str:
    return "title" if name in TITLE else "text" if name in TEXT else name


def unescape(text: str) -> str:
    """SGML's entities, those with their semicolon alone, so that 'AT&T' stays."""
    return _ENTITY.sub(lambda match: html.unescape(match[0]), text)
