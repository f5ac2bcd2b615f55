"""Exact search: the best documents for each query, without a score matrix of the corpus's size."""

from __future__ import annotations

import torch
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.kernels import contract
from polyrank.kernels.autograd import forward
from polyrank.kernels.contract import Layout, Problem
from polyrank.kernels.cpu.threads import one_thread

SCORES = 1 << 22  # of one step, all queries together: 16 MB


@torch.no_grad()
def maxsim_topk(
    queries: Tensor,
    documents: Tensor,
    k: int,
    query_mask: Tensor | None = None,
    document_mask: Tensor | None = None,
    document_offsets: Tensor | None = None,
    *,
    zero_mask: bool = False,
) -> tuple[Tensor, Tensor]:
    """The k best documents of each query by `maxsim`, best first.

    The corpus is scored step by step, and each step is merged into the best so far, so that memory
    does not grow with the corpus. Of equal scores the lower document index wins, on every device.

    Args:
        queries: (Q, Lq, d), query_mask (Q, Lq).
        documents: (D, Ld, d) with document_mask (D, Ld), or packed: (Td, d) with document_mask
            (Td,) and document_offsets (D + 1,), as in `maxsim_packed`.
        k: at most D.

    Returns:
        Scores (Q, k) fp32, and document indices (Q, k) int64. No gradient.

    Raises:
        UsageError: as `maxsim`, k out of range, or fp64 vectors (a merge ranks fp32 scores).
    """
    contract.check_vectors(queries, documents, (3, 3 if document_offsets is None else 2))
    if torch.float64 in (queries.dtype, documents.dtype):
        raise UsageError("maxsim_topk ranks fp32 scores; convert fp64 vectors with .float().")
    if document_offsets is None:
        layout = contract.padded("documents", documents, document_mask)
    else:
        layout = contract.packed("documents", documents, document_offsets, document_mask)
    if not 1 <= k <= layout.count:
        raise UsageError(f"k must be 1 to {layout.count}, the number of documents, not {k}.")
    query_layout = contract.padded("queries", queries, query_mask)
    flat_queries = queries.reshape(-1, queries.shape[-1])
    flat_documents = documents.reshape(-1, documents.shape[-1])
    step = max(SCORES // max(len(queries), 1), k)
    best = torch.empty(len(queries), 0, dtype=torch.int64, device=queries.device)
    for first in range(0, layout.count, step):
        last = min(first + step, layout.count)
        part, vectors = _part(layout, flat_documents, first, last)
        problem = Problem(query_layout, part, last - first, zero_mask=zero_mask)
        scores, _ = forward(flat_queries, vectors, problem)
        with one_thread():
            best = torch.cat([best, _keys(scores, first)], dim=1)
            best = best.topk(min(k, best.shape[1]), dim=1).values  # sorted
    return _scores(best), _LAST - (best & _LAST)


_LAST = 0xFFFFFFFF


def _part(layout: Layout, vectors: Tensor, first: int, last: int) -> tuple[Layout, Tensor]:
    """Documents first to last. Packed ones keep all vectors: their offsets need no host then."""
    if layout.offsets is not None:
        offsets = layout.offsets[first : last + 1]
        return Layout(last - first, layout.length, offsets, layout.mask), vectors
    rows = slice(first * layout.length, last * layout.length)
    mask = None if layout.mask is None else layout.mask[rows]
    return Layout(last - first, layout.length, mask=mask), vectors[rows]


def _keys(scores: Tensor, first: int) -> Tensor:
    """One int64 a score that sorts by score and, among equals, by lower index: all differ.

    The upper half is the score's bits, made to sort as the score does; the lower half counts down.
    """
    bits = (scores + 0.0).view(torch.int32)  # + 0.0 makes -0.0 equal to 0.0
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).to(torch.int64)
    index = torch.arange(first, first + scores.shape[1], device=scores.device)
    return (ordered << 32) | (_LAST - index)


def _scores(keys: Tensor) -> Tensor:
    ordered = (keys >> 32).to(torch.int32)
    return torch.where(ordered < 0, ordered ^ 0x7FFFFFFF, ordered).view(torch.float32)
