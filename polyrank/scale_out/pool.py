"""Workers on a Ray cluster, each with a tool of its own. Ray is imported only here, on use.

Work goes out in shards, one at a time to each worker. A worker that dies is started again and gets
its shard once more; what others did or do is not touched.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from polyrank.base import with_zoos_of_here
from polyrank.errors import PolyrankError, UsageError, first_line

S = TypeVar("S")

SHARD = 4  # queries that a worker gets at a time, and that its death costs
RETRIES = 3  # of one shard
PATIENCE = 10.0  # seconds for a cluster to answer
AHEAD = 2  # shards per worker that are sent or kept before the oldest result is needed


class _Result(NamedTuple):
    """What a worker sends back: a value, or the message of an error that the user can mend."""

    value: Any
    error: str | None


class _Worker:
    """A process that builds its tool when its first shard comes, and keeps it."""

    def __init__(self, build: Callable[[], Any], threads: int | None) -> None:
        self._build, self._threads = build, threads
        self._tool: Any = None

    def run(self, function: Callable[[Any, Any], Any], shard: Any) -> _Result:
        try:
            if self._tool is None:
                self._tool = self._build()
                # Ray gives a process one thread a CPU. Sums of floats may depend on that number.
                if self._threads and "torch" in sys.modules:
                    sys.modules["torch"].set_num_threads(self._threads)
            return _Result(function(self._tool, shard), None)
        except PolyrankError as error:  # as a message: a traceback through Ray helps nobody
            return _Result(None, str(error))


class RayPool:
    """Workers on a Ray cluster, each with a tool of its own.

    Args:
        build: makes a worker's tool, in its process; picklable by cloudpickle.
        address: of a Ray cluster (`ray://host:10001`, `host:6379`, `auto`), or 'local' for worker
            processes on this machine. polyrank, and files that `build` reads, must be there on
            every node, at the same paths.
        workers: how many; by default one per GPU if `gpu`, else one per CPU.
        gpu: whether a worker needs a GPU of its own.
        threads: of torch in a worker; those of this process by default.

    Raises:
        UsageError: when Ray is not installed or not reachable, or has fewer CPUs or GPUs.
    """

    def __init__(
        self,
        build: Callable[[], Any],
        address: str = "local",
        workers: int | None = None,
        gpu: bool = False,
        threads: int | None = None,
    ) -> None:
        if workers is not None and workers < 1:
            raise UsageError(f"{workers} workers cannot work; give 1 or more")
        ray = _ray()
        self._started = not ray.is_initialized()
        if self._started:
            _connect(ray, address, workers)
        self.workers = _fitting(ray.cluster_resources(), workers, "GPU" if gpu else "CPU")
        worker = ray.remote(_Worker).options(
            num_cpus=1, num_gpus=int(gpu), max_restarts=-1, max_task_retries=RETRIES
        )
        threads = threads or _threads()
        self._actors = [worker.remote(build, threads) for _ in range(self.workers)]

    def map(self, function: Callable[[Any, S], Any], shards: Iterable[S]) -> Iterator[Any]:
        """`function(tool, shard)` of every shard, in the order of the shards.

        Shards are taken as results are, some per worker ahead, so both may be endless.

        Raises:
            PolyrankError: as the function raised it in a worker; or when a shard's workers died
                time after time.
        """
        from ray.exceptions import RayActorError
        from ray.util import ActorPool

        pool = ActorPool(self._actors)
        todo = iter(shards)

        def submit(count: int) -> None:
            for shard in itertools.islice(todo, count):
                pool.submit(lambda actor, value: actor.run.remote(function, value), shard)

        submit(self.workers * AHEAD)
        while pool.has_next():
            try:
                result = pool.get_next()
            except RayActorError as error:
                raise PolyrankError(
                    f"workers died {RETRIES + 1} times over one shard: memory may have run out. "
                    "Use fewer --ray-workers or smaller batches; what is written can be continued "
                    f"with --resume.\n{first_line(error)}"
                ) from error
            if result.error is not None:
                raise PolyrankError(result.error)
            submit(1)
            yield result.value

    def close(self) -> None:
        """End the workers, and the local Ray if this started it."""
        ray = _ray()
        for actor in self._actors:
            ray.kill(actor)
        if self._started:
            ray.shutdown()

    def __enter__(self) -> RayPool:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def pool_of(
    build: Callable[[], Any],
    check: Callable[[Any], None],
    address: str,
    workers: int | None,
    gpu: bool,
) -> RayPool:
    """Workers that each build their own of what is used here, from the same zoo.

    Args:
        check: raises on a worker where what was built there is another.
    """

    def on_worker() -> Any:
        made = build()
        check(made)
        return made

    return RayPool(with_zoos_of_here(on_worker), address, workers, gpu=gpu)


def _ray() -> Any:
    try:
        import ray
    except ImportError as error:
        raise UsageError(
            f"--ray needs Ray ({error}); install it with:  pip install 'polyrank[ray]'"
        ) from error
    return ray


def _connect(ray: Any, address: str, workers: int | None) -> None:
    """Join a cluster, or start one on this machine."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a local Ray would send statistics home
    quiet = {"log_to_driver": False, "logging_level": "error"}
    if address == "local":
        try:
            ray.init(address="local", num_cpus=workers, include_dashboard=False, **quiet)
        except Exception as error:  # a machine that is too busy gets a bare Exception from Ray
            raise UsageError(
                f"Ray did not start on this machine: {first_line(error)}\n"
                "Try again when it is less busy, or leave out --ray."
            ) from error
        return
    try:
        _knock(address)  # Ray itself takes minutes to find that nobody is there
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"no Ray cluster answers at '{address}': {first_line(error)}\n"
            "Start one with 'ray start --head', or give --ray local."
        ) from error


def _knock(address: str) -> None:
    """Whether anything listens at [ray://]host:port; other addresses are Ray's to find.

    Raises:
        OSError: when nothing does.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=PATIENCE).close()


def _fitting(resources: dict[str, float], workers: int | None, kind: str) -> int:
    """How many workers, given what the cluster has."""
    there = int(resources.get(kind, 0))
    wanted = workers or max(there, 1)
    if wanted > there:
        raise UsageError(
            f"the Ray cluster has {there} {kind}s, one per worker, so {wanted} workers would wait "
            f"for ever; give --ray-workers {there}" + ("" if there else ", or add nodes")
        )
    return wanted


def _threads() -> int | None:
    """Of torch in this process, where it is in use."""
    return sys.modules["torch"].get_num_threads() if "torch" in sys.modules else None
