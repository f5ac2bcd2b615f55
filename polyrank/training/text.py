"""Reads training text: plain lines and sentence pairs, gzipped or not."""

from __future__ import annotations

from pathlib import Path

from polyrank.collections.files import numbered_lines, open_text
from polyrank.errors import DataError

Pairs = dict[str, list[tuple[str, str]]]


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file that are not blank.

    Raises:
        DataError: when there is none, or the file cannot be read as UTF-8.
    """
    return [line.strip() for line in open_text(path)]


def read_pairs(path: str | Path) -> Pairs:
    """`language <tab> text <tab> English` per line, as {language: [(text, English)]}.

    Raises:
        DataError: on a line without three columns, with its number.
    """
    pairs: Pairs = {}
    for number, line in numbered_lines(path):
        columns = line.split("\t")
        if len(columns) != 3 or not all(map(str.strip, columns)):
            raise DataError(
                path,
                number,
                "expected language, text and English with tabs between, "
                f"found {len(columns)} columns",
            )
        pairs.setdefault(columns[0], []).append((columns[1].strip(), columns[2].strip()))
    return pairs
