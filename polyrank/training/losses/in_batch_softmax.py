"""The positive among all passages of a batch."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named


def in_batch_softmax(scores: Tensor, targets: Tensor, allowed: Tensor) -> Tensor:
    """Softmax cross-entropy over the passages of all queries (ColBERTv2: Santhanam et al. 2022,
    arXiv 2112.01488, §3.2; ColBERT-XM: arXiv 2402.15059, §3.2).

    Args:
        scores: logits of every query with every passage of the batch, (B, M).
        targets: the column of each query's positive, (B,).
        allowed: True where a passage counts for a query, (B, M): its positive, and passages that
            do not answer it.

    Returns:
        Scalar: the mean over queries.

    Raises:
        ValueError: when a positive is not allowed.
    """
    logits = lists.student("in_batch_softmax", scores, allowed)
    if not allowed.gather(1, targets[:, None]).all():
        raise ValueError("in_batch_softmax needs every query's positive among its passages")
    return -lists.log_softmax(logits, allowed).gather(1, targets[:, None]).mean()


IN_BATCH_SOFTMAX = Named(
    "in_batch_softmax",
    in_batch_softmax,
    "the positive among all passages of a batch (late interaction only)",
    "ColBERTv2: Santhanam et al. 2022, 2112.01488",
    in_batch=True,
)
