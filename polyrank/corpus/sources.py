"""Text files of languages: which language a file is in, and its lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from polyrank.collections.files import decoded, raw_lines
from polyrank.errors import DataError, LanguageError, UsageError
from polyrank.languages.tags import normalise

BLOCK = 1000  # lines that are tokenized, identified and hashed together


class TextSource(NamedTuple):
    """A text file and the language that it should be in, as a normalised tag."""

    language: str
    path: Path


class Line(NamedTuple):
    """A line of a file, numbered from 1, without blanks at its ends; blank lines are empty."""

    number: int
    text: str


def as_source(given: str | Path) -> TextSource:
    """`LANGUAGE=FILE`, or a file that is named by its language.

    >>> as_source("kir=news.txt")
    TextSource(language='ky', path=PosixPath('news.txt'))
    >>> as_source("texts/zh-Hant.txt.gz").language
    'zh-Hant'

    Raises:
        LanguageError: neither says a language, or one that is unknown.
        DataError: a pipe, which cannot be read twice.
    """
    tag, equals, named = str(given).partition("=")
    if Path(given).exists() or not equals:
        path = Path(given)
        try:
            language = normalise(path.name.split(".")[0])
        except LanguageError:
            raise LanguageError(
                f"{path} has no language in its name; put it in front, such as ky={path}"
            ) from None
    else:
        path, language = Path(named), normalise(tag)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise DataError(path, None, "a pipe, which cannot be read twice; write it to a file first")
    return TextSource(language, path)


def as_sources(given: str | Path | Iterable[str | Path]) -> list[TextSource]:
    """Each of the files, or of one, with its language.

    Raises:
        UsageError: none is given.
    """
    given = [given] if isinstance(given, (str, Path)) else given
    sources = [as_source(one) for one in given]
    if not sources:
        raise UsageError("give a text file, such as ky.txt or ky=news.txt")
    return sources


def lines(path: Path) -> Iterator[Line]:
    """The lines of a UTF-8 file, `.gz` read transparently, blank ones included.

    Raises:
        DataError: it cannot be read, is not UTF-8, holds JSON lines, or no line that is not blank.
    """
    empty = True
    for number, raw in raw_lines(path):
        text = decoded(raw, path, number).strip()
        if empty and text:
            refuse_json(path, number, text)
            empty = False
        yield Line(number, text)
    if empty:
        raise DataError(path, None, "the file is empty")


def refuse_json(path: str | Path, number: int, line: str) -> None:
    """Refuse JSON lines where plain text is expected.

    Raises:
        DataError: the line is a JSON object.
    """
    if line.startswith("{"):
        with suppress(ValueError):
            json.loads(line)
            reason = "JSON, where plain text is expected, a sentence on each line"
            raise DataError(path, number, f"{reason}; extract the texts into a plain file first")


def blocks(items: Iterable[Line], size: int = BLOCK) -> Iterator[list[Line]]:
    """The lines in lists of at most `size`."""
    block: list[Line] = []
    for item in items:
        block.append(item)
        if len(block) == size:
            yield block
            block = []
    if block:
        yield block
