"""What a lexical index takes for the same letter, by language, as Lucene's analysers do.

For every language: NFKC without case (full-width and presentation forms, ligatures), decimal digits
of all scripts as ASCII, the dot that İ leaves over i, soft hyphens and other characters that are
not seen. For some more: what their writers leave out, or type in several ways.

Sources: Lucene's TurkishLowerCaseFilter, ArabicNormalizer, PersianNormalizer, SoraniNormalizer,
HindiNormalizer (nukta and chandrabindu alone: the stemmer needs the vowels), GermanNormalization,
GreekLowerCase, RomanianNormalization, DecimalDigitFilter, and ICUFoldingFilter for marks.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Callable, Iterable
from functools import lru_cache

Fold = Callable[[str], str]

_UNSEEN = ["\u00ad", "\u200d", "\u2060", "\ufeff", *map(chr, range(0xFE00, 0xFE10))]


@lru_cache(maxsize=1)
def _everywhere() -> dict[int, str | None]:
    """Digits of all scripts, and what is not seen."""
    digits = {
        code: str(unicodedata.decimal(chr(code)))
        for code in range(0x80, sys.maxunicode + 1)
        if unicodedata.category(chr(code)) == "Nd"
    }
    return {**digits, **dict.fromkeys(map(ord, _UNSEEN))}


def _without_case(text: str) -> str:
    nfkc = unicodedata.normalize
    folded = nfkc("NFKC", nfkc("NFKC", text).casefold()).translate(_everywhere())
    if "i\u0307" not in folded:
        return folded
    return nfkc("NFC", folded.replace("i\u0307", "i"))


def fold(text: str) -> str:
    """What holds for every language; of one that is not known, dotless ı is i.

    >>> fold("İSTANBUL ۱۲ ＡＢ")
    'istanbul 12 ab'
    """
    return _without_case(text).replace("ı", "i")


def fold_of(language: str | None) -> tuple[str, Fold]:
    """The name and the function of a language's folding; 'any' where it has none of its own.

    >>> fold_of("tr-TR")[1]("ISPARTA İzmir")
    'ısparta izmir'
    """
    plain = (language or "").partition("-")[0]
    for name, (languages, function) in _OWN.items():
        if plain in languages:
            return name, function
    return "any", fold


def _table(*pairs: tuple[str, str]) -> dict[int, str]:
    return {ord(letter): to for letters, to in pairs for letter in letters}


def _removed(text: str, marks: Iterable[int] | None = None) -> str:
    """Without those marks, or all."""
    kept = unicodedata.normalize("NFD", text)
    gone = set(marks) if marks is not None else None
    kept = "".join(
        c for c in kept if (unicodedata.category(c) != "Mn" if gone is None else ord(c) not in gone)
    )
    return unicodedata.normalize("NFC", kept)


_TURKIC = str.maketrans({"I": "ı", "İ": "i"})


def _turkic(text: str) -> str:
    return _without_case(unicodedata.normalize("NFKC", text).translate(_TURKIC))


# Vowel marks, dagger alef, Koranic marks, and tatweel.
_HARAKAT = [*range(0x064B, 0x0653), *range(0x0656, 0x0660), 0x0670, *range(0x06D6, 0x06EE), 0x0640]
_ARABIC = _table(("آأإٱ", "ا"), ("ىی", "ي"), ("ةۀہە", "ه"), ("ک", "ك"))
_PERSIAN = _table(("أإٱ", "ا"), ("ىيے", "ی"), ("ةۀہە", "ه"), ("ك", "ک"))
_URDU = _table(("أإٱ", "ا"), ("ىي", "ی"), ("ة", "ہ"), ("ه", "ہ"), ("ك", "ک"))
_SORANI = _table(("ىي", "ی"), ("ك", "ک"), ("ة", "ە"))
_NIQQUD = range(0x0591, 0x05C8)
_YIDDISH = _table(("װ", "וו"), ("ױ", "וי"), ("ײ", "יי"))
_TONOS = (0x0301, 0x0308, 0x0300, 0x0313, 0x0314, 0x0342, 0x0345)
_DEVANAGARI = _table(("ँ", "ं"))
_UMLAUT = _table(("ä", "a"), ("ö", "o"), ("ü", "u"))
_ROMANIAN = _table(("ş", "ș"), ("ţ", "ț"))
_APOSTROPHES = "'’‘`ʼʻ"


def _arabic(table: dict[int, str]) -> Fold:
    return lambda text: _removed(fold(text), _HARAKAT).translate(table)


def _german(text: str) -> str:
    """ä is a, and so is ae; ue is u but after a, e and q."""
    plain = fold(text).translate(_UMLAUT)
    return re.sub(r"(?<![aeq])ue", "u", re.sub(r"([ao])e", r"\1", plain))


# Name → its languages, and the function.
_OWN: dict[str, tuple[tuple[str, ...], Fold]] = {
    "turkic": (("tr", "az", "crh", "tt", "gag"), _turkic),
    "arabic": (("ar", "arz", "ary", "apc", "acm"), _arabic(_ARABIC)),
    "persian": (("fa", "prs"), _arabic(_PERSIAN)),
    "urdu": (("ur", "pnb", "ks", "sd"), _arabic(_URDU)),
    "sorani": (("ckb",), _arabic(_SORANI)),
    "hebrew": (("he",), lambda text: _removed(fold(text), _NIQQUD)),
    "yiddish": (("yi",), lambda text: _removed(fold(text).translate(_YIDDISH), _NIQQUD)),
    "greek": (("el",), lambda text: _removed(fold(text), _TONOS)),
    "devanagari": (
        ("hi", "ne", "mr", "bho", "mai"),
        lambda text: _removed(fold(text), (0x093C,)).translate(_DEVANAGARI),
    ),
    "german": (("de", "gsw", "lb"), _german),
    "romanian": (("ro",), lambda text: fold(text).translate(_ROMANIAN)),
    "russian": (("ru",), lambda text: fold(text).replace("ё", "е")),
    "apostrophes": (
        ("uk", "be"),
        lambda text: fold(text).translate(dict.fromkeys(map(ord, _APOSTROPHES), "'")),
    ),
    "uzbek": (
        ("uz",),
        lambda text: fold(text).translate(dict.fromkeys(map(ord, _APOSTROPHES), "ʻ")),
    ),
    "no marks": (("yo", "ig", "ee", "fon", "bm", "ln"), lambda text: _removed(fold(text))),
}
