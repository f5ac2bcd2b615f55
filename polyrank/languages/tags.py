"""Languages: tags in one spelling, scripts of texts, relatives, and identification."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

from polyrank.errors import LanguageError

ACCEPTED = "give a BCP-47 tag (ky, zh-Hant), an ISO 639-3 code (kir) or a FLORES code (kir_Cyrl)"
UNKNOWN = "und"  # BCP 47: of a text whose language is not known
_NOT_A_LANGUAGE = {UNKNOWN, "mul", "zxx", "mis"}


def _named(name: str) -> str | None:
    """The tag of a language that is called by its name, such as English or Kiswahili."""
    from langcodes import find

    try:
        return str(find(name.strip()))
    except LookupError:
        return None


@lru_cache(maxsize=4096)
def normalise(tag: str) -> str:
    """The one spelling of a language tag: BCP-47, shortest, as CLDR prefers it.

    ISO 639-3 becomes ISO 639-1 (`kir` → `ky`), a member code its macrolanguage (`swh` → `sw`,
    `cmn` → `zh`), and what CLDR's likely subtags would add anyway is left out (`eng_Latn` → `en`,
    `zh-CN` → `zh`, `zh-TW` → `zh-Hant`); what they would not add stays (`sr-Latn`, `pt-PT`).
    Dari (`prs`) is Persian of Afghanistan to CLDR: `fa-AF`. Variants and extensions are dropped.

    Raises:
        LanguageError: for what is not a tag, an unregistered language, or `und`, `mul`, `zxx`,
            `mis`.
    """
    from langcodes import Language, LanguageTagError

    try:
        language = Language.get(tag.strip()).prefer_macrolanguage()
        code = language.language or ""
        valid = code.isalpha() and language.is_valid()
    except (LanguageTagError, AttributeError, TypeError):
        code, valid = "", False
    private = len(code) == 3 and "qaa" <= code <= "qtz"
    if not valid or private or code in _NOT_A_LANGUAGE:
        meant = _named(tag) if isinstance(tag, str) else None
        hint = f"'{tag}' is written '{meant}'; " if meant else ""
        raise LanguageError(f"unknown language {tag!r}; {hint}{ACCEPTED}")
    full = language.maximize()
    likely = Language.make(code).maximize()
    script = full.script if full.script != likely.script else None
    usual_region = Language.make(code, script=script).maximize().territory
    region = language.territory if language.territory != usual_region else None
    return "-".join(part for part in (code, script, region) if part)


@lru_cache(maxsize=4096)
def usual_script(tag: str) -> str:
    """The ISO 15924 script in which a language is usually written (`ky` → `Cyrl`), by CLDR."""
    from langcodes import Language

    return Language.get(normalise(tag)).maximize().script or "Zyyy"


# The first word of a letter's Unicode name says its script; all others are "Zzzz" (other).
_SCRIPTS = {
    "LATIN": "Latn", "CYRILLIC": "Cyrl", "GREEK": "Grek", "ARABIC": "Arab", "HEBREW": "Hebr",
    "DEVANAGARI": "Deva", "BENGALI": "Beng", "GURMUKHI": "Guru", "GUJARATI": "Gujr",
    "ORIYA": "Orya", "TAMIL": "Taml", "TELUGU": "Telu", "KANNADA": "Knda", "MALAYALAM": "Mlym",
    "SINHALA": "Sinh", "THAI": "Thai", "LAO": "Laoo", "TIBETAN": "Tibt", "MYANMAR": "Mymr",
    "KHMER": "Khmr", "GEORGIAN": "Geor", "ARMENIAN": "Armn", "ETHIOPIC": "Ethi",
    "HANGUL": "Kore", "CJK": "Hani", "HIRAGANA": "Jpan", "KATAKANA": "Jpan",
    "KATAKANA-HIRAGANA": "Jpan", "MONGOLIAN": "Mong", "THAANA": "Thaa", "SYRIAC": "Syrc",
    "TIFINAGH": "Tfng", "CHEROKEE": "Cher", "CANADIAN": "Cans", "YI": "Yiii", "NKO": "Nkoo",
    "COPTIC": "Copt", "GOTHIC": "Goth", "BOPOMOFO": "Bopo", "OL": "Olck", "VAI": "Vaii",
    "ADLAM": "Adlm", "JAVANESE": "Java", "BALINESE": "Bali", "RUNIC": "Runr", "OGHAM": "Ogam",
}  # fmt: skip


@lru_cache(maxsize=65536)
def _letter_script(character: str) -> str | None:
    """The script of one character; None for what is not a letter."""
    if not unicodedata.category(character).startswith("L"):
        return None
    name = unicodedata.name(character, "").removeprefix("FULLWIDTH ").removeprefix("HALFWIDTH ")
    return _SCRIPTS.get(name.partition(" ")[0], "Zzzz")


def script(text: str) -> str:
    """The ISO 15924 script of most letters of a text.

    Chinese characters alone are `Hani` (text does not say whether they are Hans or Hant), with at
    least one kana to nine of them `Jpan`, Hangul is `Kore`. A text without letters is `Zyyy`
    (common), a script that Unicode names but this table does not is `Zzzz`; of two scripts with
    equally many letters the alphabetically first is given.
    """
    counts: Counter[str] = Counter()
    for character, number in Counter(text).items():
        if (its := _letter_script(character)) is not None:
            counts[its] += number
    if not counts:
        return "Zyyy"
    kana, han = counts["Jpan"], counts["Hani"]
    if kana and kana * 9 >= han:
        counts["Jpan"], counts["Hani"] = kana + han, 0
    return min(counts, key=lambda s: (-counts[s], s))


# -- relatives -----------------------------------------------------------------------------------

# Families as nested lists; the nearer two languages sit in it, the more closely related they are.
# Within a list, neighbours are nearer. After Glottolog 5 and, for Turkic, Johanson (1998).
_Family = list[Any]
_FAMILIES: list[_Family] = [
    [  # Indo-European
        [
            [["en", "sco"], ["fy"], ["nds", "nl", "af", "li"], ["de", "lb", "gsw", "swg"], ["yi"]],
            [["sv", "da", "nb", "no", "nn"], ["fo", "is"]],
        ],
        [
            [["es", "gl", "pt", "mwl"], ["ast", "an"], ["ca", "oc"]],
            [["fr", "wa"]],
            [["it", "vec", "lmo", "pms", "scn", "nap"], ["rm"], ["sc"], ["co"]],
            [["ro"]],
            [["la"]],
            [["ht"]],
            [["ia", "ie", "io", "eo", "lfn", "nov"]],
        ],
        [
            [["ru"], ["be", "uk", "rue"]],
            [["pl", "csb"], ["cs", "sk"], ["hsb", "dsb"]],
            [["bg", "mk"], ["sr", "sr-Latn", "hr", "bs"], ["sl"]],
            [["lt", "lv"]],
        ],
        [
            [["fa", "fa-AF", "tg"], ["ku", "ckb"], ["ps"], ["os"]],
            [
                [["hi", "ur"], ["bho", "awa", "mai"], ["pa"], ["gu", "mr"], ["ne"]],
                [["bn", "as"], ["or"]],
                [["sd"], ["si"], ["dv"], ["sa"]],
            ],
        ],
        [["ga", "gd", "gv"], ["cy", "br", "kw"]],
        [["el"]],
        [["hy"]],
        [["sq"]],
    ],
    [  # Turkic
        [["kk", "ky", "kaa"], ["tt", "ba"], ["krc", "crh-Latn", "crh"]],
        [["uz", "uz-Cyrl", "ug"]],
        [["tr", "az", "azb", "tk"]],
        [["sah"], ["tyv"]],
        [["cv"]],
    ],
    [[["fi", "et", "krl"], ["se"]], [["hu"]], [["chm", "mrj"], ["udm", "kv"], ["myv", "mdf"]]],
    [  # Niger-Congo
        [
            [["sw"], ["rw", "rn", "lg"], ["bem", "ny", "sn"], ["ln", "kg"]],
            [["zu", "xh", "ss", "nd"], ["st", "tn", "nso"], ["ts"], ["ve"]],
        ],
        [["yo"], ["ig"], ["fon", "ee"], ["ak"]],
        [["wo", "ff"]],
        [["bm"]],
    ],
    [  # Afro-Asiatic
        [["ar", "arz", "arq", "mey"], ["mt"], ["he"], ["am", "ti"]],
        [["so"], ["om"], ["aa"]],
        [["ha"]],
        [["kab", "ber", "shi"]],
    ],
    [[["ta", "ml"], ["kn"]], [["te"]]],
    [  # Austronesian
        [["ms", "id", "min"], ["jv", "su"], ["mg"]],
        [["fil", "ceb", "war", "pam", "ilo", "bcl"], ["dtp"]],
        [["mi", "ty", "sm", "to", "haw"], ["fj"]],
    ],
    [[["zh", "zh-Hant"], ["yue"], ["wuu"]], [["bo", "dz"]], [["my"]]],
    [[["vi"]], [["km"]]],
    [[["th", "lo"]]],
    [[["mn"], ["bxr"], ["xal"]]],
]  # fmt: skip


def _leaves(family: _Family) -> Iterator[str]:
    for branch in family:
        yield from (branch,) if isinstance(branch, str) else _leaves(branch)


def related(language: str) -> list[str]:
    """Relatives of a language, nearest first, by a small hand-made table of families.

    The language without its region comes first (`pt-PT` → `pt`), then its branch from the
    neighbours outwards, then the branches around it. An isolate or a language that is not in the
    table has none. The order is genealogy, not measured transfer.

    Raises:
        LanguageError: for an unknown language.
    """
    tag = normalise(language)
    parents = ["-".join(tag.split("-")[:n]) for n in range(tag.count("-"), 0, -1)]
    known = next((t for t in (tag, *parents) if any(t in _leaves(f) for f in _FAMILIES)), None)
    if known is None:
        return parents
    family = next(f for f in _FAMILIES if known in _leaves(f))
    return list(dict.fromkeys(t for t in (*parents, *_outwards(family, known)) if t != tag))


def _outwards(branch: _Family, language: str) -> Iterator[str]:
    """The languages of a branch, from `language` outwards, nearer sub-branches first."""
    here = next(i for i, b in enumerate(branch) if b == language or language in _leaves([b]))
    if isinstance(branch[here], list):
        yield from _outwards(branch[here], language)
    else:
        yield language
    for i in sorted(range(len(branch)), key=lambda i: (abs(i - here), i)):
        if i != here:
            yield from _leaves([branch[i]])


# -- identification ------------------------------------------------------------------------------


class Identified(NamedTuple):
    """A language as a normalised tag, or None, and how sure the model is, 0 to 1."""

    language: str | None
    confidence: float


def identify(texts: Iterable[str], model: str | Path | None = None) -> list[Identified]:
    """The language of each text, by a fastText classifier over character n-grams.

    The model's probabilities are restricted to the languages written in the text's script and
    scaled to sum to one, so a confidence compares languages of one script. A text without letters,
    or in a script that the model does not know, is `Identified(None, 0.0)`. Under some 20
    characters expect errors between close relatives.

    Args:
        texts: any texts; line breaks count as spaces, normalisation is done here.
        model: another fastText model, `.bin` or `.ftz`, whose labels are language tags;
            the bundled one by default (trained by `identification.train_identifier`).

    Raises:
        LanguageError: when the model file is missing or is not a fastText model.
    """
    identifier = _load(str(model) if model is not None else None)
    return [_identify_one(text, identifier) for text in texts]


class _Identifier(NamedTuple):
    predict: Any  # fastText's own (text, k, threshold, errors) → [(probability, label)]
    scripts: dict[str, frozenset[str]]  # "__label__ky" → {"Cyrl"}


def clean(text: str) -> str:
    """What the identifier sees of a text: NFC, lower case, letters and marks, single spaces."""
    text = unicodedata.normalize("NFC", text).lower()
    return " ".join(text.translate(_WORDS).split())


class _Words(dict[int, int]):
    """For `str.translate`: letters, marks and what joins words stay, all else becomes a space."""

    def __missing__(self, code: int) -> int:
        character = chr(code)
        stays = unicodedata.category(character)[0] in "LM" or character in "'’-"
        self[code] = code if stays else ord(" ")
        return self[code]


_WORDS = _Words()


def _identify_one(text: str, identifier: _Identifier) -> Identified:
    text = unicodedata.normalize("NFKC", text)  # presentation forms, full width
    written = script(text)
    if written == "Zyyy":
        return Identified(None, 0.0)
    guesses = _guesses(identifier, clean(text) + "\n", written)
    if not guesses:
        return Identified(None, 0.0)
    probability, label = guesses[0]
    share = probability / max(sum(p for p, _ in guesses), 1e-12)
    return Identified(label.removeprefix("__label__"), min(share, 1.0))


def _guesses(identifier: _Identifier, line: str, written: str) -> list[tuple[float, str]]:
    """(probability, label) of the labels of a script, best first.

    To name all labels takes as long as the prediction. Those of less than 1e-4 are left out when
    the others hold half of the probability: 128 of them can then change a confidence by .02.
    """
    for least in (1e-4, 0.0):
        guesses = [
            (float(p), label)
            for p, label in identifier.predict(line, -1, least, "strict")
            if written in identifier.scripts[label]
        ]
        if sum(p for p, _ in guesses) >= 0.5:
            break
    return guesses


def identified_languages(model: str | Path | None = None) -> frozenset[str]:
    """The languages that `identify` can name."""
    labels = _load(str(model) if model is not None else None).scripts
    return frozenset(label.removeprefix("__label__") for label in labels)


@lru_cache(maxsize=2)
def _load(model: str | None) -> _Identifier:
    """Load once; the bundled file is found with importlib.resources."""
    with _model_path(model) as path:
        if not path.is_file():
            raise LanguageError(f"no language identifier at {path}; reinstall polyrank")
        try:
            # fastText 0.9.3's Python predict breaks under NumPy 2, so its C++ object is used.
            from fasttext.FastText import _FastText

            loaded = _FastText(str(path)).f
            labels = list(loaded.getLabels("strict")[0])
        except ValueError as error:
            raise LanguageError(f"{path} is not a fastText model: {error}") from error
    return _Identifier(loaded.predict, {label: _scripts_of(label) for label in labels})


@contextmanager
def _model_path(model: str | None) -> Iterator[Path]:
    if model is not None:
        yield Path(model)
        return
    bundled = resources.files("polyrank.adapters_zoo") / "lid" / "lid.ftz"
    with resources.as_file(bundled) as path:
        yield path


def _scripts_of(label: str) -> frozenset[str]:
    """The scripts (as `script` names them) in which texts with this label are written."""
    usual = usual_script(label.removeprefix("__label__"))
    return frozenset({"Hani"}) if usual in ("Hans", "Hant") else frozenset({usual})
