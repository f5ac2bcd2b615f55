"""What every training asks of its options before it computes anything."""

from __future__ import annotations

from polyrank.base import Base
from polyrank.errors import UsageError


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
