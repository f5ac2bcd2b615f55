"""The skip-list knows the punctuation of every script, and takes no content with it."""

from __future__ import annotations

import pytest

from polyrank.late_interaction.skiplist import is_punctuation, skipped_ids, surface
from polyrank.modules.projection import TokenRules

MARKS = ["?", "!?", "。", "、", "।", "،", "؟", "።", "«", "»", "„", "…", "–", "$", "+", "^", "`"]
CONTENT = ["a", "7", "й", "水", "ि", "ا", "😀", "°", "a.", "’s"]


@pytest.mark.parametrize("text", MARKS)
def test_marks_of_all_scripts(text):
    assert is_punctuation(text)


@pytest.mark.parametrize("text", CONTENT)
def test_content_stays(text):
    assert not is_punctuation(text)


def test_all_ascii_marks_are_among_them():
    import string

    assert all(map(is_punctuation, string.punctuation))


def test_a_vocabulary_of_pieces():
    """SentencePiece's: a mark may have the blank's sign before it, which alone is none either."""
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    marks = ["▁", ".", "▁.", "。", "،", "।", "?!", "▁«"]
    content = ["▁water", "a.", "7", "水", "°"]
    pieces = ["<s>", "<pad>", "<unk>", *marks, *content]
    model = models.Unigram([(piece, 0.0) for piece in pieces], unk_id=2)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(model), bos_token="<s>", pad_token="<pad>", unk_token="<unk>"
    )
    size = len(pieces)
    skipped = skipped_ids(tokenizer, TokenRules(size, size + 1), size + 2)  # two markers at the end
    assert skipped.tolist() == [False] * 3 + [True] * 8 + [False] * 5 + [False] * 2
    assert not skipped_ids(tokenizer, TokenRules(None, None, skiplist="none"), size).any()


def test_byte_level_vocabularies_are_read_as_text():
    """RoBERTa's byte-level BPE spells 。 as three Latin letters."""
    from tokenizers import Tokenizer, decoders, models
    from tokenizers.pre_tokenizers import ByteLevel
    from transformers import PreTrainedTokenizerFast

    full_stop = ByteLevel(add_prefix_space=False).pre_tokenize_str("。")[0][0]
    vocabulary = {"<unk>": 0, full_stop: 1, "Ġ.": 2, "Ġa": 3}
    tokenizer = Tokenizer(models.BPE(vocabulary, [], unk_token="<unk>"))
    tokenizer.decoder = decoders.ByteLevel()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    skipped = skipped_ids(fast, TokenRules(None, None), 4)
    assert skipped.tolist() == [False, True, True, False]


def test_entries_that_name_bytes_or_end_in_a_sign_are_read_as_text():
    """Letters in <0x2E> and .</w> are spelling; every entry is what the tokenizer says it is."""
    from tokenizers import Tokenizer, decoders, models
    from transformers import PreTrainedTokenizerFast

    entries = ["<unk>", "<0x2E>", ".</w>", "a</w>", "é", "é.", "Ж", "水。", "ʹ", "½", "ா", "१"]
    tokenizer = Tokenizer(models.BPE({e: i for i, e in enumerate(entries)}, [], unk_token="<unk>"))
    both = [decoders.ByteFallback(), decoders.BPEDecoder(suffix="</w>")]
    tokenizer.decoder = decoders.Sequence(both)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>")
    skipped = skipped_ids(fast, TokenRules(None, None), len(entries))
    said = [is_punctuation(surface(fast, entry)) for entry in entries]
    assert skipped.tolist() == [False, *said[1:]]
    assert said[1] and said[2] and not any(said[3:8])
