"""The same application under Ray Serve: replicas on one machine or several, behind one address.

Each replica holds its own models and its own queue, so that batches are as full as on one machine.
Ray is imported only here, on use.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polyrank.base import with_zoos_of_here
from polyrank.errors import UsageError
from polyrank.server.settings import Settings

ONGOING = 256  # requests that a replica holds at once; its queue makes batches of them


def application(
    models: Mapping[str, Any],
    indexes: Mapping[str, str | Path] | None = None,
    options: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
    replicas: int = 1,
    cpus: float = 1,
    gpus: float = 0,
    calibrations: Mapping[str, str | Path] | None = None,
) -> Any:
    """A Ray Serve application that answers as `polyrank serve` does.

    Args:
        models: name → what `load_reranker` takes; the first is the default. Files must be at the
            same paths on every machine of the cluster.
        indexes: name → folder.
        options: fields of `RerankerSpec` for all models.
        settings: limits and keys, of each replica.
        replicas: how many there are.
        cpus, gpus: that a replica takes; with GPUs give options={"device": "cuda"}.
        calibrations: model → its file.

    Returns:
        What `ray.serve.run` and, as the name of a module's variable, `serve run` take.

    Raises:
        UsageError: Ray Serve is not installed.

    Example:
        app = application({"e5-small": "e5-small"}, replicas=2)   # serve run my_module:app
    """
    serve = _ray_serve()
    files = {name: Path(path) for name, path in (calibrations or {}).items()}

    def build() -> Any:
        from polyrank.server.app import create_app
        from polyrank.server.models import Shelf
        from polyrank.server.run import loaded
        from polyrank.server.service import Service

        shelf, own = Shelf(), dict(options or {})
        served = loaded(shelf, models, own, files)
        opened = {
            name: shelf.index(Path(folder), own.get("device"))
            for name, folder in (indexes or {}).items()
        }
        return create_app(Service(served, opened, settings))

    actor = {"num_cpus": cpus, "num_gpus": gpus}
    deployed = serve.deployment(
        name="polyrank",
        num_replicas=replicas,
        max_ongoing_requests=ONGOING,
        ray_actor_options=actor,
    )
    return deployed(serve.ingress(with_zoos_of_here(build))()).bind()


def _ray_serve() -> Any:
    try:
        from ray import serve
    except ImportError as error:
        raise UsageError(
            f"this needs Ray Serve ({error}); install it with:  pip install 'polyrank[ray-serve]'"
        ) from error
    return serve
