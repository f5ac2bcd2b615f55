"""Rows beyond 2^31 numbers: addresses are 64-bit on every path.

The matrices are as large as they look, but only the pages that are written exist in memory.
"""

from dataclasses import replace

import pytest
import torch

from polyrank import kernels
from polyrank.kernels import autograd, backend
from polyrank.kernels.codecs import int8, residual_scoring
from polyrank.kernels.codecs.residual import ResidualCodec
from polyrank.kernels.triton import configuration

ROWS, WIDTH = (1 << 31) // 128 + 100, 128  # more than 2^31 numbers
OFFSETS = torch.tensor([ROWS - 30, ROWS - 20, ROWS])  # two documents at the end


@pytest.fixture(params=["torch", "avx2", "avx512", "triton"])
def triton(request, monkeypatch, score_by):
    """One path after the other, whatever the device."""
    asked = request.param == "triton"
    if not asked:
        score_by(request.param)
    if asked and not backend.installed():
        pytest.skip("Triton is not installed")
    if asked and torch.cuda.is_available():
        pytest.skip("without Triton's interpreter these tensors would have to go to the GPU")
    monkeypatch.setattr(autograd, "_on_triton", configuration.fits if asked else lambda *_: False)
    for module in (int8, residual_scoring):
        monkeypatch.setattr(module, "use_triton", lambda tensor: asked)
    return asked


def numbers(*shape):
    return torch.randint(-3, 4, shape, generator=torch.Generator().manual_seed(0))


def by_hand(queries, tokens):
    """Scores of the two documents: the last 30 rows, the first 10 of them and the other 20."""
    similarity = queries.double() @ tokens.double().T  # (1, Lq, 30)
    return torch.stack(
        [part.amax(-1).sum(-1) for part in (similarity[..., :10], similarity[..., 10:])], dim=1
    ).float()


def test_vectors(triton):
    documents = torch.empty(ROWS, WIDTH, dtype=torch.float16)
    documents[-30:] = numbers(30, WIDTH)
    queries = numbers(1, 4, WIDTH).half()
    scores = kernels.maxsim_packed(queries[0], torch.tensor([0, 4]), documents, OFFSETS)
    assert torch.equal(scores, by_hand(queries, documents[-30:]))


def test_bytes(triton):
    values = torch.empty(ROWS, WIDTH, dtype=torch.int8)
    values[-30:] = numbers(30, WIDTH)
    scales = torch.ones(ROWS)
    documents = int8.Int8Documents(values[-30:], scales[-30:], torch.tensor([0, 10, 30]))
    for name, part in (("values", values), ("scales", scales), ("offsets", OFFSETS)):
        object.__setattr__(documents, name, part)  # rows before the first document, as in a shard
    queries = numbers(1, 4, WIDTH).float()
    scores = kernels.maxsim_int8(queries, documents)
    assert torch.equal(scores, by_hand(queries, values[-30:]))


def test_residuals(triton):
    codec = ResidualCodec(numbers(2, WIDTH).float(), torch.arange(255.0), torch.arange(256.0) - 9)
    tail = torch.randint(0, 256, (30, WIDTH), dtype=torch.uint8)
    codes = torch.zeros(ROWS, dtype=torch.int32)
    codes[-10:] = 1
    small = residual_scoring.pack_documents(codec, codes[-30:], tail, torch.tensor([0, 10, 30]))
    residuals = torch.empty(ROWS, WIDTH, dtype=torch.uint8)
    residuals[-30:] = tail
    norms = torch.ones(ROWS)
    norms[-30:] = small.inverse_norms
    large = replace(small)
    parts = {"codes": codes, "residuals": residuals, "inverse_norms": norms, "offsets": OFFSETS}
    for name, part in parts.items():  # rows before the first document, as in a shard
        object.__setattr__(large, name, part)
    queries = numbers(1, 4, WIDTH).float()
    scores = kernels.maxsim_residual(queries, large)
    torch.testing.assert_close(scores, by_hand(queries, small.decode()), rtol=1e-5, atol=1e-3)
