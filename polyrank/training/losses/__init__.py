"""Ranking losses, one a file. Each takes scores (B, N), the positive in column 0."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from polyrank.training.losses.info_nce import info_nce
from polyrank.training.losses.margin_mse import margin_mse
from polyrank.training.losses.pointwise import pointwise

LOSSES: dict[str, Callable[[Tensor, Tensor | None, Tensor], Tensor]] = {
    "pointwise": lambda scores, teacher, mask: pointwise(scores, mask),
    "infonce": lambda scores, teacher, mask: info_nce(scores, mask),
    "margin-mse": margin_mse,
}

__all__ = ["LOSSES", "info_nce", "margin_mse", "pointwise"]
