"""Rows of ids: as the tokenizer's own call makes them."""

import pytest

from polyrank.collections.records import Document, Query
from polyrank.encoders.tokens import encode, encode_pairs
from polyrank.notes import Notebook

TEXTS = ["one", "", "a text that is longer than the others, and is cut", "ein Wort", "один"]


@pytest.fixture
def tokenizer(tiny_base):
    return tiny_base.tokenizer


@pytest.mark.parametrize("limit", [8, 12, 100])
@pytest.mark.parametrize("offsets", [False, True])
def test_texts_and_pairs(tokenizer, limit, offsets):
    pairs = list(zip(TEXTS, reversed(TEXTS), strict=True))
    for texts, columns in ((TEXTS, (TEXTS,)), (pairs, tuple(map(list, zip(*pairs, strict=True))))):
        rows = encode(tokenizer, texts, limit, offsets)
        expected = tokenizer(
            *columns, truncation=True, max_length=limit, return_token_type_ids=True
        )
        assert [row.ids for row in rows] == expected["input_ids"]
        assert [row.type_ids for row in rows] == expected["token_type_ids"]
        for row, other in zip(rows, expected.encodings, strict=True):
            assert row.sequence_ids == other.sequence_ids
            assert bool(row.overflowing) == bool(other.overflowing)
            assert not offsets or row.offsets == other.offsets


def test_a_tokenizer_that_padded_before_pads_no_more(tokenizer):
    tokenizer(TEXTS, padding="max_length", max_length=30)
    assert {len(row.ids) for row in encode(tokenizer, TEXTS, 100)} != {30}


def test_pairs_that_are_cut_are_counted(tokenizer):
    notebook = Notebook()
    pairs = [(Query("q", text), Document("d", text)) for text in TEXTS]
    rows = encode_pairs(tokenizer, pairs, 12, ("query: ", "passage: "), notebook)
    whole = encode_pairs(tokenizer, pairs, 100, ("query: ", "passage: "), Notebook())
    cut = sum(len(row.ids) > 12 for row in whole)
    assert [len(row.ids) for row in rows] == [min(len(row.ids), 12) for row in whole]
    assert notebook.notes == {"pairs cut to 12 tokens": cut}
