"""A trimmed base reads texts of its kept entries as the full one does, in every layout."""

import json

import pytest
import torch

from polyrank.base import Base, Fingerprint
from polyrank.errors import ModuleError, UsageError
from polyrank.modules.mask.sparse import SparseDifference, applied
from polyrank.training.distillation.pair_tokenizer import trim_tokenizer
from polyrank.training.distillation.vocabulary import (
    WORD_EMBEDDINGS,
    coverage,
    kept_entries,
    token_counts,
    trim,
    trim_differences,
)

ENGLISH = ["water boils at one hundred degrees", "the river is long", "ice melts every year"] * 4
SWAHILI = ["maji huchemka kwa digrii mia moja", "mto ni mrefu", "barafu huyeyuka kila mwaka"] * 4
OTHER = ["Вода кипит при ста градусах", "река длинная", "лёд тает каждый год"] * 4
SPECIALS = {
    "wordpiece": ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"],
    "unigram": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    "bpe": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
}


def trained(kind):
    """A real tokenizer of a kind, trained on three languages."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    specials = SPECIALS[kind]
    if kind == "wordpiece":
        tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=220, special_tokens=specials)
    elif kind == "unigram":
        tokenizer = Tokenizer(models.Unigram())
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
        trainer = trainers.UnigramTrainer(
            vocab_size=140, special_tokens=specials, unk_token="<unk>"
        )
    else:
        tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=420,
            special_tokens=specials,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
    tokenizer.train_from_iterator([*ENGLISH, *SWAHILI, *OTHER], trainer)
    cls, sep, pad, unk, mask = (
        ("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]")
        if kind == "wordpiece"
        else ("<s>", "</s>", "<pad>", "<unk>", "<mask>")
    )
    second = "$B:1 {0}:1" if kind == "wordpiece" else "{0} $B {0}"
    pair = f"{cls} $A {sep} {second.format(sep)}"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{cls} $A {sep}",
        pair=pair,
        special_tokens=[(t, tokenizer.token_to_id(t)) for t in (cls, sep)],
    )
    names = ["input_ids", "attention_mask"] + ["token_type_ids"] * (kind == "wordpiece")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        cls_token=cls,
        sep_token=sep,
        pad_token=pad,
        unk_token=unk,
        mask_token=mask,
        bos_token=None if kind == "wordpiece" else cls,
        eos_token=None if kind == "wordpiece" else sep,
        model_input_names=names,
    )


def based(kind):
    """A tiny random encoder over such a tokenizer: mBERT's layout, or XLM-R's."""
    from transformers import BertConfig, BertModel, XLMRobertaConfig, XLMRobertaModel

    tokenizer = trained(kind)
    sizes = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "max_position_embeddings": 96,
        "initializer_range": 0.15,
        "pad_token_id": tokenizer.pad_token_id,
    }
    with torch.random.fork_rng():
        torch.manual_seed(3)
        if kind == "wordpiece":
            model = BertModel(BertConfig(**sizes), add_pooling_layer=False)
        else:
            config = XLMRobertaConfig(**sizes, type_vocab_size=1, bos_token_id=0, eos_token_id=2)
            model = XLMRobertaModel(config, add_pooling_layer=False)
    return Base(kind, "", model.eval(), tokenizer, Fingerprint("w", "v"))


def cut(base):
    """Entries for English and Swahili, and the base cut to them."""
    kept = kept_entries([token_counts(t, base.tokenizer) for t in (ENGLISH, SWAHILI)], base)
    return kept, trim(base, kept)


@pytest.fixture(params=list(SPECIALS))
def base(request):
    return based(request.param)


def test_kept_text_is_cut_and_encoded_as_before(base):
    kept, trimmed = cut(base)
    assert len(kept) < len(base.tokenizer)  # something was left out
    first, second = ENGLISH[:3], SWAHILI[:3]
    before = base.tokenizer(first, second, padding=True, return_tensors="pt")
    after = trimmed.tokenizer(first, second, padding=True, return_tensors="pt")
    old = torch.tensor(kept)[after["input_ids"]]
    assert torch.equal(old, before["input_ids"])
    with torch.no_grad():
        wanted = base.model(**before).last_hidden_state
        found = trimmed.model(**after).last_hidden_state
    assert (found - wanted).abs().max() <= 1e-6


def test_the_pieces_survive_saving(base, tmp_path):
    from transformers import AutoTokenizer

    _, trimmed = cut(base)
    trimmed.tokenizer.save_pretrained(tmp_path)
    trimmed.model.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    for text in [*ENGLISH[:3], *SWAHILI[:3]]:
        assert again.tokenize(text) == base.tokenizer.tokenize(text)
    assert again.model_input_names == base.tokenizer.model_input_names
    assert again.special_tokens_map == base.tokenizer.special_tokens_map


def test_a_new_word_in_known_letters_is_spelled_out(base):
    _, trimmed = cut(base)
    pieces = trimmed.tokenizer.tokenize("moi")  # in neither text
    assert trimmed.tokenizer.unk_token not in pieces


def test_a_mask_is_cut_to_the_rows_that_stay(base, random_mask):
    kept, trimmed = cut(base)
    mask = random_mask(base.model, 5)
    ids = trimmed.tokenizer(ENGLISH[:2], padding=True, return_tensors="pt")
    whole = {**ids, "input_ids": torch.tensor(kept)[ids["input_ids"]]}
    with torch.no_grad():
        with applied(base.model, mask):
            wanted = base.model(**whole).last_hidden_state
        with applied(trimmed.model, trim_differences(mask, kept)):
            found = trimmed.model(**ids).last_hidden_state
    assert (found - wanted).abs().max() <= 1e-6


def test_a_mask_is_cut_by_hand():
    mask = {WORD_EMBEDDINGS: SparseDifference((3, 2), torch.tensor([0, 3, 5]), torch.ones(3))}
    found = trim_differences(mask, [0, 2])[WORD_EMBEDDINGS]
    assert found.shape == (2, 2) and found.indices.tolist() == [0, 3]  # row 1 is gone


def test_either_language_keeps_an_entry_and_rare_ones_go():
    base = based("wordpiece")
    water, maji = (
        base.tokenizer(w, add_special_tokens=False)["input_ids"] for w in ("water", "maji")
    )
    counts = [torch.zeros(len(base.tokenizer), dtype=torch.int64) for _ in range(2)]
    counts[0][water[0]], counts[0][water[-1]] = 999_999, 1  # 1e-6 exactly stays
    counts[1][maji[0]] = 5
    kept = kept_entries(counts, base)
    assert {water[0], water[-1], maji[0], *base.tokenizer.all_special_ids} <= set(kept)
    with pytest.raises(UsageError, match="--min-probability"):
        kept_entries(counts, base, least=1.5)


def test_coverage_by_hand():
    base = based("wordpiece")
    kept, trimmed = cut(base)
    same = coverage(ENGLISH[:2], base.tokenizer, trimmed.tokenizer, kept)
    assert (same.kept, same.same, same.unknown, same.longer) == (1.0, 1.0, 0.0, 1.0)
    other = coverage(OTHER[:3], base.tokenizer, trimmed.tokenizer, kept)
    assert other.kept == 0.0 and other.unknown == 1.0 and other.unknown_before == 0.0


def test_a_tokenizer_of_another_kind_is_refused():
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"a": 0, "[UNK]": 1}, unk_token="[UNK]"))
    with pytest.raises(ModuleError, match="WordLevel"):
        trim_tokenizer(PreTrainedTokenizerFast(tokenizer_object=words, unk_token="[UNK]"), [0, 1])
    assert json.loads(words.to_str())["model"]["type"] == "WordLevel"
