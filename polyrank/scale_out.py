"""Scale out with Ray: the same scorer, encoder or index in several processes or machines, the same
results in order.

Work goes out in shards, one at a time to each worker. A worker that dies is started again and gets
its shard once more; what others did or do is not touched. Ray is imported only here, on use.
"""

from __future__ import annotations

import itertools
import os
import socket
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from polyrank.collections.records import Document, Query, Run
from polyrank.errors import PolyrankError, UsageError
from polyrank.notes import Notebook, Notes
from polyrank.rerankers.base import ListReranker, Ranking, Request, Reranker, as_reranker
from polyrank.rerankers.load import RerankerSpec, load_reranker

if TYPE_CHECKING:
    from torch import Tensor

    from polyrank.index.multivector import Encoder, Module, Pruning

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
                    f"with --resume.\n{str(error).splitlines()[0]}"
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


class RayReranker(ListReranker):
    """A reranker whose queries are ranked by the workers of a pool.

    Each query is ranked on its own, as a local reranker does it, so batches, and with the same
    number of threads on the same kind of processor bytes, are those of a local run.

    Args:
        pool: its tool is a reranker.
        identity: of the reranker that the workers build.
        shard: queries that go out at a time.
        reads_first_stage: of that reranker.
    """

    def __init__(
        self,
        pool: RayPool,
        identity: Mapping[str, str] | None = None,
        shard: int = SHARD,
        reads_first_stage: bool = False,
    ) -> None:
        self.pool, self.shard = pool, shard
        self.reads_first_stage = reads_first_stage
        self._identity = dict(identity or {})

    def identity(self) -> Mapping[str, str]:
        """That of the reranker in the workers."""
        return self._identity

    def rank_request(self, request: Request) -> Ranking:
        """The candidates of one query, ranked by one worker."""
        (ranking,) = self.rank_all([request])
        return ranking

    def rank_all(self, requests: Iterable[Request]) -> Iterator[Ranking]:
        """A ranking for each request, in their order."""

        def shards() -> Iterator[list[Request]]:
            todo = iter(requests)
            while shard := list(itertools.islice(todo, self.shard)):
                yield shard

        for rankings in self.pool.map(_rank, shards()):
            yield from rankings


class RayEncoder:
    """An encoder whose shards of documents are encoded by the workers of a pool.

    A shard is encoded whole by one worker, as a local build encodes it, so with the same number of
    threads on the same kind of processor the index has the bytes of a local build.

    Args:
        encoder: the same in this process: it says what the index is bound to, and encodes queries.
        pool: its tool is such an encoder.
    """

    def __init__(self, encoder: Encoder, pool: RayPool) -> None:
        self._encoder, self._pool = encoder, pool
        self.binding = encoder.binding
        self._notebook = Notebook()

    @property
    def notes(self) -> Notes:
        """What the workers assumed or cut so far."""
        return self._notebook.notes

    def languages(self, documents: Sequence[Document]) -> list[str | None]:
        return self._encoder.languages(documents)

    def module(self, language: str | None) -> Module | None:
        return self._encoder.module(language)

    def encode_documents(self, documents: Sequence[Document]) -> list[Tensor]:
        (found,) = self.encode_shards([documents])
        return found

    def encode_queries(
        self, queries: Sequence[Query], document_language: str | None = None
    ) -> list[Tensor]:
        return self._encoder.encode_queries(queries, document_language)

    def encode_shards(self, shards: Iterable[Sequence[Document]]) -> Iterator[list[Tensor]]:
        """Per shard, in order, the token vectors of its documents, rounded to fp16."""
        import torch

        for vectors, lengths, notes in self._pool.map(_encode, shards):
            self._notebook.update(notes)
            yield list(torch.from_numpy(vectors.copy()).split(lengths))


def _encode(encoder: Encoder, shard: Sequence[Document]) -> tuple[Any, list[int], Notes]:
    """In a worker: fp16 vectors of a shard end to end, (T, d), tokens of each, and notes."""
    import torch

    before = _noted(encoder)
    nothing = torch.empty(0, encoder.binding.dim)
    rows = encoder.encode_documents(shard) if shard else []
    together = torch.cat([nothing, *(row.cpu() for row in rows)]).half()
    return together.numpy(), [len(row) for row in rows], _noted(encoder) - before


class RayIndex:
    """An index that the workers of a pool search, each some of the queries.

    Queries are encoded and scored in other batches than by one process, so that scores may differ
    from its scores in the last digits.

    Args:
        pool: its tool is the index, opened in a worker; all nodes see its folder.
        shard: queries that go out at a time.
    """

    def __init__(self, pool: RayPool, shard: int = SHARD) -> None:
        self._pool, self._shard = pool, shard
        self._notebook = Notebook()

    @property
    def notes(self) -> Notes:
        """What the workers assumed or cut so far."""
        return self._notebook.notes

    def search(
        self,
        queries: Iterable[Query],
        depth: int = 100,
        languages: Sequence[str] | None = None,
        pruning: Pruning | None = None,
    ) -> Run:
        """As `MultiVectorIndex.search`.

        Raises:
            PolyrankError: as a worker raised it; also when workers opened different states.
        """
        todo = list(queries)
        shards = [todo[i : i + self._shard] for i in range(0, len(todo), self._shard)]
        found: Run = {}
        states = set()
        for run, generation, notes in self._pool.map(
            _search, [(shard, depth, languages, pruning) for shard in shards]
        ):
            states.add(generation)
            found.update(run)
            self._notebook.update(notes)
        if len(states) > 1:
            raise PolyrankError(
                f"the index was changed while it was searched: workers opened its generations "
                f"{', '.join(map(str, sorted(states)))}.\nSearch again when nobody writes."
            )
        return found


def _search(index: Any, asked: tuple[Any, ...]) -> tuple[Run, int, Notes]:
    """In a worker: the hits of some queries, of which state of the index, and notes."""
    before = _noted(index.encoder)
    return index.search(*asked), index.generation, _noted(index.encoder) - before


def _noted(encoder: Any) -> Notes:
    """What the model of an encoder has noted so far, if it takes notes."""
    return Notes(getattr(getattr(encoder, "model", None), "notes", {}))


@contextmanager
def scaled_out(
    spec: RerankerSpec, reranker: Reranker, address: str | None, workers: int | None
) -> Iterator[Reranker]:
    """The reranker itself, or workers of a Ray cluster that load the same one.

    Args:
        spec: from which the reranker was loaded.
        address: of a Ray cluster, as of `RayPool`; None runs here.

    Raises:
        UsageError: without Ray, or where a worker finds other weights.
    """
    if address is None:
        yield reranker
        return
    expected = dict(reranker.identity())

    def check(loaded: Reranker) -> None:
        if dict(loaded.identity()) != expected:
            raise UsageError(
                "a node of the Ray cluster has another base or other modules than this machine.\n"
                "Install the same polyrank and the same zoo on every node, at the same paths."
            )

    gpu = getattr(getattr(reranker, "device", None), "type", "cpu") == "cuda"
    with pool_of(lambda: load_reranker(spec), check, address, workers, gpu) as pool:
        reads = getattr(reranker, "reads_first_stage", False)
        yield RayReranker(pool, expected, reads_first_stage=reads)


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
    zoo = os.environ.get("POLYRANK_ZOO")

    def on_worker() -> Any:
        if zoo is not None:
            os.environ["POLYRANK_ZOO"] = zoo
        made = build()
        check(made)
        return made

    return RayPool(on_worker, address, workers, gpu=gpu)


def _rank(tool: Any, shard: Sequence[Request]) -> list[Ranking]:
    """In a worker: the rankings of some queries."""
    return list(as_reranker(tool).rank_all(shard))


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
                f"Ray did not start on this machine: {str(error).splitlines()[0]}\n"
                "Try again when it is less busy, or leave out --ray."
            ) from error
        return
    try:
        _knock(address)  # Ray itself takes minutes to find that nobody is there
        ray.init(address=address, **quiet)
    except (OSError, ValueError, RuntimeError) as error:
        raise UsageError(
            f"no Ray cluster answers at '{address}': {str(error).splitlines()[0]}\n"
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
