"""Distillation of a teacher's margins."""

from __future__ import annotations

from torch import Tensor


def margin_mse(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """Margin-MSE distillation (Hofstätter et al. 2020, arXiv 2010.02666, eq. 5).

    The student matches the teacher's margins between the positive and each negative, not its
    scores, so teachers and students of different score ranges can be paired.

    Args:
        scores: student logits, (B, N), the positive in column 0.
        teacher: teacher scores, (B, N), any scale.
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over existing negatives.

    Raises:
        ValueError: when a query has no negative, or there are no teacher scores.
    """
    if teacher is None:
        raise ValueError(
            "margin_mse needs teacher scores: 'pos_score' and 'neg_scores' in the rows"
        )
    margins = scores[:, :1] - scores[:, 1:]  # (B, N-1)
    targets = teacher[:, :1] - teacher[:, 1:]
    real = mask[:, 1:]
    if not real.any(dim=1).all():
        raise ValueError(
            "margin_mse needs a negative for every query; drop the queries without one"
        )
    return (margins - targets)[real].square().mean()
