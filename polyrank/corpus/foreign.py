"""Lines in another language than that of their file."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import NamedTuple

from polyrank.base import bundled_zoo
from polyrank.languages.identification import same
from polyrank.languages.tags import identified_languages, identify, script, usual_script

RELIABLE = (
    0.7  # accuracy that the identifier must have on a language in every set it was measured on
)
READ = 400  # characters of a line that are read: more add time and little certainty


class Foreign(NamedTuple):
    """What a line seems to be in, where that is not the language of its file."""

    language: str  # a tag, or a script where only that can be told
    confidence: float  # 0 to 1


Foreigners = Callable[[Sequence[str]], "list[Foreign | None]"]


def is_identified(language: str) -> bool:
    """Whether the identifier tells the language reliably from others; if not, scripts are compared.

    It would take Xhosa for Zulu (accuracy .02 on SIB-200), and a language that it was not trained
    on for a relative, each time with confidence.
    """
    known = any(same(label, language) for label in identified_languages())
    return known and all(
        accuracy >= RELIABLE for label, accuracy in _measured() if same(label, language)
    )


@lru_cache(maxsize=1)
def _measured() -> tuple[tuple[str, float], ...]:
    """(label, accuracy) of the bundled identifier on each of the sets it was measured on."""
    zoo = bundled_zoo()
    if zoo is None or not (zoo / "lid" / "measured.json").is_file():
        return ()
    sets = json.loads((zoo / "lid" / "measured.json").read_text(encoding="utf-8"))["sets"]
    return tuple(
        (label, ours)
        for measured in sets.values()
        for label, (ours, _) in measured["accuracy"].items()
    )


def foreigners(language: str) -> Foreigners:
    """A function that finds the texts that are not in `language`, None for each that is.

    By `identify` of `polyrank.languages.tags` if it is reliable there (see `is_identified`); else a
    text is foreign that is not in the usual script of the language.
    Texts without letters are in no other language.
    """
    return _by_language(language) if is_identified(language) else _by_script(language)


def _by_language(language: str) -> Foreigners:
    def find(texts: Sequence[str]) -> list[Foreign | None]:
        return [
            None if tag is None or same(tag, language) else Foreign(tag, confidence)
            for tag, confidence in identify(text[:READ] for text in texts)
        ]

    return find


# How `script` names the usual scripts of ISO 15924 that it does not tell apart.
_WRITTEN = {"Hans": "Hani", "Hant": "Hani"}


def _by_script(language: str) -> Foreigners:
    usual = usual_script(language)
    expected = {_WRITTEN.get(usual, usual), "Zyyy", "Zzzz"}

    def find(texts: Sequence[str]) -> list[Foreign | None]:
        written = (script(text[:READ]) for text in texts)
        return [None if one in expected else Foreign(one, 1.0) for one in written]

    return find
