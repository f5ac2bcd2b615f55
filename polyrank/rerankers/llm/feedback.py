"""Relevance feedback (FIRST, arXiv 2406.15657): the reranked list moves the dense query.

The query's vector q is moved so that its scores s_i = q · d_i take the order of the reranker, by
steps down the gradient of the weighted RankNet loss over pairs where the reranker puts i above j,
ranks r from 1:

    L(q) = mean over pairs of  1 / (r_i + r_j) · log(1 + exp((s_j − s_i) / τ))
    ∂L/∂q = mean of  1 / (r_i + r_j) · σ((s_j − s_i) / τ) · (d_j − d_i) / τ

A second search with the moved vector finds what the first missed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from polyrank.errors import UsageError

Vector = npt.NDArray[np.floating[Any]]


def move_query(
    query: Vector,
    documents: Vector,
    order: Sequence[int] | None = None,
    steps: int = 100,
    rate: float = 0.1,
    temperature: float = 0.05,
    unit: bool = True,
) -> Vector:
    """The query's vector after feedback.

    Args:
        query: (D,).
        documents: (N, D), the vectors of the reranked documents.
        order: rows of `documents` best first; by default they are in that order.
        steps: down the gradient; 0 gives the query back.
        rate: of one step.
        temperature: τ, to bring cosines to the scale of logits.
        unit: keep vectors of length 1 at length 1.

    Raises:
        UsageError: shapes that do not fit.
    """
    if documents.ndim != 2 or query.shape != documents.shape[1:]:
        raise UsageError(
            f"a query of shape {query.shape} does not fit documents of shape {documents.shape}"
        )
    rows = documents[list(order)] if order is not None else documents
    moved = query.astype(np.float64)
    for _ in range(steps):
        moved = moved - rate * ranknet_gradient(moved, rows, temperature)
        if unit:
            moved /= np.linalg.norm(moved)
    result: Vector = moved.astype(query.dtype)
    return result


def ranknet_gradient(query: Vector, documents: Vector, temperature: float = 1.0) -> Vector:
    """∂L/∂q for documents that are best first."""
    above, below = np.triu_indices(len(documents), k=1)
    if not len(above):
        return np.zeros_like(query)
    scores = documents @ query / temperature
    weights = 1.0 / (above + below + 2)  # ranks from 1
    slopes = weights / (1.0 + np.exp(np.clip(scores[above] - scores[below], -60, 60)))
    gradient: Vector = (slopes[:, None] * (documents[below] - documents[above])).mean(axis=0)
    return gradient / temperature


def search_again(
    query: Vector,
    hits: Sequence[str],
    vectors_of: Callable[[Sequence[str]], Vector],
    search: Callable[[Vector], Any],
    **options: Any,
) -> Any:
    """A second search after feedback.

    Args:
        query: the vector of the first search.
        hits: ids of the reranked documents, best first.
        vectors_of: of documents by their ids, (N, D).
        search: what finds documents for a vector.
        options: of `move_query`.
    """
    return search(move_query(query, vectors_of(hits), **options))
