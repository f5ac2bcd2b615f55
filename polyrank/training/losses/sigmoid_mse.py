"""Distillation of scores that are probabilities."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named


def sigmoid_mse(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """(σ(s) − t)² of each pair (Prism-Reranker: arXiv 2604.23734, the point-wise part).

    Args:
        scores: logits, (B, N).
        teacher: probabilities of relevance, in [0, 1], (B, N).
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over existing pairs.

    Raises:
        ValueError: when there are no teacher scores, or one is no probability.
    """
    ours = lists.student("sigmoid_mse", scores, mask)
    theirs = lists.targets("sigmoid_mse", teacher, mask)
    if ((theirs < 0) | (theirs > 1)).any():
        raise ValueError(
            "sigmoid_mse needs teacher scores from 0 to 1; 'polyrank train labels --form chances' "
            "makes them"
        )
    return (ours.sigmoid() - theirs)[mask].square().mean()


SIGMOID_MSE = Named(
    "sigmoid_mse",
    sigmoid_mse,
    "squared difference of σ(score) and the teacher's probability",
    "Prism-Reranker: 2604.23734",
    needs_teacher=True,
)
