"""The vector of a text out of its tokens' hidden states."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from polyrank.errors import UsageError


def mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Over live tokens: (B, L, H) and (B, L) → (B, H)."""
    weights = mask.unsqueeze(-1).float()  # (B, L, 1)
    return (hidden * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)


def first(hidden: Tensor, mask: Tensor) -> Tensor:
    """The first token's state, such as [CLS]'s."""
    return hidden[:, 0]


def last(hidden: Tensor, mask: Tensor) -> Tensor:
    """The last live token's state, as decoders are pooled; padding stands on the right."""
    return hidden[torch.arange(len(hidden), device=hidden.device), mask.sum(dim=1) - 1]


POOLINGS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": mean,
    "first": first,
    "last": last,
}


def pooled(hidden: Tensor, mask: Tensor, pooling: str = "mean") -> Tensor:
    """One vector a text, not normalised: (B, L, H) and (B, L) → (B, H).

    Args:
        hidden: states, of which those of padding are ignored.
        mask: 1 at a text's own tokens.
        pooling: a name in POOLINGS.

    Raises:
        UsageError: another name.
    """
    if pooling not in POOLINGS:
        raise UsageError(f"unknown pooling {pooling!r}; choose {', '.join(POOLINGS)}")
    return POOLINGS[pooling](hidden, mask)
