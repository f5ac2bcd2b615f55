"""The masked-language head: BERT's, near the identity at first, the same over some pieces."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from polyrank.training.head.output_head import OutputHead, load_head, save_head


def random_head(hidden=8, vocabulary=11):
    head = OutputHead(hidden, vocabulary)
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for parameter in head.parameters():
            parameter.normal_(0.0, 0.5, generator=generator)
    return head


def test_it_starts_as_the_identity():
    head = OutputHead(2, 3)
    hidden = torch.tensor([[1.0, -1.0]])
    # gelu(1) = .8413, gelu(-1) = -.1587: after the LayerNorm 1 and -1
    words = torch.tensor([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]])
    torch.testing.assert_close(
        head(hidden, words), torch.tensor([[2.0, -3.0, 0.0]]), atol=1e-5, rtol=0
    )


def test_the_bias_starts_at_the_log_frequency():
    head = OutputHead(2, 3)
    head.start_at(torch.tensor([5, 0, 2]))  # (5 + 1, 0 + 1, 2 + 1) of 10
    expected = [math.log(0.6), math.log(0.1), math.log(0.3)]
    assert head.bias.tolist() == pytest.approx(expected, abs=1e-6)


def test_over_some_pieces_it_is_the_same():
    head, generator = random_head(), torch.Generator().manual_seed(5)
    hidden, words = (torch.randn(n, 8, generator=generator) for n in (3, 11))
    used = torch.tensor([1, 4, 10])
    torch.testing.assert_close(head(hidden, words[used], used), head(hidden, words)[:, used])


def test_it_is_bert_s(tiny_mlm):
    from transformers import AutoModelForMaskedLM

    whole = AutoModelForMaskedLM.from_pretrained(tiny_mlm).eval().cls.predictions
    torch.nn.init.normal_(whole.bias)
    head = OutputHead(32, len(whole.bias))
    head.dense.load_state_dict(whole.transform.dense.state_dict())
    head.norm.load_state_dict(whole.transform.LayerNorm.state_dict())
    head.bias.data = whole.bias.data
    hidden = torch.randn(5, 32, generator=torch.Generator().manual_seed(6))
    with torch.no_grad():
        torch.testing.assert_close(head(hidden, whole.decoder.weight), whole(hidden))


def test_it_is_stored_in_fp16(tmp_path):
    assert load_head(tmp_path) is None
    head = random_head()
    save_head(head, tmp_path)
    back = load_head(tmp_path)
    for name, value in head.state_dict().items():
        torch.testing.assert_close(back.state_dict()[name], value.half().float(), rtol=0, atol=0)


def test_gradients_reach_the_pieces_in_question_alone():
    head = random_head()
    used = torch.tensor([1, 4])
    logits = head(torch.ones(2, 8), torch.ones(2, 8), used)
    F.cross_entropy(logits, torch.tensor([0, 1])).backward()
    assert head.bias.grad.nonzero().flatten().tolist() == [1, 4]
    assert all(parameter.grad is not None for parameter in head.parameters())
