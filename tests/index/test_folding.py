"""Writings of one word that a reader takes for the same are the same to BM25, in every language."""

import unicodedata

import pytest

from polyrank.collections.records import Document, Query
from polyrank.index.analysis import STEMMERS, analyser
from polyrank.index.lexical import BM25

# language → pairs of writings
EQUIVALENTS = {
    "ar": [("مَدْرَسَة", "مدرسة"), ("مدرسه", "مدرسة"), ("إسلام", "اسلام"), ("على", "علي"),
           ("كـتـاب", "كتاب"), ("ﻛﺘﺎب", "كتاب"), ("١٢٣", "123"), ("ک", "ك")],
    "az": [("İSTİ", "isti"), ("IŞIQ", "ışıq")],
    "ca": [("COL·LEGI", "col·legi"), ("ÀGUILA", "àguila")],
    "ckb": [("كورد", "کورد"), ("كوردي", "کوردی")],
    "cs": [("ČESKÝ", "český")],
    "da": [("ÆBLE", "æble"), ("ØL", "øl")],
    "de": [("Straße", "STRASSE"), ("Müller", "Mueller"), ("Ärzte", "Aerzte"), ("schön", "schoen")],
    "el": [("Αθήνα", "ΑΘΗΝΑ"), ("Οδυσσεύς", "ΟΔΥΣΣΕΥΣ"), ("ρολόι", "ρολοι")],
    "en": [("Ｗａｔｅｒ", "water"), ("ﬁre", "fire"), ("co\u00adoperate", "cooperate")],
    "eo": [("ĈEVALO", "ĉevalo")],
    "es": [("NIÑO", "niño"), ("nin\u0303o", "niño")],
    "et": [("ÕUN", "õun")],
    "eu": [("ETXE", "etxe")],
    "fa": [("كتاب", "کتاب"), ("ايران", "ایران"), ("۱۴۰۲", "1402"), ("۱۴۰۲", "١٤٠٢"),
           ("خانۀ", "خانه"), ("مُحَمَّد", "محمد")],
    "fi": [("ÄITI", "äiti")],
    "fr": [("ÉCOLE", "école"), ("œuvre", "ŒUVRE"), ("ecole\u0301", "ecolé")],
    "ga": [("ÉIRE", "éire")],
    "he": [("שָׁלוֹם", "שלום")],
    "hi": [("क़लम", "कलम"), ("\u0958लम", "क़लम"), ("चाँद", "चांद"), ("१२", "12")],
    "hu": [("ŐSZ", "ősz")],
    "hy": [("ԵՎ", "եվ"), ("և", "եւ")],
    "id": [("RUMAH", "rumah")],
    "ig": [("ọ́nụ̀", "onu")],
    "it": [("CITTÀ", "città")],
    "ja": [("ﾃﾞｰﾀ", "データ"), ("１２", "12")],
    "ko": [("\u1112\u1161\u11ab\u1100\u116e\u11a8", "한국")],
    "lt": [("Ė", "ė"), ("i\u0307\u0301", "í")],
    "nb": [("ÅR", "år")],
    "ne": [("सडक़", "सडक"), ("१२", "12")],
    "nl": [("ĳsbeer", "ijsbeer")],
    "nn": [("ØY", "øy")],
    "no": [("ÆRE", "ære")],
    "pl": [("ŻÓŁW", "żółw")],
    "pt": [("AÇÃO", "ação")],
    "ro": [("ştiinţă", "știință"), ("ȚARĂ", "țară")],
    "ru": [("ёлка", "елка"), ("ВОДА", "вода")],
    "sr": [("ВОДА", "вода")],
    "st": [("METSI", "metsi")],
    "sv": [("ÅTTA", "åtta")],
    "ta": [("௧௨", "12")],
    "tr": [("İSTANBUL", "istanbul"), ("ISPARTA", "ısparta"), ("DIŞARI", "dışarı"),
           ("I\u0307stanbul", "istanbul")],
    "uk": [("п’ять", "п'ять"), ("пʼять", "п'ять")],
    "ur": [("كتاب", "کتاب"), ("۱۲", "12")],
    "uz": [("oʻzbek", "o'zbek"), ("o‘zbek", "oʻzbek")],
    "yi": [("ייִדיש", "יידיש"), ("װאַסער", "וואסער")],
    "yo": [("Yorùbá", "yoruba"), ("ọjọ́", "ojo")],
    "zh": [("１２", "12"), ("Ａ股", "a股")],
}  # fmt: skip


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [(language, *pair) for language, pairs in EQUIVALENTS.items() for pair in pairs],
)
def test_two_writings_of_a_word(language, one, other):
    tokens = analyser(language).tokens
    assert tokens(one) == tokens(other) != []
    bm25 = BM25([Document("d", one, language=language), Document("e", "7", language=language)])
    assert bm25.search([Query("q", other)])["q"][0].score > 0


def test_every_language_with_a_stemmer_has_pairs():
    assert set(STEMMERS) <= set(EQUIVALENTS)


@pytest.mark.parametrize("language", EQUIVALENTS)
def test_decomposed_texts_are_the_same(language):
    for pair in EQUIVALENTS[language]:
        for text in pair:
            tokens = analyser(language).tokens
            assert tokens(unicodedata.normalize("NFD", text)) == tokens(text)


@pytest.mark.parametrize(
    ("language", "one", "other"),
    [("tr", "ısı", "isi"), ("de", "Quelle", "Qulle"), ("de", "Feuer", "Feur"), ("hi", "कल", "काल"),
     ("fr", "péché", "pêche"), ("sv", "ål", "al"), ("el", "πότε", "πίτα")],
)  # fmt: skip
def test_other_words_stay_apart(language, one, other):
    assert analyser(language).tokens(one) != analyser(language).tokens(other)
