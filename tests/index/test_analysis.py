"""Tokens by hand, and Snowball through the languages it knows."""

import pytest
import Stemmer

from polyrank.errors import ModuleError, UsageError
from polyrank.index.analysis import STEMMERS, WORDS, analyser, stemmer_of, subwords, tokenize
from polyrank.languages.tags import normalise


@pytest.mark.parametrize(
    "text, tokens",
    [
        ("Den 3. Mai!", ["den", "3", "mai"]),
        ("STRASSE Straße", ["strasse", "strasse"]),
        ("Суунун кайноо", ["суунун", "кайноо"]),
        ("北京市", ["北", "京", "市", "北京", "京市"]),
        ("iPhone的", ["iphone", "的"]),
        ("ไม่", ["ไ", "ม่", "ไม่"]),  # the tone mark stays with its consonant
        ("हिन्दी", ["हिन्दी"]),
        ("e\u0301t\u00e9", ["\u00e9t\u00e9"]),
        ("ＡＢＣ", ["abc"]),
        ("?! …", []),
        ("", []),
    ],
)
def test_tokens(text, tokens):
    assert tokenize(text) == tokens


@pytest.mark.parametrize(
    ("language", "text", "tokens"),
    [  # by the sample vocabularies of snowballstem.org
        ("en", "Generously consigned, 3 knackeries", ["generous", "consign", "3", "knackeri"]),
        ("de", "Aufeinanderfolgenden Aufenthalts", ["aufeinanderfolg", "aufenthalt"]),
        ("ru", "Важнейшими", ["важн"]),
        ("ky", "Балдардын", ["балдардын"]),  # Snowball has no Kyrgyz
        ("zh", "北京", ["北", "京", "北京"]),
        (None, "Playing", ["playing"]),
    ],
)
def test_stems(language, text, tokens):
    assert analyser(language).tokens(text) == tokens


def test_every_stemmer_is_there_under_a_normalised_tag():
    assert set(STEMMERS.values()) <= set(Stemmer.algorithms())
    assert all(normalise(language) == language for language in STEMMERS)


@pytest.mark.parametrize(
    ("language", "stemmer"),
    [("fa-AF", "persian"), ("sr-Latn", None), ("pt-PT", "portuguese"), ("zh-Hant", None)],
)
def test_a_region_keeps_the_stemmer_another_script_does_not(language, stemmer):
    assert stemmer_of(language) == stemmer


def test_subwords_are_what_stands_in_the_text(tiny_base):
    by = subwords(tiny_base.tokenizer, tiny_base.name)
    assert by.name == f"subwords ({tiny_base.name})"
    assert by.tokens("Ab, C!") == ["a", "b", "c"]  # no marks of beginnings, no punctuation
    assert by.tokens("") == []


def test_what_the_vocabulary_lacks_is_not_lost(tiny_base):
    tokens = subwords(tiny_base.tokenizer, "tiny").tokens("a 北京")
    assert tokens[0] == "a" and {"北", "京"} <= set(tokens)


def test_a_vocabulary_of_pieces_cuts_an_unspaced_text(tmp_path):
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, PreTrainedTokenizerFast

    pieces = ["<unk>", "▁", ",", "中华", "人民", "共和国", "北京", "中", "华"]
    tokenizer = Tokenizer(models.Unigram([(piece, -1.0) for piece in pieces], unk_id=0))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    fast.save_pretrained(tmp_path / "pieces")
    BertConfig().save_pretrained(tmp_path / "pieces")
    tokens = analyser("zh", "subwords", str(tmp_path / "pieces")).tokens("中华人民共和国,北京")
    assert tokens == ["中华", "人民", "共和国", "北京"]


def test_refusals():
    assert analyser("en", "words") is WORDS
    with pytest.raises(UsageError, match="words, stems, subwords"):
        analyser("en", "lemmas")
    with pytest.raises(ModuleError, match="vocabulary of base"):
        analyser("zh", "subwords", "./no-such-base")
