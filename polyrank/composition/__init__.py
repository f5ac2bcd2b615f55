"""Which module acts where: a plan, its saved file, and its merge into one checkpoint."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyrank.composition.plan import Composition, compose

__all__ = ["Composition", "compose"]


def __getattr__(name: str) -> Any:
    """Import a name at its first use (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"module 'polyrank.composition' has no attribute {name!r}")
    from polyrank.composition import plan

    return getattr(plan, name)
