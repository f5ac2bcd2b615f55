"""The units of a text that a plan chooses from: sentences, or the clauses of sentences.

Elementary discourse units are found by a discourse parser in the paper (arXiv 2305.17779). Here
rules stand for it, which need no model and hold in every language:

1. Sentences are those of the library `sentencex`, by the text's language.
2. A sentence may be split after a comma, semicolon or colon (also the Arabic, Chinese and
   Devanagari ones) and any closing quotes, where a blank follows or the script writes none; and
   before a dash between blanks.
3. A split is taken from left to right, where at least `LEAST` words stand on either side of it;
   in scripts without spaces a character counts as a word.

Blanks around a unit belong to none. A text without a letter or digit has no units.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from polyrank.errors import UsageError
from polyrank.index.analysis import tokenize

Span = tuple[int, int]  # characters: the first, and the one after the last

LEAST = 5  # words of a clause
FINENESS = ("clause", "sentence")
_BREAK = re.compile(r"[,;:،؛](?=[\"'”’»)\]]*\s)[\"'”’»)\]]*|[，；：]|\s(?=[–—-]\s)")


def units_of(text: str, language: str | None, fineness: str = "clause") -> tuple[Span, ...]:
    """The units of a text, in their order; they do not overlap.

    Args:
        language: its tag, for the library's rules; English ones where it is None.
        fineness: 'clause' or 'sentence'.

    Raises:
        UsageError: another fineness, or the library is not installed.
    """
    if fineness not in FINENESS:
        raise UsageError(f"units are {' or '.join(FINENESS)}, not '{fineness}'")
    sentences = _sentences(text, language)
    if fineness == "sentence":
        return tuple(sentences)
    return tuple(clause for span in sentences for clause in _clauses(text, span))


def texts_of(text: str, units: tuple[Span, ...]) -> list[str]:
    """The units as texts."""
    return [text[start:end] for start, end in units]


def extract(text: str, units: tuple[Span, ...], plan: tuple[int, ...]) -> str:
    """The units of a plan in their order, as one text.

    Units that follow each other in the article keep what stands between them there; others are
    joined by a blank.
    """
    pieces = []
    for place, unit in enumerate(plan):
        start, end = units[unit]
        following = place > 0 and plan[place - 1] == unit - 1
        pieces.append(text[units[unit - 1][1] : end] if following else f" {text[start:end]}")
    return "".join(pieces).strip()


def _sentences(text: str, language: str | None) -> Iterator[Span]:
    from polyrank.installed import require

    require("summaries", "splitting texts into units")
    from sentencex import segment

    start = 0
    for sentence in segment((language or "en").partition("-")[0], text):
        bare = sentence.strip()
        start = text.index(bare, start)
        if tokenize(bare):
            yield start, start + len(bare)
        start += len(bare)


def _clauses(text: str, sentence: Span) -> Iterator[Span]:
    start, end = sentence
    for found in _BREAK.finditer(text, start, end):
        if min(_words(text[start : found.end()]), _words(text[found.end() : end])) >= LEAST:
            yield _bare(text, start, found.end())
            start = found.end()
    yield _bare(text, start, end)


def _bare(text: str, start: int, end: int) -> Span:
    """The same without blanks at its ends."""
    piece = text[start:end]
    return start + len(piece) - len(piece.lstrip()), start + len(piece.rstrip())


def _words(text: str) -> int:
    return len(tokenize(text, bigrams=False))
