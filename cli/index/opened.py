"""An index with its model, here or on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.errors import UsageError

from ..ray_workers import asks_for_ray

if TYPE_CHECKING:
    from polyrank.index.multivector import Encoder, MultiVectorIndex
    from polyrank.scale_out.pool import RayPool


def open_index(
    folder: Path,
    base: str | None = None,
    ranking: str | None = None,
    device: str | None = None,
    precision: str | None = None,
) -> MultiVectorIndex:
    """An index whose model is loaded when it is needed."""
    from polyrank.index.multivector import MultiVectorIndex

    given = {"base": base, "ranking": ranking, "device": device, "precision": precision}
    chosen: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    return MultiVectorIndex(folder, None, device, chosen)


@contextmanager
def scaled_out(
    local: Encoder, build: Callable[[], Encoder], ray: str | None, workers: int | None
) -> Iterator[Encoder]:
    """The encoder itself, or workers of a Ray cluster that build the same one.

    Raises:
        UsageError: without Ray, or where a worker has another model.
    """
    if not asks_for_ray(ray, workers):
        yield local
        return
    from polyrank.scale_out.indexing import RayEncoder

    with worker_pool(build, local, ray, workers) as pool:
        yield RayEncoder(local, pool)


def worker_pool(build: Callable[[], Any], local: Encoder, ray: str, workers: int | None) -> RayPool:
    """Workers whose encoder, or index, has the local encoder's model and modules."""
    from polyrank.scale_out.pool import pool_of

    expected = local.binding
    device = getattr(getattr(local, "model", None), "device", None)

    def check(made: Any) -> None:
        if changed := expected.differences(getattr(made, "encoder", made).binding):
            raise UsageError(
                "a node of the Ray cluster has a different model from this machine: "
                f"{'; '.join(changed)}.\nInstall the same polyrank and the same zoo on every "
                "node, at the same paths."
            )

    return pool_of(build, check, ray, workers, gpu=getattr(device, "type", "cpu") == "cuda")
