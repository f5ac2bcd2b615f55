"""Workers of a Ray cluster, which must have what this machine has."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeGuard

from polyrank.errors import UsageError

if TYPE_CHECKING:
    from polyrank.scale_out import RayPool


def asks_for_ray(ray: str | None, workers: int | None) -> TypeGuard[str]:
    """Whether --ray is given.

    Raises:
        UsageError: --ray-workers without it.
    """
    if ray is None and workers is not None:
        raise UsageError("--ray-workers goes with --ray")
    return ray is not None


def pool_of(
    build: Callable[[], Any], check: Callable[[Any], None], ray: str, workers: int | None, gpu: bool
) -> RayPool:
    """Workers that each build their own of what is used here, from the same zoo.

    Args:
        check: raises on a worker where what was built there is another.
    """
    from polyrank.scale_out import RayPool

    zoo = os.environ.get("POLYRANK_ZOO")

    def on_worker() -> Any:
        if zoo is not None:
            os.environ["POLYRANK_ZOO"] = zoo
        made = build()
        check(made)
        return made

    return RayPool(on_worker, ray, workers, gpu=gpu)
