"""Every Triton kernel against float64, on random inputs: for `gpu.py`.

The error is ‖out − exact‖ / ‖exact‖ over the finite scores; which scores are -inf must agree. The
reference is `kernels/reference.py` on the same numbers in float64. Before each call memory of the
allocator is filled with NaN, so that what a kernel does not write shows.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from gpu_timing import DEVICE, GPU
from torch import Tensor

from polyrank import kernels
from polyrank.kernels import reference
from polyrank.kernels.activations import ACTIVATIONS
from polyrank.kernels.codecs.int8 import Int8Documents, encode_int8, maxsim_int8
from polyrank.kernels.codecs.residual import ResidualCodec
from polyrank.kernels.codecs.residual_scoring import maxsim_residual, pack_documents
from polyrank.kernels.routed_adapter import add_adapters, assign, stack_adapters

# Largest error by the type of the numbers: sums are fp32, inputs exact; gradients are rounded.
SCORES = {torch.float32: 5e-5, torch.float16: 5e-5, torch.bfloat16: 5e-5}
# One near-tie of some thousand winners that fp32 decides otherwise than float64 is 0.02 here.
GRADIENTS = {torch.float32: 3e-2, torch.float16: 3e-2, torch.bfloat16: 3e-2}
CODED = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 2e-3}  # products in fp16
ADAPTED = {torch.float32: 2e-5, torch.float16: 3e-3, torch.bfloat16: 1.5e-2}
LAYOUTS = ("maxsim", "maxsim_per_query", "maxsim_pairs", "maxsim_packed")

Check = Callable[[], tuple[float, float]]  # the error, and what is allowed


def checks(tiny: bool) -> Iterator[tuple[str, Check]]:
    """Names and checks, most telling first."""
    halves = (torch.float16,) if not GPU else (torch.bfloat16, torch.float16)
    main = halves[0]
    sizes = [(3, 5, 7, 9, 16)] if tiny else [(9, 32, 21, 180, 128), (3, 40, 5, 77, 96)]
    for size in sizes:
        for layout in LAYOUTS:
            for masked in (False, True):
                yield (
                    f"{layout} {_name(size)}{' holes' if masked else ''}",
                    partial(_maxsim, layout, size, main, masked, False),
                )
    yield "maxsim zero_mask", partial(_maxsim, "maxsim", sizes[0], main, True, True)
    for dtype in (torch.float32, *halves[1:]):
        yield (
            f"maxsim holes {_type(dtype)}",
            partial(_maxsim, "maxsim", sizes[0], dtype, True, False),
        )
    one = (1, 5, 7, 9, 16) if tiny else (1, 32, 500, 180, 128)
    # As many that a program scores several documents.
    batch = (4, 5, 4, 9, 16) if tiny else (64, 32, 260, 180, 128)
    long = (2, 20, 3, 40, 16) if tiny else (2, 300, 3, 1030, 128)
    wide = (2, 5, 3, 9, 40) if tiny else (3, 32, 9, 180, 200)
    for title, size in (("one", one), ("batch", batch), ("long", long), ("wide", wide)):
        yield f"maxsim {title} {_name(size)}", partial(_maxsim, "maxsim", size, main, True, False)
    for queries in (1, 3) if tiny else (1, 2, 16):
        yield f"int8 {queries} queries", partial(_int8, queries, main, tiny)
        for bits in (2, 4, 1, 8):
            yield (
                f"residual-{bits} {queries} queries",
                partial(_residual, queries, bits, main, tiny),
            )
    for kind, queries in (("int8", 1), ("residual-2", 1), ("int8", 16), ("residual-4", 16)):
        name = f"{kind} {queries} queries, many documents"
        yield name, partial(_many, kind, queries, main, tiny)
    yield "int8 float32", partial(_int8, 2, torch.float32, tiny)
    yield "residual-2 float32", partial(_residual, 2, 2, torch.float32, tiny)
    yield "top-k", partial(_topk, main, tiny)
    for dtype in (main, torch.float32):
        yield f"adapter {_type(dtype)}", partial(_adapter, dtype, "relu", tiny)
    for activation in ACTIVATIONS:
        yield f"adapter {activation}", partial(_adapter, torch.float32, activation, True)
    yield "offsets beyond 2^31: vectors", partial(_far_vectors, main, tiny)
    yield "offsets beyond 2^31: int8", partial(_far_bytes, tiny)
    yield "offsets beyond 2^31: residual", partial(_far_residuals, tiny)


def _name(size: tuple[int, ...]) -> str:
    return "{}×{}·{}×{}×{}".format(*size)


def _type(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def poison() -> None:
    """Leave NaN in the memory that the allocator hands out next."""
    held = [torch.full((1 << n,), torch.nan, device=DEVICE) for n in (8, 12, 16, 20, 22)]
    del held


def error(out: Tensor, exact: Tensor) -> float:
    """‖out − exact‖ / ‖exact‖; infinite where one is finite and the other is not."""
    out, exact = out.double(), exact.double()
    if out.shape != exact.shape or not torch.equal(out.isneginf(), exact.isneginf()):
        return float("inf")
    if not out.masked_fill(out.isneginf(), 0).isfinite().all():
        return float("inf")
    finite = exact.isfinite()
    difference = (out[finite] - exact[finite]).norm()
    return float(difference / exact[finite].norm().clamp_min(1e-30))


def _unit(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return F.normalize(torch.randn(*shape, device=DEVICE), dim=-1).to(dtype)


def _ragged(count: int, longest: int) -> Tensor:
    """Offsets of documents of 0 to `longest` tokens, one of them empty."""
    lengths = torch.randint(1, longest + 1, (count,), device=DEVICE)
    lengths[count // 2] = 0
    return F.pad(lengths.cumsum(0), (1, 0))


def _maxsim(
    layout: str, size: tuple[int, ...], dtype: torch.dtype, masked: bool, zero: bool
) -> tuple[float, float]:
    """Scores and both gradients; the larger error over what is allowed for it."""
    arguments = _arguments(layout, size, dtype, masked)
    results = []
    for function, exact in ((kernels, False), (reference, True)):
        given = [_leaf(x, exact) for x in arguments]
        vectors = [x for x in given if x is not None and x.requires_grad]
        poison()
        scores = getattr(function, layout)(*given, zero_mask=zero)
        torch.manual_seed(1)
        weight = torch.randn(scores.shape, device=DEVICE).to(scores.dtype)
        torch.where(scores.isfinite(), scores * weight, 0.0).sum().backward()
        results.append([scores.detach(), *(x.grad for x in vectors)])
    allowed = [SCORES[dtype], GRADIENTS[dtype], GRADIENTS[dtype]]
    errors = [error(out, exact) for out, exact in zip(*results, strict=True)]
    worst = max(range(3), key=lambda i: errors[i] / allowed[i])
    return errors[worst], allowed[worst]


def _leaf(x: Tensor | None, exact: bool) -> Tensor | None:
    """A copy that takes a gradient, in float64 and without NaN for the reference."""
    if x is None or not x.is_floating_point():
        return x
    return (x.double().nan_to_num() if exact else x.clone()).requires_grad_()


def _arguments(layout: str, size: tuple[int, ...], dtype: torch.dtype, masked: bool) -> list[Any]:
    torch.manual_seed(0)
    count, query_length, documents, length, width = size
    q = _unit(count, query_length, width, dtype=dtype)
    own = (count, documents) if layout == "maxsim_per_query" else (documents,)
    if layout == "maxsim_pairs":
        own = (count,)
    d = _unit(*own, length, width, dtype=dtype)
    masks: list[Tensor | None] = [None, None]
    if masked:
        query_mask = torch.rand(q.shape[:-1], device=DEVICE) > 0.2
        document_mask = torch.rand(d.shape[:-1], device=DEVICE) > 0.3
        document_mask.view(-1, length)[0] = False  # one without a live token
        masks = [query_mask, document_mask]
        d[~document_mask] = torch.nan  # what a masked row holds never shows
        if layout != "maxsim_packed":
            q[~query_mask] = torch.nan
    if layout != "maxsim_packed":
        return [q, d, *masks]
    if masked:
        d = torch.nan_to_num(d)
    q_ends, d_ends = _ragged(count, query_length), _ragged(documents, length)
    flat = q.flatten(0, 1)[: int(q_ends[-1])], d.flatten(0, 1)[: int(d_ends[-1])]
    if masked:
        masks = [m.flatten()[: len(x)] for m, x in zip(masks, flat, strict=True)]  # type: ignore
    return [flat[0].clone(), q_ends, flat[1].clone(), d_ends, *masks]


def _exact_packed(queries: Tensor, vectors: Tensor, ends: Tensor, *masks: Tensor | None) -> Tensor:
    starts = torch.arange(len(queries) + 1, device=DEVICE) * queries.shape[1]
    flat = [None if m is None else m.flatten() for m in masks]
    queries = queries.double().flatten(0, 1)
    return reference.maxsim_packed(queries, starts, vectors.double(), ends, *flat)


def _coded_case(queries: int, dtype: torch.dtype, tiny: bool) -> tuple[Any, ...]:
    torch.manual_seed(2)
    count, longest, width, length = (6, 9, 16, 4) if tiny else (70, 180, 128, 32)
    ends = _ragged(count, longest)
    asked = _unit(queries, length, width, dtype=dtype)
    query_mask = torch.rand(asked.shape[:-1], device=DEVICE) > 0.2
    mask = torch.rand(int(ends[-1]), device=DEVICE) > 0.3
    return asked, _unit(int(ends[-1]), width), ends, query_mask, mask


def _int8(queries: int, dtype: torch.dtype, tiny: bool) -> tuple[float, float]:
    asked, vectors, ends, query_mask, mask = _coded_case(queries, dtype, tiny)
    documents = encode_int8(vectors, ends)
    exact = _exact_packed(asked, documents.decode(), ends, query_mask, mask)
    poison()
    return error(maxsim_int8(asked, documents, query_mask, mask), exact), CODED[dtype]


def _codec(bits: int, centroids: int, width: int) -> ResidualCodec:
    weights = torch.linspace(-0.1, 0.13, 2**bits, device=DEVICE)
    cutoffs = (weights[1:] + weights[:-1]) / 2
    return ResidualCodec(_unit(centroids, width, dtype=torch.float16), cutoffs, weights)


def _residual(queries: int, bits: int, dtype: torch.dtype, tiny: bool) -> tuple[float, float]:
    asked, vectors, ends, query_mask, mask = _coded_case(queries, dtype, tiny)
    codec = _codec(bits, 8 if tiny else 500, vectors.shape[1])
    documents = pack_documents(codec, *codec.encode(vectors), ends)
    exact = _exact_packed(asked, documents.decode(), ends, query_mask, mask)
    poison()
    return error(maxsim_residual(asked, documents, query_mask, mask), exact), CODED[dtype]


def _many(kind: str, queries: int, dtype: torch.dtype, tiny: bool) -> tuple[float, float]:
    """As many short documents that a program scores several."""
    torch.manual_seed(5)
    count, longest, width, length = (9, 6, 16, 4) if tiny else (9000, 20, 128, 32)
    asked = _unit(queries, length, width, dtype=dtype)
    lengths = torch.randint(0, longest + 1, (count, 1), device=DEVICE)
    mask = torch.arange(longest, device=DEVICE) < lengths
    vectors, ends = _unit(int(mask.sum()), width), F.pad(lengths[:, 0].cumsum(0), (1, 0))
    decoded = torch.zeros(count, longest, width, dtype=torch.float64, device=DEVICE)
    if kind == "int8":
        eight = encode_int8(vectors, ends)
        decoded[mask] = eight.decode().double()
        poison()
        scores = maxsim_int8(asked, eight)
    else:
        codec = _codec(int(kind[-1]), 8 if tiny else 500, width)
        documents = pack_documents(codec, *codec.encode(vectors), ends)
        decoded[mask] = documents.decode().double()
        poison()
        scores = maxsim_residual(asked, documents)
    return error(scores, reference.maxsim(asked.double(), decoded, None, mask)), CODED[dtype]


def _topk(dtype: torch.dtype, tiny: bool) -> tuple[float, float]:
    """Scores of the best 10, padded and packed, and that their documents have these scores."""
    torch.manual_seed(3)
    count, longest, width, length = (40, 6, 16, 4) if tiny else (3000, 50, 128, 32)
    asked = _unit(3, length, width, dtype=dtype)
    documents = _unit(count, longest, width, dtype=dtype)
    mask = torch.rand(count, longest, device=DEVICE) > 0.3
    exact = reference.maxsim(asked.double(), documents.double(), None, mask)
    worst = 0.0
    ends = torch.arange(count + 1, device=DEVICE) * longest
    for flat, live, offsets in (
        (documents, mask, None),
        (documents.flatten(0, 1), mask.flatten(), ends),
    ):
        poison()
        scores, index = kernels.maxsim_topk(asked, flat, 10, None, live, offsets)
        worst = max(worst, error(scores, exact.topk(10).values))
        worst = max(worst, error(exact.gather(1, index), exact.topk(10).values))
    return worst, SCORES[dtype]


def _adapter(dtype: torch.dtype, activation: str, tiny: bool) -> tuple[float, float]:
    torch.manual_seed(4)
    tokens, width, ranks = (40, 24, (5, 8, 3)) if tiny else (2000, 384, (96, 48, 96, 7, 96))
    adapters = []
    for rank in ranks:
        down, up = torch.randn(rank, width) / width**0.5, torch.randn(width, rank) / rank**0.5
        biases = torch.randn(rank), torch.randn(width)
        parts = [x.to(DEVICE, dtype) for x in (down, biases[0], up, biases[1])]
        adapters.append(((parts[0], parts[1]), (parts[2], parts[3])))
    adapters[1] = None  # type: ignore[call-overload]
    stack = stack_adapters(adapters, activation)
    assert stack is not None
    module = torch.randint(len(ranks), (tokens,), device=DEVICE)
    both = torch.randn(tokens, 2 * width, device=DEVICE).to(dtype)
    z, onto = both.chunk(2, dim=1)  # rows that lie apart
    exact = onto.double()
    for number, adapter in enumerate(adapters):
        if adapter is None:
            continue
        (down, down_bias), (up, up_bias) = ([x.double() for x in part] for part in adapter)
        inner = ACTIVATIONS[activation](F.linear(z.double(), down, down_bias))
        here = (module == number)[:, None]
        exact = torch.where(here, exact + F.linear(inner, up, up_bias), exact)
    add_adapters(z, onto, stack, assign(module, len(ranks)))
    return error(onto, exact), ADAPTED[dtype]


def _far(tiny: bool) -> tuple[int, int, Tensor]:
    """Rows, width, and the offsets of two documents among the last 30 rows."""
    rows = 1000 if tiny else (1 << 31) // 128 + 100
    return rows, 128, torch.tensor([rows - 30, rows - 20, rows], device=DEVICE)


def _far_vectors(dtype: torch.dtype, tiny: bool) -> tuple[float, float]:
    rows, width, ends = _far(tiny)
    documents = torch.empty(rows, width, dtype=dtype, device=DEVICE)
    documents[-30:] = _unit(30, width, dtype=dtype)
    documents[:30] = 9
    asked = _unit(4, width, dtype=dtype)
    scores = kernels.maxsim_packed(asked, torch.tensor([0, 4], device=DEVICE), documents, ends)
    exact = _exact_packed(asked[None], documents[-30:], ends - ends[0])
    return error(scores, exact), SCORES[dtype]


def _far_bytes(tiny: bool) -> tuple[float, float]:
    rows, width, ends = _far(tiny)
    near = encode_int8(_unit(30, width), ends - ends[0])
    values = torch.full((rows, width), 9, dtype=torch.int8, device=DEVICE)
    scales = torch.ones(rows, device=DEVICE)
    values[-30:], scales[-30:] = near.values, near.scales
    far = object.__new__(Int8Documents)  # making one refuses rows before the first document
    for name, part in (("values", values), ("scales", scales), ("offsets", ends)):
        object.__setattr__(far, name, part)
    asked = _unit(2, 4, width, dtype=torch.float16)
    return error(maxsim_int8(asked, far), _exact_packed(asked, near.decode(), near.offsets)), 2e-3


def _far_residuals(tiny: bool) -> tuple[float, float]:
    rows, width, ends = _far(tiny)
    codec = _codec(8, 50, width)
    near = pack_documents(codec, *codec.encode(_unit(30, width)), ends - ends[0])
    far = object.__new__(type(near))
    parts = {
        "codec": codec,
        "codes": torch.zeros(rows, dtype=torch.int32, device=DEVICE),
        "residuals": torch.zeros(rows, width, dtype=torch.uint8, device=DEVICE),
        "inverse_norms": torch.ones(rows, device=DEVICE),
        "offsets": ends,
    }
    for name, part in parts.items():
        if name in ("codes", "residuals", "inverse_norms"):
            part[-30:] = getattr(near, name)
        object.__setattr__(far, name, part)
    asked = _unit(2, 4, width, dtype=torch.float16)
    exact = _exact_packed(asked, near.decode(), near.offsets)
    return error(maxsim_residual(asked, far), exact), 2e-3
