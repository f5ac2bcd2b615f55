"""Rows end to end against padded batches, which define them."""

from __future__ import annotations

import pytest
import torch

from polyrank.encoders.packed import spans_of
from polyrank.encoders.routed import RoutedEncoder

LENGTHS = (9, 5, 5, 1)


@pytest.fixture
def batch(tiny_base):
    vocabulary = tiny_base.model.config.vocab_size
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(5, vocabulary, (len(LENGTHS), max(LENGTHS)), generator=generator)
    return ids, torch.arange(ids.shape[1])[None, :] < torch.tensor(LENGTHS)[:, None]


def test_packed_rows_are_the_padded_ones(tiny_base, batch):
    ids, real = batch
    engine = RoutedEncoder(tiny_base.model, [])
    padded = engine(ids, real.long())
    packed = engine.packed(ids[real], spans_of(LENGTHS))
    torch.testing.assert_close(packed, padded[real], atol=1e-5, rtol=0)
    firsts = engine.firsts(ids[real], spans_of(LENGTHS))
    torch.testing.assert_close(firsts, padded[:, 0], atol=1e-5, rtol=0)


def test_tokens_that_are_not_attended_are_encoded_and_not_seen(tiny_base, batch):
    ids, real = batch
    engine, seen = RoutedEncoder(tiny_base.model, []), (6, 5, 2, 1)
    mask = torch.arange(ids.shape[1])[None, :] < torch.tensor(seen)[:, None]
    padded = engine(ids, mask.long())
    packed = engine.packed(ids[real], spans_of(LENGTHS, seen))
    torch.testing.assert_close(packed, padded[real], atol=1e-5, rtol=0)


def test_neighbours_of_one_shape_are_one_call():
    assert list(spans_of(LENGTHS).alike()) == [(0, 1, 9, 9), (1, 2, 5, 5), (3, 1, 1, 1)]
    assert spans_of(LENGTHS).starts.tolist() == [0, 9, 14, 19]
