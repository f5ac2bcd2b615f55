"""The gradient of MaxSim from the winners: weighted sums of rows, in a fixed order.

Query token i won document n's token j with weight g = ∂loss/∂score. Hence

    ∂q_i = Σ_n g · d_j        a sum over the columns of the winners
    ∂d_j = Σ_(i, n → j) g · q_i     a sum over a list per document token, made by one stable sort

so that no similarity is stored, no atomic addition is needed, and the same bits come every run.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from polyrank.kernels.contract import Problem

# (rows (T, d), index (K,), weight (K,), ends (B + 1,)) -> (B, d): Σ weight[k] · rows[index[k]]
WeightedSum = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]


def weighted_sum(rows: Tensor, index: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """Bag b is Σ weight[k] · rows[index[k]] over k from ends[b] to ends[b + 1], in that order."""
    return F.embedding_bag(
        index,
        rows.to(weight.dtype),
        ends,
        mode="sum",
        per_sample_weights=weight,
        include_last_offset=True,
    )


def backward(
    gradient: Tensor,
    queries: Tensor,
    documents: Tensor,
    winners: Tensor,
    problem: Problem,
    needs: tuple[bool, bool],
    sums: WeightedSum = weighted_sum,
) -> tuple[Tensor | None, Tensor | None]:
    """∂queries (Tq, d) and ∂documents (Td, d), each only if needed, from gradient (Q, N).

    Args:
        winners: of `forward`, (Tq, N).
        sums: how the weighted sums are taken.
    """
    if not queries.numel() or not documents.numel():  # nobody won anything
        return nothing(queries, documents, needs)
    token_query = problem.queries.text_of_row(len(queries), queries.device)  # (Tq,)
    starts = problem.documents.starts(documents.device)
    columns = torch.arange(problem.columns, device=documents.device)
    if problem.own:
        met = starts[token_query[:, None] * problem.columns + columns]  # (Tq, N)
    else:
        met = starts[columns]
    lost = winners < 0
    rows = torch.where(lost, -1, met + winners)  # (Tq, N), rows of documents
    weight = gradient[token_query].masked_fill(lost, 0)  # an empty document's gradient stays out
    ends = torch.arange(len(queries) + 1, device=rows.device) * problem.columns
    query_gradient = document_gradient = None
    if needs[0]:
        # What did not win weighs 0, over a row that did: 0 times a masked NaN would be NaN.
        some = rows.amax(1, keepdim=True) if problem.columns else rows.new_full((len(rows), 1), -1)
        index = torch.where(lost, some, rows).clamp(min=0)
        query_gradient = sums(documents, index.flatten(), weight.flatten(), ends)
        query_gradient = query_gradient.masked_fill(some < 0, 0)
    if needs[1]:
        # Stable: the winners of one document token stay in the order of the query tokens. Bag 0
        # collects those without a winner.
        keys = (rows.flatten() + 1).int() if len(documents) < 2**31 - 1 else rows.flatten() + 1
        won, order = keys.sort(stable=True)
        bags = torch.arange(len(documents) + 2, device=rows.device, dtype=won.dtype)
        ends = torch.searchsorted(won, bags)
        index = order // max(problem.columns, 1)
        document_gradient = sums(queries, index, weight.flatten()[order], ends)[1:]
    return query_gradient, document_gradient


def nothing(
    queries: Tensor, documents: Tensor, needs: tuple[bool, bool]
) -> tuple[Tensor | None, Tensor | None]:
    """The gradients where no token won anything."""
    return (
        torch.zeros_like(queries) if needs[0] else None,
        torch.zeros_like(documents) if needs[1] else None,
    )
