"""What every training asks of its options before it computes anything."""

from __future__ import annotations

import math
from dataclasses import fields, is_dataclass
from typing import Any

from polyrank.base import Base
from polyrank.errors import UsageError

LEAST = {  # the smallest value of a recipe's number; of others any number will do
    **dict.fromkeys(("steps", "full_steps", "batch_size", "batch_queries", "accumulate"), 1),
    **dict.fromkeys(("negatives", "mine", "held_out", "chunk", "augment_to", "seed"), 0),
    **dict.fromkeys(("length", "query_length", "document_length", "train_length"), 8),
    **dict.fromkeys(("reduction", "factor", "dim", "document_tokens", "alpha", "tokens"), 1),
    **dict.fromkeys(("rank", "dropout", "generation", "beta", "l1", "orthogonality"), 0),
}
ABOVE_ZERO = ("rate", "temperature")


def check_numbers(recipe: Any) -> None:
    """Refuse numbers of a recipe, and of what it holds, that no training can use.

    Raises:
        UsageError: one that is not finite, or too small; it names it.
    """
    for each in fields(recipe):
        name, value = each.name, getattr(recipe, each.name)
        if is_dataclass(value):
            check_numbers(value)
        if not isinstance(value, int | float):
            continue
        if isinstance(value, float) and not math.isfinite(value):
            raise UsageError(f"{name} is {value}; give a finite number")
        if name in ABOVE_ZERO and value <= 0:
            raise UsageError(f"{name} is {value}; give a number above 0")
        if value < LEAST.get(name, value):
            raise UsageError(f"{name} is {value}; give {LEAST[name]} or more")


def check_name(name: str) -> None:
    """Raise UsageError for an output folder whose name no adapter can have."""
    if not name or "." in name:
        raise UsageError(
            f"the last part of --output names the module, and {name!r} holds a dot or is empty; "
            "give a plain word, such as modules/ky"
        )


def check_length(length: int, base: Base, option: str = "--length", reserved: int = 0) -> None:
    """Raise UsageError for sequences longer than the base's positions.

    Args:
        reserved: positions that are taken by other tokens.
    """
    from polyrank.encoders.tokens import position_limit

    longest = position_limit(base.model.config) - reserved
    if length > longest:
        beside = f" beside {reserved} tokens of its own" if reserved else ""
        raise UsageError(
            f"{option} {length} is more than the base '{base.name}' reads{beside}: {longest}"
        )


def check_mask_token(base: Base) -> None:
    """Raise UsageError for a base whose tokenizer cannot hide tokens."""
    if base.tokenizer.mask_token_id is None:
        raise UsageError(
            f"the tokenizer of the base '{base.name}' has no mask token, so no tokens can be "
            "hidden; align to sentence pairs alone: --loss align"
        )
