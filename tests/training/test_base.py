"""The base: pieces start from their translations, and a tiny one trains, resumes and loads."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

SIZE = 30  # entries of the vocabulary
GLOSS = {"the": "das", "a": "ein", "red": "rote", "green": "grüne", "house": "haus", "tree": "baum"}


def test_model_1_prefers_the_translation_over_a_neighbour():
    """das haus / the house, das buch / the book, ein buch / a book (Koehn 2009, ch. 4)."""
    from polyrank.training.word_translation import expected_counts

    source = [[0, 1], [0, 2], [3, 2]]  # the house, the book, a book
    target = [[0, 1], [0, 2], [3, 2]]  # das haus, das buch, ein buch
    once = expected_counts(source, target, (4, 4), iterations=1).toarray()
    often = expected_counts(source, target, (4, 4), iterations=10).toarray()
    assert once[1, 0] == once[1, 1] == 0.5  # co-occurrence cannot tell 'the' from 'house'
    assert often[1, 1] > 0.8 and often[3, 3] > 0.8
    assert np.allclose(often.sum(1), [2, 1, 2, 1])  # a row sums to the count of its piece


@pytest.fixture(scope="module")
def teacher(tmp_path_factory):
    """A tiny random English encoder over the words above."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("teacher")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(GLOSS)]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(
        vocab_size=len(words), intermediate_size=64, max_position_embeddings=128, **sizes
    )
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """(pairs, text folder, development): German glosses of English phrases."""
    folder = tmp_path_factory.mktemp("corpus")
    source = random.Random(0)
    phrases = [" ".join(source.choices(sorted(GLOSS), k=6)) for _ in range(120)]
    german = [" ".join(GLOSS[word] for word in phrase.split()) for phrase in phrases]
    rows = [f"de\t{d}\t{e}\n" for d, e in zip(german, phrases, strict=True)]
    (folder / "pairs.tsv").write_text("".join(rows))
    (folder / "text").mkdir()
    (folder / "text/en.txt").write_text("\n".join(phrases))
    (folder / "text/de.txt").write_text("\n".join(german))
    lines = [
        f"{i}\t{t}\t{x}\n" for i in range(40) for t, x in (("en", phrases[i]), ("de", german[i]))
    ]
    (folder / "dev.tsv").write_text("".join(lines))
    return folder / "pairs.tsv", folder / "text", folder / "dev.tsv"


def test_a_piece_starts_at_its_translation(teacher, corpus):
    from transformers import AutoModel, AutoTokenizer

    from polyrank.training.text import read_lines, read_pairs
    from polyrank.training.vocabulary import train_vocabulary
    from polyrank.training.word_translation import initial_embeddings

    text = {tag: read_lines(corpus[1] / f"{tag}.txt") for tag in ("en", "de")}
    tokenizer = train_vocabulary(text, SIZE)
    english = AutoTokenizer.from_pretrained(teacher)
    vectors = AutoModel.from_pretrained(teacher).get_input_embeddings().weight.detach()
    start, served = initial_embeddings(tokenizer, english, vectors, read_pairs(corpus[0]), text)
    assert sum(served.values()) == len(tokenizer)
    checked = 0
    for word, german in GLOSS.items():
        own, translation = (tokenizer.get_vocab().get("▁" + w) for w in (word, german))
        if own is None or translation is None:
            continue  # not a piece of its own in so small a vocabulary
        near = torch.cosine_similarity(start[translation][None], vectors).argmax().item()
        assert english.convert_ids_to_tokens(near) == word
        assert torch.cosine_similarity(start[own][None], vectors).argmax().item() == near
        checked += 1
    assert checked >= 2


def test_a_tiny_base_trains_and_loads(teacher, corpus, tmp_path):
    from transformers import AutoModelForMaskedLM

    from polyrank.base import load_base
    from polyrank.training.base import train_base
    from polyrank.training.base_batches import Objective

    small = Objective(pairs=8, english=4, mono=2, parallel=2, length=24, sentence=16)
    facts = train_base(
        corpus[0], corpus[1], tmp_path / "base", teacher=str(teacher), vocabulary=SIZE, steps=4,
        objective=small, development=corpus[2],
    )  # fmt: skip
    assert facts["steps"] == 4 and set(facts["development"]["final"]) == {"de"}
    base = load_base(str(tmp_path / "base"))
    assert len(base.tokenizer) == SIZE and base.model.config.vocab_size == SIZE
    encoded = base.tokenizer("das rote haus", "ein baum")
    tokens = base.tokenizer.convert_ids_to_tokens(encoded["input_ids"])
    assert tokens[0] == "[CLS]" and tokens.count("[SEP]") == 2
    assert set(encoded["token_type_ids"]) == {0, 1}
    masked = AutoModelForMaskedLM.from_pretrained(tmp_path / "base")
    assert masked.get_output_embeddings().weight is masked.get_input_embeddings().weight


def test_a_batch_depends_on_the_seed_and_its_number_alone(teacher, corpus):
    from transformers import AutoTokenizer

    from polyrank.training.base_batches import Batches, Objective
    from polyrank.training.text import read_lines, read_pairs
    from polyrank.training.vocabulary import train_vocabulary

    text = {tag: read_lines(corpus[1] / f"{tag}.txt") for tag in ("en", "de")}
    tokenizer, english = train_vocabulary(text, SIZE), AutoTokenizer.from_pretrained(teacher)

    def batches(seed):
        return Batches(read_pairs(corpus[0]), text, tokenizer, english, Objective(), seed)

    one, two = batches(1), batches(1)
    two(3)  # making another batch first changes nothing
    same = one(9)["translation"]["input_ids"], two(9)["translation"]["input_ids"]
    assert torch.equal(*same)
    assert torch.equal(one(9)["mlm"]["labels"], two(9)["mlm"]["labels"])
    other = batches(2)(9)["translation"]["input_ids"]
    assert same[0].shape != other.shape or not torch.equal(same[0], other)


def test_too_little_text_for_a_vocabulary_is_said():
    from polyrank.errors import UsageError
    from polyrank.training.vocabulary import train_vocabulary

    with pytest.raises(UsageError, match="smaller --vocabulary"):
        train_vocabulary({"en": ["one line"]}, 500)


def test_masking_spares_specials_and_hides_the_same_tokens_again(tiny_bert):
    from transformers import AutoTokenizer

    from polyrank.training.masking import mask_tokens

    tokenizer = AutoTokenizer.from_pretrained(tiny_bert)
    ids = tokenizer(["a b c d e f g h"] * 40, return_tensors="pt")["input_ids"]
    hidden, labels = mask_tokens(ids, tokenizer, seed=5)
    again, _ = mask_tokens(ids, tokenizer, seed=5)
    chosen = labels != -100
    assert torch.equal(hidden, again)
    assert torch.equal(labels[chosen], ids[chosen]) and torch.equal(hidden[~chosen], ids[~chosen])
    assert not chosen[:, [0, -1]].any()  # [CLS] and [SEP]
    assert 0.08 < chosen[:, 1:-1].float().mean() < 0.22
