"""Lines in another language than that of their file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from polyrank.identification import same
from polyrank.languages import identified_languages, identify, script, usual_script

READ = 400  # characters of a line that are read: more add time and little certainty


class Foreign(NamedTuple):
    """What a line seems to be in, where that is not the language of its file."""

    language: str  # a tag, or a script where only that can be told
    confidence: float  # 0 to 1


Foreigners = Callable[[Sequence[str]], "list[Foreign | None]"]


def is_identified(language: str) -> bool:
    """Whether the identifier knows the language; if not, only scripts are compared."""
    return any(same(known, language) for known in identified_languages())


def foreigners(language: str) -> Foreigners:
    """A function that finds the texts that are not in `language`, None for each that is.

    By `polyrank.languages.identify`, which knows some 125 languages. For any other it would take
    every line for a relative's, so there it is asked whether the line is in the usual script.
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
