"""The residual codec: bytes worked out by hand from the two foreign layouts, and what decodes."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from polyrank.errors import UsageError
from polyrank.kernels.codecs.residual import BITS, ResidualCodec, fit_codec, pack, unpack


def clustered(tokens, width, seed=0, directions=32, noise=0.05):
    """Unit vectors around a few directions, as token vectors are."""
    g = torch.Generator().manual_seed(seed)
    centres = F.normalize(torch.randn(directions, width, generator=g), dim=1)
    member = torch.randint(0, directions, (tokens,), generator=g)
    return F.normalize(centres[member] + noise * torch.randn(tokens, width, generator=g), dim=1)


# ColBERT, `binarize` in colbert/indexing/codecs/residual.py: bucket numbers are split with
# `residuals >> arange_bits & 1`, least significant bit first, then `packbits` fills bytes from the
# most significant bit. fast-plaid, rust/index/create.rs: `bit_helper` is the same arange and
# `packbits` weighs the bits 128, 64, ... 1. So both write:
BY_HAND = {
    1: ([1, 0, 0, 0, 0, 0, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0], [0b10000001, 0b01100000]),
    # 1 → 1,0   0 → 0,0   3 → 1,1   2 → 0,1
    2: ([1, 0, 3, 2, 2, 2, 1, 1], [0b10_00_11_01, 0b01_01_10_10]),
    # 1 → 1,0,0,0   8 → 0,0,0,1   6 → 0,1,1,0   3 → 1,1,0,0   14 → 0,1,1,1   5 → 1,0,1,0
    4: ([1, 8, 6, 3, 14, 5], [0b1000_0001, 0b0110_1100, 0b0111_1010]),
    # 1 → 1,0,0,0,0,0,0,0   176 = 0b10110000 → 0,0,0,0,1,1,0,1
    8: ([1, 176, 255], [0b10000000, 0b00001101, 0b11111111]),
}


@pytest.mark.parametrize("bits", BITS)
def test_bytes_by_hand(bits):
    values, expected = BY_HAND[bits]
    packed = pack(torch.tensor([values]), bits)
    assert packed.tolist() == [expected] and packed.dtype == torch.uint8
    assert unpack(packed, bits).tolist() == [values]


@pytest.mark.parametrize("bits", BITS)
def test_all_bytes_are_those_of_packbits(bits):
    """The rule of both systems, written with numpy's packbits: bits up, bytes down."""
    values = np.random.default_rng(0).integers(0, 2**bits, (50, 96))
    split = (values[:, :, None] >> np.arange(bits)) & 1
    expected = np.packbits(split.reshape(50, -1), axis=1)
    assert np.array_equal(pack(torch.from_numpy(values), bits).numpy(), expected)
    assert np.array_equal(unpack(torch.from_numpy(expected), bits).numpy(), values)


@pytest.mark.parametrize("bits", BITS)
def test_an_index_of_fast_plaid(bits):
    """20 tokens of an index that fast-plaid 1.7.0 made of 24 random documents, read from its files
    (merged_codes.npy, merged_residuals.npy, ...), and what it restores from them, in fp16."""
    with np.load(Path(__file__).parent / "data" / "fast_plaid.npz") as archive:
        index = {
            name.partition(".")[2]: torch.from_numpy(archive[name])
            for name in archive.files
            if name.startswith(f"{bits}.")
        }
    codec = ResidualCodec(index["centroids"], index["cutoffs"], index["weights"])
    codes, residuals = codec.encode(index["vectors"])
    assert torch.equal(codes.long(), index["codes"])
    assert torch.equal(residuals, index["residuals"])
    restored = codec.decode(index["codes"], index["residuals"])
    torch.testing.assert_close(restored, index["restored"], rtol=0.0, atol=1e-3)


def test_encode_and_decode_by_hand():
    """4 dimensions, 2 bits, centroids on the axes; cutoffs -1, 0, 1 and weights -2, -½, ½, 2."""
    codec = ResidualCodec(
        torch.eye(4)[:2], torch.tensor([-0.1, 0.0, 0.1]), torch.tensor([-0.2, -0.05, 0.05, 0.2])
    )
    codes, residuals = codec.encode(torch.tensor([[0.1, 0.9, -0.3, 0.0]]))
    # Nearest: centroid 1. Left over: 0.1, -0.1, -0.3, 0.0. A value at a cutoff is in the bucket
    # below (bucketize, right=False), so buckets 2, 0, 0, 1 and bits 01 00 00 10.
    assert codes.tolist() == [1] and residuals.tolist() == [[0b01_00_00_10]]
    restored = torch.tensor([[0.05, 1 - 0.2, -0.2, -0.05]])
    torch.testing.assert_close(codec.decode(codes, residuals), restored / restored.norm())
    torch.testing.assert_close(codec.inverse_norms(codes, residuals), 1 / restored.norm(dim=1))


def test_fp16_centroids_take_the_residual_in_fp16():
    """As ColBERT on a GPU and fast-plaid: 0.3001 - 0.3 is 0 in fp16, so it is not above 0."""
    codec = ResidualCodec(torch.tensor([[0.3] * 8]), torch.tensor([0.0]), torch.tensor([-1.0, 1.0]))
    vector = torch.full((1, 8), 0.30001)
    assert codec.encode(vector)[1].tolist() == [[255]]
    half = ResidualCodec(codec.centroids.half(), codec.cutoffs, codec.weights)
    assert half.encode(vector)[1].tolist() == [[0]]


def test_cutoffs_and_weights_are_quantiles():
    vectors = clustered(400, 32)
    codec = fit_codec(vectors, bits=2, clusters=8, seed=3, dtype=torch.float32)
    order = torch.randperm(400, generator=torch.Generator().manual_seed(3))
    held_out = vectors[order[:20]]  # 5 %
    rest = held_out - codec.centroids[(held_out @ codec.centroids.t()).argmax(dim=1)]
    torch.testing.assert_close(codec.cutoffs, rest.quantile(torch.tensor([0.25, 0.5, 0.75])))
    quantiles = torch.tensor([0.125, 0.375, 0.625, 0.875])
    torch.testing.assert_close(codec.weights, rest.quantile(quantiles))


def test_more_bits_restore_better():
    vectors = clustered(3000, 64)
    lost = []
    for bits in BITS:
        codec = fit_codec(vectors, bits, clusters=32)
        restored = codec.decode(*codec.encode(vectors))
        torch.testing.assert_close(restored.norm(dim=1), torch.ones(3000))
        lost.append(float((restored - vectors).square().sum(dim=1).mean()))
    for coarse, fine in pairwise(lost):
        assert coarse > 1.5 * fine


def test_encoding_is_the_same_in_chunks(monkeypatch):
    vectors = clustered(500, 32)
    codec = fit_codec(vectors, 2, clusters=16)
    whole = codec.encode(vectors)
    monkeypatch.setattr("polyrank.kernels.codecs.residual.CHUNK", 7)
    monkeypatch.setattr("polyrank.kernels.codecs.kmeans.CHUNK", 50)
    for part, expected in zip(codec.encode(vectors), whole, strict=True):
        assert torch.equal(part, expected)


def test_no_token_at_all():
    codec = fit_codec(clustered(100, 16), 4, clusters=4)
    codes, residuals = codec.encode(torch.empty(0, 16))
    assert codes.shape == (0,) and residuals.shape == (0, 8)
    assert codec.decode(codes, residuals).shape == (0, 16)


def test_refusals():
    vectors = clustered(50, 16)
    with pytest.raises(UsageError, match="3 bits"):
        fit_codec(vectors, bits=3)
    with pytest.raises(UsageError, match="whole bytes"):
        fit_codec(vectors[:, :12], bits=1, clusters=4)
    with pytest.raises(UsageError, match="one cutoff less"):
        ResidualCodec(torch.eye(8), torch.zeros(2), torch.zeros(2))
    codec = fit_codec(vectors, 2, clusters=4)
    with pytest.raises(UsageError, match="the codec has 16"):
        codec.encode(vectors[:, :8])
