"""RankNet: each pair that the teacher orders, in that order."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named


def rank_net(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """log(1 + exp(s_j − s_i)) for each pair of which the teacher ranks i above j (Burges et al.
    2005, ICML, eq. 3; as a distillation loss: arXiv 2603.03010). There is no temperature.

    Args:
        scores: student logits, (B, N).
        teacher: teacher scores, (B, N); only their order counts. Equal scores form no pair.
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over the pairs of all queries; 0 when the teacher orders none.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("ranknet", scores, mask)
    order = lists.better(lists.targets("ranknet", teacher, mask), mask)  # (B, N, N)
    return lists.mean(_disorder(ours), order)


def weighted_rank_net(scores: Tensor, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """RankNet with each pair weighted by 1 / (r_i + r_j), r the teacher's ranks from 1, so that the
    top counts most (FIRST: Gangi Reddy et al. 2024, arXiv 2406.15657, eq. 3).

    Args:
        scores: student logits, (B, N).
        teacher: teacher scores, (B, N); only their order counts. Equal scores form no pair, and
            share the mean of their ranks.
        mask: True where a candidate exists, (B, N).

    Returns:
        Scalar: the mean over the pairs of all queries; 0 when the teacher orders none.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("weighted_ranknet", scores, mask)
    theirs = lists.targets("weighted_ranknet", teacher, mask)
    r = lists.ranks(theirs, mask)  # (B, N)
    return lists.mean(_disorder(ours) / (r[:, :, None] + r[:, None, :]), lists.better(theirs, mask))


def _disorder(scores: Tensor) -> Tensor:
    """log(1 + exp(s_j − s_i)) at [i, j], (B, N, N)."""
    return F.softplus(scores[:, None, :] - scores[:, :, None])


RANK_NET = Named(
    "ranknet",
    rank_net,
    "each pair in the teacher's order",
    "Burges et al. 2005, ICML; 2603.03010",
    needs_teacher=True,
)


WEIGHTED_RANK_NET = Named(
    "weighted_ranknet",
    weighted_rank_net,
    "RankNet with pairs weighted by 1 / (r_i + r_j)",
    "FIRST: Gangi Reddy et al. 2024, 2406.15657",
    needs_teacher=True,
)
