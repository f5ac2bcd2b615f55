"""A margin for each pair, as wide as the pair is far apart in the teacher's ranking."""

from __future__ import annotations

from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named
from polyrank.training.losses.sums import Parameter


def rank_gap_hinge(
    scores: Tensor, teacher: Tensor | None, mask: Tensor, margin: float = 0.001
) -> Tensor:
    """max(0, s_j − s_i + (r_j − r_i) · margin) for each pair of which the teacher ranks i above j
    (BRIO: Liu et al. 2022, arXiv 2203.16804, eq. 10; as used in arXiv 2305.17779).

    Args:
        scores: student logits, (B, N).
        teacher: teacher scores, (B, N); only their order counts. Equal scores form no pair, and
            share the mean of their ranks.
        mask: True where a candidate exists, (B, N).
        margin: of one rank. The paper's .001 is for mean log-probabilities; logits take more.

    Returns:
        Scalar: the mean over the pairs of all queries; 0 when the teacher orders none.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("rank_gap_hinge", scores, mask)
    theirs = lists.targets("rank_gap_hinge", teacher, mask)
    r = lists.ranks(theirs, mask)
    gap = r[:, None, :] - r[:, :, None]  # (B, N, N), [i, j]: how far j is below i
    violation = (ours[:, None, :] - ours[:, :, None] + gap * margin).clamp(min=0)
    return lists.mean(violation, lists.better(theirs, mask))


RANK_GAP_HINGE = Named(
    "rank_gap_hinge",
    rank_gap_hinge,
    "a margin for each rank that two candidates are apart",
    "BRIO: Liu et al. 2022, 2203.16804",
    needs_teacher=True,
    parameters={"margin": Parameter(0.001, zero=True)},
)
