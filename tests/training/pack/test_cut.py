"""A base whose embeddings are cut to the pieces of a text computes the same for that text."""

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from polyrank.base import load_base
from polyrank.base.packed import widen
from polyrank.training.pack.cut import Renumbering, narrow, read_cut, write_cut

TEXTS = ["abc cab", "bad dab b"]


@pytest.fixture(scope="module")
def base(tiny_bert):
    return load_base(str(tiny_bert))


def test_hidden_states_are_the_same_to_the_bit(base, tmp_path):
    rows = [base.tokenizer(text)["input_ids"] for text in TEXTS]
    counts = np.bincount(np.concatenate(rows), minlength=base.model.config.vocab_size)
    renumbering = Renumbering(counts, special=[0])
    write_cut(base.model, renumbering.old, tmp_path)
    config, state = read_cut(tmp_path)
    small = BertModel(BertConfig(**config), add_pooling_layer=False).eval()
    small.load_state_dict(state, strict=False)
    assert config["vocab_size"] == len(set(np.concatenate(rows)) | {0}) < len(counts)
    for row in rows:
        with torch.no_grad():
            whole = base.model(torch.tensor([row])).last_hidden_state
            cut = small(torch.from_numpy(renumbering(row))[None]).last_hidden_state
        assert torch.equal(whole, cut)


def test_numbers_follow_use_after_the_special_ones():
    renumbering = Renumbering(np.array([0, 3, 9, 0, 4]), special=[3])
    assert renumbering.old.tolist() == [3, 2, 4, 1]
    assert renumbering([2, 1]).tolist() == [1, 3]
    with pytest.raises(ValueError, match="left out"):
        renumbering([0])


def test_four_bits_are_kept_where_they_are_exact():
    random = np.random.default_rng(3)
    levels = random.integers(0, 16, (40, 32))
    levels[:, 5] = 0  # the value of largest magnitude is -8 d, as ggml writes it
    scale = random.uniform(0.01, 2, (40, 1)).astype(np.float16).astype(np.float32)
    values = ((levels - 8) * scale).astype(np.float32)
    stored = narrow(values)
    assert stored is not None and stored.shape == (40, 18)
    assert np.array_equal(widen(stored.tobytes()), values.reshape(-1))


def test_other_values_are_not_rounded():
    assert narrow(np.random.default_rng(4).normal(size=(4, 32)).astype(np.float32)) is None
