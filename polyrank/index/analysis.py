"""How a text of a language becomes the tokens of a lexical index.

Three analysers: words, case-folded, with characters and bigrams where a script has no spaces; the
stems of words, where Snowball has a stemmer of the language; the sub-words of a base's vocabulary.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby, pairwise
from typing import Any

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError, first_line
from polyrank.index.folding import Fold, fold, fold_of
from polyrank.languages.tags import usual_script

Tokenizer = Callable[[str], list[str]]

ANALYSES = ("words", "stems", "subwords")

# Blocks of scripts written without spaces between words.
_UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # ideographic iteration mark and zero
    (0x3040, 0x30FF),  # kana
    (0x31F0, 0x31FF),  # kana, small
    (0x3400, 0x9FFF),  # Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0x20000, 0x3FFFF),  # Han, extensions
)
_SEPARATOR, _WORD, _CHARACTER = range(3)

# Language -> Snowball's name of its stemmer (snowballstem.org).
STEMMERS = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek",
    "en": "english", "eo": "esperanto", "es": "spanish", "et": "estonian", "eu": "basque",
    "fa": "persian", "fi": "finnish", "fr": "french", "ga": "irish", "hi": "hindi",
    "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian",
    "nb": "norwegian", "ne": "nepali", "nl": "dutch", "nn": "norwegian", "no": "norwegian",
    "pl": "polish", "pt": "portuguese", "ro": "romanian", "ru": "russian", "sr": "serbian",
    "st": "sesotho", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip


@dataclass(frozen=True)
class Analyser:
    """A named way from a text to tokens; equal names give equal tokens."""

    name: str
    tokens: Tokenizer

    def __str__(self) -> str:
        return self.name


def tokenize(text: str, folding: Fold = fold, bigrams: bool = True) -> list[str]:
    """Words of Unicode letters, marks and digits, folded; see `folding`.

    Scripts without spaces (Han, kana, Thai, Lao, Myanmar, Khmer) give single characters and then
    bigrams instead; a combining mark stays with the character that carries it. `bigrams` says
    whether those of such scripts come too.

    >>> tokenize("Den 3. Mai: 北京市")
    ['den', '3', 'mai', '北', '京', '市', '北京', '京市']
    """
    tokens: list[str] = []
    for kind, group in groupby(folding(text), key=_kind):
        if kind == _WORD:
            tokens.append("".join(group))
        elif kind == _CHARACTER:
            characters = _with_marks(group)
            tokens += characters
            tokens += [a + b for a, b in pairwise(characters)] if bigrams else []
    return tokens


@lru_cache(maxsize=65536)
def _kind(character: str) -> int:
    if unicodedata.category(character)[0] not in "LMN":
        return _SEPARATOR
    code = ord(character)
    return _CHARACTER if any(a <= code <= b for a, b in _UNSPACED) else _WORD


def _with_marks(characters: Iterable[str]) -> list[str]:
    joined: list[str] = []
    for character in characters:
        if joined and unicodedata.category(character).startswith("M"):
            joined[-1] += character
        else:
            joined.append(character)
    return joined


WORDS = Analyser("words", tokenize)


@lru_cache(maxsize=64)
def words(language: str | None) -> Analyser:
    """Words as the language folds them."""
    name, folding = fold_of(language)
    if folding is fold:
        return WORDS
    return Analyser(f"words ({name})", lambda text: tokenize(text, folding))


@lru_cache(maxsize=64)
def stems(stemmer: str, language: str | None = None) -> Analyser:
    """The stems of words, by a Snowball stemmer such as 'english' (Porter 2001).

    >>> stems("english").tokens("Boiling waters")
    ['boil', 'water']
    """
    from Stemmer import Stemmer

    stem = Stemmer(stemmer).stemWords
    _, folding = fold_of(language)  # languages of one stemmer share it
    return Analyser(f"stems ({stemmer})", lambda text: list(stem(tokenize(text, folding))))


def subwords(tokenizer: Any, name: str) -> Analyser:
    """The sub-words of a Hugging Face fast tokenizer, as they stand in the case-folded text.

    Marks of word beginnings and continuations are left out, since where a word begins in a script
    without spaces is the accident of a punctuation mark. Characters that the vocabulary lacks come
    as `tokenize` gives them.

    Args:
        tokenizer: of a base, fast, for its offsets.
        name: of the base, for the report.
    """

    def tokens(text: str) -> list[str]:
        folded = fold(text)
        encoded = tokenizer(
            folded,
            add_special_tokens=False,
            return_offsets_mapping=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            verbose=False,  # a text over the model's length is fine here
        )
        found: list[str] = []
        pieces = zip(encoded.tokens(), encoded["input_ids"], encoded["offset_mapping"], strict=True)
        for piece, number, (start, end) in pieces:
            span = folded[start:end]
            if number == tokenizer.unk_token_id:
                found += tokenize(span)
            elif piece != "▁" and any(_kind(character) != _SEPARATOR for character in span):
                found.append(span.strip())
        return found

    return Analyser(f"subwords ({name})", tokens)


@lru_cache(maxsize=4)
def _subwords_of(base: str) -> Analyser:
    """By a base's tokenizer alone; its weights are not read."""
    from polyrank.base import base_name, load_tokenizer, only_cached, resolve_base
    from polyrank.base.trusted import refuse_code_of
    from polyrank.errors import ModuleError

    try:
        source = resolve_base(base)
        cached = only_cached(source)
        refuse_code_of(source, cached)
        return subwords(load_tokenizer(source, cached), base_name(base))
    except (OSError, ValueError) as error:
        raise ModuleError(
            f"the vocabulary of base '{base}' cannot be read: {first_line(error)}\n"
            "Name another base, or use the analysis 'words', which needs none."
        ) from error


def stemmer_of(language: str | None) -> str | None:
    """Snowball's stemmer of a language tag, its region apart; None where there is none."""
    if language is None:
        return None
    plain = language.partition("-")[0]
    return STEMMERS.get(plain) if usual_script(language) == usual_script(plain) else None


def analyser(language: str | None, analysis: str = "stems", base: str = DEFAULT_BASE) -> Analyser:
    """The analyser for a language.

    Args:
        language: a normalised tag; None for a text that tells no language.
        analysis: 'words'; 'stems', or words where Snowball has no stemmer; 'subwords'.
        base: whose vocabulary; its tokenizer is read only for sub-words.

    Raises:
        UsageError: an unknown analysis.
        ModuleError: a base whose vocabulary cannot be read.
    """
    if analysis not in ANALYSES:
        raise UsageError(f"unknown analysis '{analysis}'; use one of {', '.join(ANALYSES)}")
    if analysis == "subwords":
        return _subwords_of(base)
    stemmer = stemmer_of(language) if analysis == "stems" else None
    if stemmer:
        return stems(stemmer, (language or "").partition("-")[0])
    return words(language) if analysis == "stems" else WORDS
