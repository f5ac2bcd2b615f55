"""The teacher's order of the negatives that the student finds hardest."""

from __future__ import annotations

import math

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.list_mle import places
from polyrank.training.losses.named import TEMPERATURE, Named
from polyrank.training.losses.sums import Parameter


def partial_ranking(
    scores: Tensor,
    teacher: Tensor | None,
    mask: Tensor,
    top: int = 8,
    temperature: float = 1.0,
    within: float = math.inf,
) -> Tensor:
    """Contrastive partial ranking distillation, after Chen et al. 2024 (CVPR, arXiv 2407.07479):
    rebuilt from the paper's description, as its code was not at hand.

    The student's `top` hardest negatives are put in the teacher's order; each is to win against
    those below it and against the easy ones, which have no order among them:
    −log exp(s_k/T) / (exp(s_k/T) + Σ_{j below k} exp(s_j/T) + Σ_{easy} exp(s/T)). This is ListMLE
    over the hard negatives with the easy ones as its tail. Only the order counts. The positive is
    not part of it: add InfoNCE, as in infonce+partial_ranking.

    Args:
        scores: student logits, (B, N), the positive in column 0.
        teacher: teacher scores, (B, N); equal scores as in `list_mle`.
        mask: True where a candidate exists, (B, N).
        top: how many of the student's first negatives are hard.
        temperature: T.
        within: a hard negative that the teacher puts further than this below the positive is
            implausible, and counts as an easy one.

    Returns:
        Scalar: the mean over the hard negatives of all queries.

    Raises:
        ValueError: when a query has no negative, or there are no teacher scores.
    """
    ours = lists.student("partial_ranking", scores, mask)
    theirs = lists.targets("partial_ranking", teacher, mask)
    real = lists.negatives("partial_ranking", mask)
    ours, wrong = ours[:, 1:] / temperature, theirs[:, 1:]
    harder = lists.better(ours.detach(), real).sum(dim=1)  # (B, N-1): how many score higher
    hard = real & (harder < top) & (theirs[:, :1] - wrong <= within)
    easy = ours.masked_fill(~real | hard, -math.inf)
    return lists.mean(places(ours, wrong, hard, easy), hard)


PARTIAL_RANKING = Named(
    "partial_ranking",
    partial_ranking,
    "the teacher's order of the student's `top` hardest negatives (add infonce)",
    "after CPRD: 2407.07479",
    needs_teacher=True,
    parameters={
        "top": Parameter(8, whole=True),
        **TEMPERATURE,
        "within": Parameter(math.inf),
    },
)
