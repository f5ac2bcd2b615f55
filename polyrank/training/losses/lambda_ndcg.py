"""LambdaLoss for nDCG: each pair by what its exchange would cost."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from polyrank.training.losses import lists
from polyrank.training.losses.named import Named
from polyrank.training.losses.sums import Parameter


def lambda_ndcg(
    scores: Tensor,
    teacher: Tensor | None,
    mask: Tensor,
    grades: float = 3.0,
    mu: float = 10.0,
) -> Tensor:
    """NDCG-Loss2++ (LambdaLoss: Wang et al. 2018, CIKM, eq. 12 to 14).

    Σ over pairs with y_i > y_j of (ρ_ij + μ·δ_ij) · |G_i − G_j| · log2(1 + exp(s_j − s_i)), where
    ρ_ij = |1/D(π_i) − 1/D(π_j)|, δ_ij = |1/D(|π_i−π_j|) − 1/D(|π_i−π_j|+1)|, D(x) = log2(1 + x),
    G = (2^y − 1) / maxDCG, and π are the student's present ranks, without a gradient.

    Args:
        scores: student logits, (B, N).
        teacher: teacher scores or grades, (B, N). Each query's are stretched to 0 … `grades`, so
            that logits are grades too; grades 0 … 3 with both ends present stay as they are.
        mask: True where a candidate exists, (B, N).
        grades: of the teacher's best; 3 is TREC's scale.
        mu: weight of δ; 0 is LambdaRank.

    Returns:
        Scalar: the mean over queries of the sum over pairs. Candidates of equal logits share the
        mean of their ranks, and count as one place apart.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("lambda_ndcg", scores, mask)
    theirs = lists.targets("lambda_ndcg", teacher, mask)
    y = lists.min_max(theirs, mask) * grades
    raw = torch.exp2(y) - 1  # (B, N), 0 at padding
    ideal = raw.sort(dim=1, descending=True).values
    place = torch.arange(1, mask.shape[1] + 1, device=mask.device)
    most = (ideal / torch.log2(1 + place)).sum(dim=1, keepdim=True)  # maxDCG
    gain = raw / most.clamp(min=1e-8)  # all equal: nothing to gain
    rank = lists.ranks(ours.detach(), mask).clamp(min=1)
    discount = 1 / torch.log2(1 + rank)
    apart = (rank[:, :, None] - rank[:, None, :]).abs().clamp(min=1)
    delta = 1 / torch.log2(1 + apart) - 1 / torch.log2(2 + apart)
    rho = (discount[:, :, None] - discount[:, None, :]).abs()
    weight = (rho + mu * delta) * (gain[:, :, None] - gain[:, None, :]).abs()
    disorder = F.softplus(ours[:, None, :] - ours[:, :, None]) / math.log(2)
    return (weight * disorder * lists.better(theirs, mask)).sum(dim=(1, 2)).mean()


LAMBDA_NDCG = Named(
    "lambda_ndcg",
    lambda_ndcg,
    "pairs weighted by what their exchange costs in nDCG",
    "LambdaLoss: Wang et al. 2018, CIKM",
    needs_teacher=True,
    parameters={"grades": Parameter(3.0), "mu": Parameter(10.0, zero=True)},
)
