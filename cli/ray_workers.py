"""Whether options ask for a Ray cluster."""

from __future__ import annotations

from typing import TypeGuard

from polyrank.errors import UsageError


def asks_for_ray(ray: str | None, workers: int | None) -> TypeGuard[str]:
    """Whether --ray is given.

    Raises:
        UsageError: --ray-workers without it.
    """
    if ray is None and workers is not None:
        raise UsageError("--ray-workers goes with --ray")
    return ray is not None
