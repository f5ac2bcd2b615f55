"""Every pair on its own: relevant or not."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named


def pointwise(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """Binary cross-entropy per pair, as in monoBERT (Nogueira & Cho 2019, arXiv 1901.04085, eq. 1).

    Args:
        scores: logits, (B, N), the positive in column 0.
        teacher: not used.
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over existing pairs.
    """
    logits = lists.student("pointwise", scores, mask)
    labels = torch.zeros_like(logits)
    labels[:, 0] = 1.0
    return F.binary_cross_entropy_with_logits(logits[mask], labels[mask])


def soft_pointwise(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """Binary cross-entropy per pair against soft labels y = σ(teacher) (stage 1 of MemReranker,
    arXiv 2605.06132, which takes Bradley–Terry strengths; their logarithms are the teacher here).

    Args:
        scores: logits, (B, N).
        teacher: logits of the labels, (B, N).
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over existing pairs.

    Raises:
        ValueError: when there are no teacher scores.
    """
    logits = lists.student("soft_pointwise", scores, mask)
    labels = lists.targets("soft_pointwise", teacher, mask).sigmoid()
    return F.binary_cross_entropy_with_logits(logits[mask], labels[mask])


POINTWISE = Named(
    "pointwise",
    pointwise,
    "binary cross-entropy of each pair",
    "Nogueira & Cho 2019, 1901.04085",
)


SOFT_POINTWISE = Named(
    "soft_pointwise",
    soft_pointwise,
    "binary cross-entropy of each pair against σ(teacher)",
    "MemReranker: 2605.06132",
    needs_teacher=True,
)
