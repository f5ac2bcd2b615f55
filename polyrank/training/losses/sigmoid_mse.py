"""Distillation of scores that are probabilities."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named


def sigmoid_mse(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """(σ(s) − σ(t))² of each pair (Prism-Reranker: arXiv 2604.23734, the point-wise part, whose
    teacher gives probabilities; their logits are the teacher here).

    Args:
        scores: logits, (B, N).
        teacher: logits of the probabilities of relevance, (B, N).
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over existing pairs.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("sigmoid_mse", scores, mask)
    theirs = lists.targets("sigmoid_mse", teacher, mask)
    return (ours.sigmoid() - theirs.sigmoid())[mask].square().mean()


SIGMOID_MSE = Named(
    "sigmoid_mse",
    sigmoid_mse,
    "squared difference of σ(score) and σ(teacher)",
    "Prism-Reranker: 2604.23734",
    needs_teacher=True,
)
