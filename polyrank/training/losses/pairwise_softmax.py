"""The positive against each negative on its own."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named


def pairwise_softmax(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """Softmax cross-entropy over (positive, negative) pairs, as ColBERT is trained
    (Khattab & Zaharia 2020, arXiv 2004.12832, §3.3).

    −log softmax(s⁺, s⁻)₀ = log(1 + exp(s⁻ − s⁺)).

    Args:
        scores: logits, (B, N), the positive in column 0.
        teacher: not used.
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over existing negatives.

    Raises:
        ValueError: when a query has no negative.
    """
    logits = lists.student("pairwise_softmax", scores, mask)
    real = lists.negatives("pairwise_softmax", mask)
    return F.softplus(logits[:, 1:] - logits[:, :1])[real].mean()


PAIRWISE_SOFTMAX = Named(
    "pairwise_softmax",
    pairwise_softmax,
    "the positive against each negative on its own",
    "ColBERT: Khattab & Zaharia 2020, 2004.12832",
)
