"""What the losses share: lists of candidates with padding, and the ranks of a list.

Padding is set to 0 before anything is computed, so that whatever stands there, an infinity too,
reaches neither the value nor the gradient. Half precision is widened: a sigmoid of fp16 is 0 or 1
from about ±12 on, and a sum of exponentials overflows.
"""

from __future__ import annotations

import torch
from torch import Tensor


def student(loss: str, scores: Tensor, mask: Tensor) -> Tensor:
    """The student's scores in fp32 (fp64 stays), 0 where there is padding.

    Args:
        loss: the loss's name, for the message.
        scores: (B, N).
        mask: True where a candidate exists, (B, N).

    Raises:
        ValueError: a mask that is not boolean or not of the scores' shape, or an empty list.
    """
    if mask.dtype != torch.bool or mask.shape != scores.shape or scores.ndim != 2:
        raise ValueError(
            f"{loss} needs scores (B, N) and a boolean mask of the same shape, "
            f"not {tuple(scores.shape)} and {mask.dtype} {tuple(mask.shape)}"
        )
    if not mask.any(dim=1).all():
        raise ValueError(f"{loss} needs a candidate for every query; drop the queries without one")
    return _plain(scores, mask)


def targets(loss: str, teacher: Tensor | None, mask: Tensor) -> Tensor:
    """The teacher's scores, (B, N), in the same form.

    Raises:
        ValueError: when there are none, or not one for each candidate.
    """
    if teacher is None:
        raise ValueError(
            f"{loss} needs teacher scores: 'pos_score' and 'neg_scores' in the rows, or a --teacher"
        )
    if teacher.shape != mask.shape:
        raise ValueError(
            f"{loss} needs a teacher score for each candidate, "
            f"not {tuple(teacher.shape)} for {tuple(mask.shape)}"
        )
    return _plain(teacher, mask)


def negatives(loss: str, mask: Tensor) -> Tensor:
    """Where the negatives are, (B, N-1), the positive being in column 0.

    Raises:
        ValueError: when a query has no positive there, or no negative.
    """
    if not mask[:, 0].all():
        raise ValueError(f"{loss} needs every query's positive in column 0")
    if not mask[:, 1:].any(dim=1).all():
        raise ValueError(f"{loss} needs a negative for every query; drop the queries without one")
    return mask[:, 1:]


def log_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """log softmax over each query's candidates, (B, N); 0 at padding, to be multiplied by 0."""
    logarithms = scores.masked_fill(~mask, float("-inf")).log_softmax(dim=1)
    return logarithms.masked_fill(~mask, 0.0)


def softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """softmax over each query's candidates, (B, N); 0 at padding."""
    return scores.masked_fill(~mask, float("-inf")).softmax(dim=1)


def min_max(scores: Tensor, mask: Tensor) -> Tensor:
    """(s − min) / (max − min) over each query's candidates; all 0 where they are equal."""
    low = scores.masked_fill(~mask, float("inf")).amin(dim=1, keepdim=True)
    high = scores.masked_fill(~mask, float("-inf")).amax(dim=1, keepdim=True)
    equal = high - low < 1e-8
    spread = torch.where(equal, 1.0, high - low)  # no division by ~0, not in the gradient either
    return torch.where(equal | ~mask, 0.0, (scores - low) / spread)


def pairs(mask: Tensor) -> Tensor:
    """Where both i and j exist, (B, N, N)."""
    return mask[:, :, None] & mask[:, None, :]


def better(teacher: Tensor, mask: Tensor) -> Tensor:
    """Where candidate i has a higher score than j, (B, N, N); candidates of equal scores have no
    order."""
    return (teacher[:, :, None] > teacher[:, None, :]) & pairs(mask)


def ranks(scores: Tensor, mask: Tensor) -> Tensor:
    """Ranks from 1, the highest score first, (B, N); candidates of equal scores share the mean of
    their ranks (two at the top have 1.5 each)."""
    above = better(scores, mask).sum(dim=1)
    equal = ((scores[:, :, None] == scores[:, None, :]) & pairs(mask)).sum(dim=1)
    return (1 + above + (equal - 1) / 2).to(scores.dtype)


def mean(values: Tensor, where: Tensor) -> Tensor:
    """Mean of the values there; 0, with a gradient of 0, when there are none."""
    return (values * where).sum() / where.sum().clamp(min=1)


def _plain(values: Tensor, mask: Tensor) -> Tensor:
    wide = values if values.dtype == torch.float64 else values.float()
    return wide.masked_fill(~mask, 0.0)
