"""ListNet: which candidate is first, by the teacher and by the student."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named


def list_net(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """Cross-entropy of the top-one probabilities (Cao et al. 2007, ICML, eq. 5).

    −Σ softmax(teacher) · log softmax(scores), which is `soft_cross_entropy` with T = 1. Each
    softmax is taken once, of raw scores.

    Args:
        scores: student logits, (B, N).
        teacher: teacher scores or grades, (B, N), not probabilities.
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over queries.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("listnet", scores, mask)
    theirs = lists.targets("listnet", teacher, mask)
    return -(lists.softmax(theirs, mask) * lists.log_softmax(ours, mask)).sum(dim=1).mean()


LIST_NET = Named(
    "listnet",
    list_net,
    "cross-entropy of the top-one probabilities",
    "Cao et al. 2007, ICML",
    needs_teacher=True,
)
