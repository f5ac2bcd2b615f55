"""Spans that survive translation: marked in the text, translated with it, read back.

MultiTACRED (arXiv 2305.04582, §3): entities are wrapped in markers, the marked text is translated,
and the markers are read back; what lost one, or has them out of order, is for a human to mend.

The markers of span i are `<i>` and `</i>`, from 1 on, which translators keep more often than words.
Spans may change their order, as words do between languages; a span may not lose a marker, open
after it closes, hold nothing, or cross another that it did not cross before.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from polyrank.translation.translator import Translator, translated

Span = tuple[int, int]  # characters: the first, and the one after the last
MARKER = re.compile(r"<\s*(/?)\s*(\d+)\s*>")


@dataclass(frozen=True)
class Marked:
    """A text and the spans in it, in the order of their numbers."""

    text: str
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Failure:
    """A text whose markers did not come back: what the translator gave, and what is wrong."""

    given: str
    reason: str


def mark(item: Marked) -> str:
    """The text with its markers; without spans, as it is.

    Raises:
        ValueError: spans outside the text, empty, or crossing each other, or a text that has spans
            and holds markers of its own.
    """
    text, spans = item.text, item.spans
    if not spans:
        return text
    if MARKER.search(text):
        raise ValueError(f"the text holds a marker of its own: {MARKER.search(text)[0]}")  # type: ignore[index]
    for start, end in spans:
        if not 0 <= start < end <= len(text):
            raise ValueError(f"the span {start}–{end} is empty or outside the text")
    if _crossing(spans):
        raise ValueError("two spans cross each other")
    pieces: list[tuple[int, int, int, str]] = []  # place, closing first, inner close first
    for number, (start, end) in enumerate(spans, 1):
        pieces.append((start, 1, -end, f"<{number}>"))
        pieces.append((end, 0, -start, f"</{number}>"))
    marked, last = "", 0
    for place, _, _, marker in sorted(pieces):
        marked, last = marked + text[last:place] + marker, place
    return marked + text[last:]


def unmark(text: str, count: int) -> Marked:
    """The text without its markers, and the spans that they were around.

    Args:
        text: as a translator gave it; it may have put spaces into markers.
        count: how many spans there were; of none, the text is given back as it is.

    Raises:
        ValueError: markers that are missing, doubled, unknown or out of order, or around nothing.
    """
    if not count:
        return Marked(text)
    plain, last = "", 0
    places: dict[tuple[str, int], int] = {}
    for match in MARKER.finditer(text):
        plain += text[last : match.start()]
        last = match.end()
        key = (match[1], int(match[2]))
        if key in places:
            raise ValueError(f"the marker {_shown(key)} came back twice")
        places[key] = len(plain)
    plain += text[last:]
    wanted = [(slash, number) for number in range(1, count + 1) for slash in ("", "/")]
    if missing := [key for key in wanted if key not in places]:
        raise ValueError(f"the marker {_shown(missing[0])} did not come back")
    if unknown := sorted(set(places) - set(wanted)):
        raise ValueError(f"the marker {_shown(unknown[0])} was not given")
    spans = [_trimmed(plain, places["", n], places["/", n], n) for n in range(1, count + 1)]
    if _crossing(spans):
        raise ValueError("two spans cross each other")
    return Marked(plain, tuple(spans))


def translate_marked(
    translator: Translator, items: Sequence[Marked], source: str, target: str
) -> list[Marked | Failure]:
    """Each item in the other language with its spans, or what went wrong with it."""
    found: list[Marked | Failure] = []
    ready: list[tuple[int, str]] = []
    for place, item in enumerate(items):
        try:
            ready.append((place, mark(item)))
            found.append(item)
        except ValueError as error:
            found.append(Failure(item.text, str(error)))
    answers = translated(translator, [text for _, text in ready], source, target)
    for (place, _), answer in zip(ready, answers, strict=True):
        try:
            found[place] = unmark(answer, len(items[place].spans))
        except ValueError as error:
            found[place] = Failure(answer, str(error))
    return found


def _trimmed(text: str, start: int, end: int, number: int) -> Span:
    """A span without the blanks at its ends, which translators put inside markers.

    Raises:
        ValueError: it ends before it starts, or holds nothing.
    """
    if start > end:
        raise ValueError(f"the marker </{number}> came back before <{number}>")
    held = text[start:end]
    if not held.strip():
        raise ValueError(f"nothing came back between <{number}> and </{number}>")
    return start + len(held) - len(held.lstrip()), end - (len(held) - len(held.rstrip()))


def _crossing(spans: Sequence[Span]) -> bool:
    """Whether one span starts inside another and ends outside it."""
    return any(a[0] < b[0] < a[1] < b[1] for a in spans for b in spans)


def _shown(key: tuple[str, int]) -> str:
    return f"<{key[0]}{key[1]}>"
