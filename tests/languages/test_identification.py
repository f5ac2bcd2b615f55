import pytest

from polyrank.errors import DataError, LanguageError
from polyrank.languages.identification import (
    IdentifierRecipe,
    accuracy,
    confusions,
    label_of,
    same,
    train_identifier,
)
from polyrank.languages.tags import clean, identify

TEXT = {
    "eng": [
        "the cat sat on the mat",
        "where is the water and house",
        "this is what they think",
    ],
    "fi": ["kissa istuu matolla tänään", "missä vesi ja talo ovat", "tämä on mitä he ajattelevat"],
    "ky": ["мышык килемдин үстүндө отурат", "суу жана үй кайда", "бул алардын ойлогону"],
}
RECIPE = IdentifierRecipe(
    temperature=0.5, bucket=2000, epochs=20, rate=0.2, cutoff=0, lines=60, repeats=20, maxn=3
)


def test_train_and_identify(tmp_path):
    seen = train_identifier(TEXT, tmp_path / "a.bin", RECIPE)
    assert seen == {"en": 60, "fi": 60, "ky": 60}
    found = identify(["The water!", "missä talo", "суу кайда", "ไทย"], tmp_path / "a.bin")
    assert [f.language for f in found] == ["en", "fi", "ky", None]
    assert found[2].confidence == pytest.approx(1.0)  # no other language in Cyrillic


def test_the_same_text_and_seed_give_the_same_file(tmp_path):
    for name in ("a.bin", "b.bin"):
        train_identifier(TEXT, tmp_path / name, RECIPE)
    assert (tmp_path / "a.bin").read_bytes() == (tmp_path / "b.bin").read_bytes()


def test_files_are_read_and_minor_scripts_dropped(tmp_path):
    path = tmp_path / "ky.txt"
    path.write_text("суу жана үй\n" * 40 + "water\n12345\n", encoding="utf-8")
    assert train_identifier({"ky": path, "en": ["water"]}, tmp_path / "m.bin", RECIPE) == {
        "ky": 60,
        "en": 9,  # 60 lines x (1 / 40) ** 0.5
    }


def test_errors(tmp_path):
    with pytest.raises(DataError, match="no line of text"):
        train_identifier({"ky": ["123"], "en": ["a"]}, tmp_path / "m.bin", RECIPE)
    with pytest.raises(LanguageError):
        train_identifier({"klingonese": ["a"]}, tmp_path / "m.bin", RECIPE)


@pytest.mark.parametrize(
    "tag, written, label",
    [
        ("kir", "Cyrl", "ky"),
        ("uz", "Cyrl", "uz-Cyrl"),
        ("prs", "Arab", "fa"),
        ("zh-Hant", "Hani", "zh"),
        ("yue", "Hani", "yue"),
        ("ja", "Hani", None),
        ("en", "Zyyy", None),
    ],
)
def test_labels(tag, written, label):
    assert label_of(tag, written) == label


def test_clean():
    assert clean("Où?\nL'ÉTÉ 2024 – 3e\u0301") == "où l'été é"


def test_accuracy_by_hand():
    lines = {"nb": ["a", "b"], "en": ["a"], "fi": []}
    answers = {"a": "no", "b": None}
    assert accuracy(answers.get, lines) == {"nb": 0.5, "en": 0.0}
    assert confusions(answers.get, lines) == {("nb", None): 1, ("en", "no"): 1}
    assert same("zh-Hant", "zh") and not same(None, "zh")


def test_writings_that_normalisation_makes_equal_are_of_one_language():
    from polyrank.languages.tags import identify

    for one, other in (("ﻛﺘﺎب ﺟﺪﻳﺪ", "كتاب جديد"), ("Ｗａｔｅｒ ｂｏｉｌｓ", "Water boils")):
        first, second = identify([one, other])
        assert first == second and first.language
