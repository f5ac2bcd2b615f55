"""Every pair on its own: relevant or not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def pointwise(scores: Tensor, mask: Tensor) -> Tensor:
    """Binary cross-entropy per pair, as in monoBERT (Nogueira & Cho 2019, arXiv 1901.04085, eq. 1).

    Args:
        scores: logits, (B, N), the positive in column 0.
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over existing pairs.
    """
    labels = torch.zeros_like(scores)
    labels[:, 0] = 1.0
    return F.binary_cross_entropy_with_logits(scores[mask], labels[mask])
