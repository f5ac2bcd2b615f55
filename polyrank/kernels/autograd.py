"""The public MaxSim functions: one contract, four layouts, with gradients.

`contract.py` says what masks, ties and empty documents mean, `reference.py` says it in plain torch.
CUDA tensors go to the Triton kernels, everything else to `cpu/`.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from polyrank.kernels import backward as gradients
from polyrank.kernels import contract
from polyrank.kernels.backend import use_triton
from polyrank.kernels.contract import Problem
from polyrank.kernels.cpu import maxsim_cpu
from polyrank.kernels.triton.configuration import fits


def maxsim(
    queries: Tensor,
    documents: Tensor,
    query_mask: Tensor | None = None,
    document_mask: Tensor | None = None,
    *,
    zero_mask: bool = False,
) -> Tensor:
    """Late-interaction scores of every query against every document (Khattab and Zaharia 2020).

    score(q, d) = Σ_i max_j  q_i · d_j  over the live tokens i of q and j of d.

    Args:
        queries: (Q, Lq, d). documents: (D, Ld, d). Any floating-point types, on one device.
        query_mask: True for a live token, (Q, Lq); None: all are. document_mask: (D, Ld).
        zero_mask: the rule of PyLate for masked document tokens: similarity 0, not left out.

    Returns:
        (Q, D), fp32 (fp64 when an input is). An empty document scores -inf. Differentiable once,
        with the same bits from run to run.

    Raises:
        UsageError: shapes, types or devices that do not fit together.
    """
    contract.check_vectors(queries, documents, (3, 3))
    problem = Problem(
        contract.padded("queries", queries, query_mask),
        contract.padded("documents", documents, document_mask),
        columns=len(documents),
        zero_mask=zero_mask,
    )
    return _scores(queries, documents, problem)


def maxsim_per_query(
    queries: Tensor,
    documents: Tensor,
    query_mask: Tensor | None = None,
    document_mask: Tensor | None = None,
    *,
    zero_mask: bool = False,
) -> Tensor:
    """Every query against documents of its own: (Q, Lq, d), (Q, N, Ld, d) -> (Q, N).

    The layout of reranking and of distillation. Masks are (Q, Lq) and (Q, N, Ld). See `maxsim`.
    """
    contract.check_vectors(queries, documents, (3, 4))
    contract.check_aligned(queries, documents)
    problem = Problem(
        contract.padded("queries", queries, query_mask),
        contract.padded("documents", documents, document_mask),
        columns=documents.shape[1],
        own=True,
        zero_mask=zero_mask,
    )
    return _scores(queries, documents, problem)


def maxsim_pairs(
    queries: Tensor,
    documents: Tensor,
    query_mask: Tensor | None = None,
    document_mask: Tensor | None = None,
    *,
    zero_mask: bool = False,
) -> Tensor:
    """Query b against document b: (B, Lq, d), (B, Ld, d) -> (B,). Masks (B, Lq), (B, Ld).

    See `maxsim`.
    """
    contract.check_vectors(queries, documents, (3, 3))
    contract.check_aligned(queries, documents)
    mask = None if document_mask is None else document_mask[:, None]
    scores = maxsim_per_query(queries, documents[:, None], query_mask, mask, zero_mask=zero_mask)
    return scores[:, 0]


def maxsim_packed(
    queries: Tensor,
    query_offsets: Tensor,
    documents: Tensor,
    document_offsets: Tensor,
    query_mask: Tensor | None = None,
    document_mask: Tensor | None = None,
    *,
    zero_mask: bool = False,
) -> Tensor:
    """Every query against every document, texts end to end: (Tq, d), (Td, d) -> (Q, D).

    Args:
        query_offsets: integers (Q + 1,), as FlashAttention's cu_seqlens: text i is rows
            offsets[i] to offsets[i + 1]. document_offsets: (D + 1,).
        query_mask: (Tq,). document_mask: (Td,). The rest as in `maxsim`.
    """
    contract.check_vectors(queries, documents, (2, 2))
    layout = contract.packed("documents", documents, document_offsets, document_mask)
    problem = Problem(
        contract.packed("queries", queries, query_offsets, query_mask),
        layout,
        columns=layout.count,
        zero_mask=zero_mask,
    )
    return _scores(queries, documents, problem)


def _scores(queries: Tensor, documents: Tensor, problem: Problem) -> Tensor:
    flat_queries = queries.reshape(-1, queries.shape[-1])
    flat_documents = documents.reshape(-1, documents.shape[-1])
    if torch.is_grad_enabled() and (queries.requires_grad or documents.requires_grad):
        return _MaxSim.apply(flat_queries, flat_documents, problem)
    return forward(flat_queries, flat_documents, problem)[0]


def forward(
    queries: Tensor, documents: Tensor, problem: Problem, argmax: bool = False
) -> tuple[Tensor, Tensor | None]:
    """Scores and winners by the fastest path that the tensors allow (see `maxsim_cpu.forward`)."""
    if _on_triton(queries, documents):
        from polyrank.kernels.triton import maxsim_forward

        return maxsim_forward.forward(queries, documents, problem, argmax)
    return maxsim_cpu.forward(queries, documents, problem, argmax)


def _on_triton(queries: Tensor, documents: Tensor) -> bool:
    return use_triton(queries) and fits(queries, documents)


def _gradients(
    gradient: Tensor,
    queries: Tensor,
    documents: Tensor,
    winners: Tensor,
    problem: Problem,
    needs: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    if _on_triton(queries, documents):
        from polyrank.kernels.triton import maxsim_backward

        return maxsim_backward.backward(gradient, queries, documents, winners, problem, needs)
    return gradients.backward(gradient, queries, documents, winners, problem, needs)


class _MaxSim(torch.autograd.Function):
    """Flat queries (Tq, d) and documents (Td, d) -> scores (Q, N)."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, documents: Tensor, problem: Problem) -> Tensor:
        scores, winners = forward(queries, documents, problem, any(ctx.needs_input_grad))
        ctx.problem = problem
        ctx.save_for_backward(queries, documents, winners)
        return scores

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        queries, documents, winners = ctx.saved_tensors
        needs = ctx.needs_input_grad[:2]
        first, second = _gradients(gradient, queries, documents, winners, ctx.problem, needs)
        return (
            None if first is None else first.to(queries.dtype),
            None if second is None else second.to(documents.dtype),
            None,
        )
