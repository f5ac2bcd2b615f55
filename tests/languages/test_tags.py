import unicodedata

import pytest

from polyrank.errors import LanguageError
from polyrank.languages.tags import Identified, identify, normalise, related, script, usual_script


@pytest.mark.parametrize(
    "given, tag",
    [
        ("kir", "ky"), ("KY", "ky"), ("zho", "zh"), ("cmn", "zh"), ("zh-Hant", "zh-Hant"),
        ("zh-CN", "zh"), ("zh_TW", "zh-Hant"), ("zho_Hans", "zh"), ("eng_Latn", "en"),
        ("swh", "sw"), ("pes_Arab", "fa"), ("prs", "fa-AF"), ("uig_Arab", "ug"), ("gaz", "om"),
        ("iw", "he"), ("en-US", "en"), ("en-GB", "en-GB"), ("pt-BR", "pt"), ("sr-Latn", "sr-Latn"),
        ("uz-Cyrl", "uz-Cyrl"), ("crh_Latn", "crh-Latn"), ("yue", "yue"), (" ky ", "ky"),
        ("twi", "ak"), ("tgl", "fil"), ("ca-valencia", "ca"),
    ],
)  # fmt: skip
def test_normalise(given, tag):
    assert normalise(given) == tag
    assert normalise(tag) == tag  # once is enough


@pytest.mark.parametrize("given", ["", "english", "xx", "und", "mul", "qaa", "x-foo", "k", "ky ky"])
def test_normalise_refuses_and_says_what_is_accepted(given):
    with pytest.raises(LanguageError, match=r"BCP-47 tag \(ky, zh-Hant\)"):
        normalise(given)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("Суунун", "Cyrl"), ("water", "Latn"), ("北京", "Hani"), ("東京は", "Jpan"), ("カ", "Jpan"),
        ("서울", "Kore"), ("ไทย", "Thai"), ("ሰላም", "Ethi"), ("ئۇيغۇر", "Arab"), ("हिन्दी", "Deva"),
        ("123 !?", "Zyyy"), ("", "Zyyy"), ("iPhone в Москве", "Cyrl"), ("Ｗ", "Latn"),
    ],
)  # fmt: skip
def test_script(text, expected):
    assert script(text) == expected


def test_usual_script():
    tags = ("ky", "ug", "zh", "zh-Hant")
    assert [usual_script(tag) for tag in tags] == ["Cyrl", "Arab", "Hans", "Hant"]


def test_related_is_nearest_first():
    assert related("kir")[0] == "kk"
    assert set(related("so")[:2]) == {"om", "aa"}
    assert related("pt-PT")[0] == "pt"
    assert related("eu") == []  # an isolate
    for language in ("de", "ky", "sw", "fa-AF", "zh-Hant", "sr-Latn"):
        names = related(language)
        assert normalise(language) not in names and len(set(names)) == len(names)
        assert all(normalise(name) == name for name in names)


def test_identify():
    texts = {
        "ky": "Суунун кайноо температурасы канча, билесиңерби?",
        "kk": "Судың қайнау температурасы қандай екенін білесіз бе?",
        "en": "What is the boiling point of water at sea level?",
        "de": "Wie hoch ist der Siedepunkt von Wasser auf Meereshöhe?",
        "fi": "Mikä on veden kiehumispiste merenpinnan tasolla?",
        "tr": "Suyun deniz seviyesindeki kaynama noktası nedir?",
        "sw": "Maji huchemka kwa joto gani usawa wa bahari?",
        "so": "Biyuhu heerkulkee bay ku karaan marka la joogo heerka badda?",
        "ug": "سۇنىڭ قايناش تېمپېراتۇرىسى قانچە؟",
        "zh": "水在海平面上的沸点是多少？",
        "ru": "Какова температура кипения воды на уровне моря?",
        "fa": "نقطه جوش آب در سطح دریا چقدر است؟",
        "ja": "海面での水の沸点は何度ですか？",
    }
    found = identify(texts.values())
    assert [f.language for f in found] == list(texts)
    assert all(0.5 < f.confidence <= 1 for f in found)


def test_identify_says_when_it_cannot():
    nothing = Identified(None, 0.0)
    tibetan = "\u0f56\u0f7c\u0f51\u0f0b"
    assert identify(["", "123 …", "\n", tibetan]) == [nothing] * 4
    assert identify([]) == []


def test_identify_ignores_form():
    composed = "Où était-elle l'été dernier, avant la marée ?"
    decomposed = unicodedata.normalize("NFD", composed).replace(" ", "\n")
    one, other = identify([composed, decomposed])
    assert one == other and one.language == "fr"


def test_a_missing_model_is_a_language_error(tmp_path):
    with pytest.raises(LanguageError, match="no language identifier"):
        identify(["x"], tmp_path / "none.ftz")
    (tmp_path / "bad.ftz").write_bytes(b"bad")
    with pytest.raises(LanguageError, match="not a fastText model"):
        identify(["x"], tmp_path / "bad.ftz")
