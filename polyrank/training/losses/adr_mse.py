"""ADR-MSE: the student's approximate ranks at the teacher's ranks."""

from __future__ import annotations

import torch
from torch import Tensor

from polyrank.training.losses import lists
from polyrank.training.losses.named import TEMPERATURE, Named


def adr_mse(
    scores: Tensor, teacher: Tensor | None, mask: Tensor, temperature: float = 1.0
) -> Tensor:
    """Approximate discounted rank MSE (Rank-DistiLLM: Schlatt et al. 2024, arXiv 2405.07920, §3;
    compared in arXiv 2603.03010).

    r̂_i = 1 + Σ_{j≠i} σ((s_j − s_i) / T), and (r̂_i − r_i)² / log2(r_i + 1).

    Args:
        scores: student logits, (B, N).
        teacher: teacher scores, (B, N); only their order counts. Equal scores share the mean of
            their ranks, which is what r̂ of equal logits is too.
        mask: True where a candidate exists, (B, N).
        temperature: T; the nearer to 0, the nearer r̂ to ranks, and the smaller its gradient.

    Returns:
        Scalar: the mean over the candidates of all queries.

    Raises:
        ValueError: when there are no teacher scores.
    """
    ours = lists.student("adr_mse", scores, mask)
    r = lists.ranks(lists.targets("adr_mse", teacher, mask), mask)
    others = lists.pairs(mask) & ~torch.eye(mask.shape[1], dtype=torch.bool, device=mask.device)
    above = ((ours[:, None, :] - ours[:, :, None]) / temperature).sigmoid()  # [i, j]: j above i
    approximate = 1 + (above * others).sum(dim=2)  # (B, N)
    return lists.mean((approximate - r).square() / torch.log2(r.clamp(min=1) + 1), mask)


ADR_MSE = Named(
    "adr_mse",
    adr_mse,
    "approximate ranks at the teacher's ranks, the top counting most",
    "Rank-DistiLLM: Schlatt et al. 2024, 2405.07920",
    needs_teacher=True,
    parameters=TEMPERATURE,
)
