"""A reranker whose queries are ranked by the workers of a pool, with the results of a local one."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from polyrank.errors import UsageError
from polyrank.rerankers.base import ListReranker, Ranking, Request, Reranker, as_reranker
from polyrank.rerankers.load import RerankerSpec, load_reranker
from polyrank.scale_out.pool import SHARD, RayPool, pool_of


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


def _rank(tool: Any, shard: Sequence[Request]) -> list[Ranking]:
    """In a worker: the rankings of some queries."""
    return list(as_reranker(tool).rank_all(shard))
