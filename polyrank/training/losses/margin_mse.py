"""Distillation of a teacher's margins."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named


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
    ours = lists.student("margin_mse", scores, mask)
    theirs = lists.targets("margin_mse", teacher, mask)
    real = lists.negatives("margin_mse", mask)
    margins = ours[:, :1] - ours[:, 1:]  # (B, N-1)
    expected = theirs[:, :1] - theirs[:, 1:]
    return (margins - expected)[real].square().mean()


MARGIN_MSE = Named(
    "margin_mse",
    margin_mse,
    "the teacher's margins between the positive and each negative",
    "Hofstätter et al. 2020, 2010.02666",
    needs_teacher=True,
)
