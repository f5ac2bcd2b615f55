"""Cross-entropy of the positive among its candidates."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def info_nce(scores: Tensor, mask: Tensor) -> Tensor:
    """Listwise softmax cross-entropy (van den Oord et al. 2018, arXiv 1807.03748, eq. 4).

    Args:
        scores: logits, (B, N), the positive in column 0.
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over queries of -log softmax(scores)[0].

    Raises:
        ValueError: when a query has no negative.
    """
    if not mask[:, 1:].any(dim=1).all():
        raise ValueError("info_nce needs a negative for every query; drop the queries without one")
    logits = scores.masked_fill(~mask, float("-inf"))
    return F.cross_entropy(logits, torch.zeros(len(scores), dtype=torch.long, device=scores.device))
