"""Distillation of a teacher's ranking, with both score ranges brought to [0, 1]."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.kl import kl
from polyrank.training.losses.named import Named


def min_max_kl(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """KL divergence of min–max-normalised scores (JaColBERTv2.5: Clavié 2024, arXiv 2407.20750,
    §3.3): the sums of MaxSim and a cross-encoder's logits have nothing in common but their order.

    Args:
        scores: student scores, (B, N).
        teacher: teacher scores, (B, N), any scale.
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over queries. A query whose scores are all equal counts as all 0.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("min_max_kl", scores, mask)
    theirs = lists.targets("min_max_kl", teacher, mask)
    return kl(lists.min_max(ours, mask), lists.min_max(theirs, mask), mask)


MIN_MAX_KL = Named(
    "min_max_kl",
    min_max_kl,
    "KL of scores brought to [0, 1] per query",
    "JaColBERTv2.5: Clavié 2024, 2407.20750",
    needs_teacher=True,
)
