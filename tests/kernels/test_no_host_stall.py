"""Nothing between a call and its last launch waits for the GPU, so that a CUDA graph can hold it.

Meta tensors stand for those of a GPU: they have shapes but no values, and whatever asks for a
value, as `.item()`, `.tolist()`, `nonzero` or a boolean index would, raises an error.
"""

import pytest
import torch

pytest.importorskip("triton")

from polyrank import kernels
from polyrank.kernels import autograd, routed_adapter
from polyrank.kernels.codecs import compressed, int8, residual, residual_scoring
from polyrank.kernels.interop import colbert_scores
from polyrank.kernels.triton import (
    int8_kernel,
    maxsim_backward,
    maxsim_forward,
    residual_kernel,
    routed_adapter_kernel,
)

LAUNCHING = (maxsim_forward, maxsim_backward, int8_kernel, residual_kernel, routed_adapter_kernel)
ASKING = (maxsim_forward, maxsim_backward, compressed, routed_adapter, routed_adapter_kernel)


@pytest.fixture
def launches(monkeypatch):
    """Kernels that were launched; all tensors without values while it lasts."""
    names = []

    def launch(kernel, programs, tensors, sizes, constants, warps, stages):
        assert all(isinstance(size, int) for size in (programs, *sizes))
        names.append(kernel.fn.__module__.rsplit(".", 1)[1])

    for module in LAUNCHING:
        monkeypatch.setattr(module, "launch", launch)
    for module in ASKING:
        monkeypatch.setattr(module, "architecture", lambda device: "sm_90")
    for module in (autograd, int8, residual_scoring, routed_adapter):
        monkeypatch.setattr(module, "use_triton", lambda tensor: True)
    with torch.device("meta"):
        yield names


def mask(*shape):
    return torch.ones(*shape, dtype=torch.bool)


@pytest.mark.parametrize(
    "look", [torch.Tensor.tolist, torch.Tensor.nonzero, bool, int, lambda x: x[x > 0]]
)
def test_the_stand_in_notices_a_look(look, launches):
    with pytest.raises((RuntimeError, NotImplementedError)):
        look(torch.ones(1))


@pytest.mark.parametrize("layout", ["maxsim", "maxsim_pairs", "maxsim_per_query", "maxsim_packed"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_maxsim_and_its_gradient(dtype, layout, launches, monkeypatch):
    queries, documents = torch.ones(3, 5, 64, dtype=dtype), torch.ones(3, 7, 64, dtype=dtype)
    own, offsets = torch.ones(3, 2, 7, 64, dtype=dtype), torch.arange(4)
    arguments = {
        "maxsim": (queries, documents, mask(3, 5), mask(3, 7)),
        "maxsim_pairs": (queries, documents, mask(3, 5), mask(3, 7)),
        "maxsim_per_query": (queries, own, mask(3, 5), mask(3, 2, 7)),
        "maxsim_packed": (
            queries.flatten(0, 1),
            offsets * 5,
            documents.flatten(0, 1),
            offsets * 7,
            mask(15),
            mask(21),
        ),
    }[layout]
    called = []
    monkeypatch.setattr(autograd, "_scores", lambda *given: called.append(given) or given[0])
    getattr(kernels, layout)(*arguments)
    queries, documents, problem = called[0]
    flat = queries.reshape(-1, 64), documents.reshape(-1, 64)
    scores, winners = autograd.forward(*flat, problem, argmax=True)
    found = autograd._gradients(scores, *flat, winners, problem, (True, True))
    assert [gradient.shape for gradient in found] == [vectors.shape for vectors in flat]
    assert launches == ["maxsim_forward", *["maxsim_backward"] * 2]


def test_topk_and_the_drop_in(launches):
    queries, documents = torch.ones(3, 5, 64), torch.ones(4, 2, 7, 64)
    colbert_scores(queries, documents, mask(3, 5).long(), mask(4, 2, 7).long(), zero_mask=True)
    kernels.maxsim_topk(queries, documents.flatten(0, 1), 4, mask(3, 5), mask(8, 7))
    assert launches == ["maxsim_forward"] * 2


def test_codecs(launches):
    tokens, offsets = 20, torch.arange(5) * 5
    eight = object.__new__(int8.Int8Documents)  # making one looks at its offsets, once
    parts = (torch.ones(tokens, 64, dtype=torch.int8), torch.ones(tokens), offsets)
    for name, part in zip(("values", "scales", "offsets"), parts, strict=True):
        object.__setattr__(eight, name, part)
    codec = residual.ResidualCodec(torch.ones(6, 64), torch.ones(3), torch.ones(4))
    two_bits = residual_scoring.ResidualDocuments(
        codec,
        torch.ones(tokens, dtype=torch.int32),
        torch.ones(tokens, 16, dtype=torch.uint8),
        torch.ones(tokens),
        offsets,
    )
    queries = torch.ones(3, 5, 64)
    assert kernels.maxsim_int8(queries, eight, mask(3, 5), mask(tokens)).shape == (3, 4)
    assert kernels.maxsim_residual(queries, two_bits, mask(3, 5), mask(tokens)).shape == (3, 4)
    assert launches == ["int8_kernel", "residual_kernel"]


def test_adapters(launches):
    linear = torch.ones(16, 32), torch.ones(16)
    stack = routed_adapter.stack_adapters([(linear, (torch.ones(32, 16), torch.ones(32)))], "relu")
    assignment = routed_adapter.assign(torch.zeros(50, dtype=torch.int64), 1)
    routed_adapter.add_adapters(torch.ones(50, 32), torch.ones(50, 32), stack, assignment)
    assert launches == ["routed_adapter_kernel"]
