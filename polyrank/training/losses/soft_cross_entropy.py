"""Cross-entropy against a teacher's distribution."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named
from polyrank.training.losses.sums import Parameter


def soft_cross_entropy(
    scores: Tensor, teacher: Tensor | None, mask: Tensor, temperature: float = 2.0
) -> Tensor:
    """−Σ softmax(teacher / T) · log softmax(scores / T), as BiStil distils a task (Ansell et al.
    2023, arXiv 2306.01709, phase 2): T = 2, and no factor T², unlike `kl`.

    Args:
        scores: student logits, (B, N).
        teacher: teacher scores, (B, N).
        mask: True where a candidate exists, (B, N).
        temperature: T.

    Returns:
        Scalar: the mean over queries.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("soft_cross_entropy", scores, mask) / temperature
    theirs = lists.targets("soft_cross_entropy", teacher, mask) / temperature
    return -(lists.softmax(theirs, mask) * lists.log_softmax(ours, mask)).sum(dim=1).mean()


SOFT_CROSS_ENTROPY = Named(
    "soft_cross_entropy",
    soft_cross_entropy,
    "cross-entropy against the teacher's softmax at T, without T²",
    "BiStil: Ansell et al. 2023, 2306.01709",
    needs_teacher=True,
    parameters={"temperature": Parameter(2.0)},
)
