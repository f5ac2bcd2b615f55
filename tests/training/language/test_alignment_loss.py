"""Alignment to the frozen base's English: the losses by hand, and what they must not depend on."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from polyrank.training.language.alignment_loss import (
    sentence_contrast,
    sentence_distance,
    token_contrast,
)

X, Y = [1.0, 0.0], [0.0, 1.0]
DIAGONAL = [math.sqrt(0.5)] * 2


def test_distance_by_hand():
    sentences, english = torch.tensor([X, X]), torch.tensor([X, Y])
    assert sentence_distance(sentences, english).item() == pytest.approx(1.0)  # (0 + 2) / 2


def test_distance_runs_from_0_to_4():
    unit = torch.tensor([X, DIAGONAL])
    assert sentence_distance(unit, unit) == 0
    assert sentence_distance(unit, -unit).item() == pytest.approx(4.0)


def test_contrast_by_hand():
    sentences, english = torch.tensor([X, Y]), torch.tensor([X, DIAGONAL])
    # cosines / .5: row 0 is (2, √2), row 1 is (0, √2); gold is on the diagonal
    expected = math.log(1 + math.exp(math.sqrt(2) - 2)) + math.log(1 + math.exp(-math.sqrt(2)))
    actual = sentence_contrast(sentences, english, temperature=0.5)
    assert actual.item() == pytest.approx(expected / 2, abs=1e-6)


def test_contrast_of_a_single_pair_says_nothing():
    assert sentence_contrast(torch.tensor([X]), torch.tensor([Y])) == 0


def test_tokens_by_hand():
    tokens = torch.tensor([[X, Y], [Y, X]])
    real = torch.tensor([[True, True], [True, False]])  # the second sentence has one token
    english = torch.tensor([[X, DIAGONAL], [Y, X]])
    english_real = torch.tensor([[True, True], [True, False]])
    # mean over a sentence's tokens of the best cosine with English:
    #   0 with 0: (1 + √½) / 2     0 with 1: (0 + 1) / 2
    #   1 with 0: √½               1 with 1: 1
    half = math.sqrt(0.5)
    scores = torch.tensor([[(1 + half) / 2, 0.5], [half, 1.0]])
    expected = F.cross_entropy(scores / 0.5, torch.tensor([0, 1])).item()
    actual = token_contrast(tokens, real, english, english_real, temperature=0.5)
    assert actual.item() == pytest.approx(expected, abs=1e-6)


def test_tokens_ignore_padding():
    generator = torch.Generator().manual_seed(2)
    tokens, english = (
        F.normalize(torch.randn(3, length, 8, generator=generator), dim=-1) for length in (5, 4)
    )
    real = torch.arange(5) < torch.tensor([[5], [3], [1]])
    english_real = torch.arange(4) < torch.tensor([[2], [4], [3]])
    whole = token_contrast(tokens, real, english, english_real)
    wider = token_contrast(
        F.pad(tokens, (0, 0, 0, 2), value=0.4),
        F.pad(real, (0, 2)),
        F.pad(english, (0, 0, 0, 3), value=0.4),
        F.pad(english_real, (0, 3)),
    )
    torch.testing.assert_close(whole, wider)


@pytest.mark.parametrize("loss", [sentence_distance, sentence_contrast])
def test_the_order_of_pairs_does_not_matter(loss):
    generator = torch.Generator().manual_seed(3)
    one, two = (F.normalize(torch.randn(4, 8, generator=generator), dim=-1) for _ in range(2))
    order = torch.tensor([2, 0, 3, 1])
    torch.testing.assert_close(loss(one, two), loss(one[order], two[order]))
