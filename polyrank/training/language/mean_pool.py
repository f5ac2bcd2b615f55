"""The vector of a sentence."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def mean_pool(hidden: Tensor, mask: Tensor) -> Tensor:
    """L2-normalised mean over real tokens: (B, L, H), (B, L) → (B, H)."""
    weight = mask.unsqueeze(-1).to(hidden.dtype)
    return F.normalize((hidden * weight).sum(1).float() / weight.sum(1).clamp_min(1), dim=-1)
