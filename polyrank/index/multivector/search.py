"""Search over a snapshot: exactly, or by centroids and then exactly among the candidates.

Exact search reads every segment in blocks, so memory does not grow with the index. The pruned one
follows PLAID (Santhanam et al. 2022, arXiv 2205.09707): the documents near a query token's nearest
centroids are candidates, the best of them by centroids alone are scored in full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.index.multivector.query_batch import pad
from polyrank.index.multivector.segment import Numbers, Segment
from polyrank.index.multivector.snapshot import Snapshot
from polyrank.kernels.codecs.compressed import scan
from polyrank.kernels.cpu import native
from polyrank.kernels.cpu.scan import Similarity

TOKENS = 1 << 18  # document tokens scored at once: 64 MB of fp16 at 128 dimensions
QUERIES = 64  # queries scored at once

Hits = list[tuple[int, float]]  # ordinals and scores, best first


@dataclass(frozen=True)
class Pruning:
    """How much of an index is looked at.

    probe: centroids for each query token. It is doubled, for a query whose candidates would be
        fewer than are asked for, so that a filter by language does not empty a ranking.
    candidates: documents that are scored in full.
    """

    probe: int = 8
    candidates: int = 1024

    def __post_init__(self) -> None:
        if self.probe < 1 or self.candidates < 1:
            raise UsageError(
                f"pruning with {self.probe} centroids a token and {self.candidates} candidates "
                "finds nothing; give 1 or more of each"
            )


class Best:
    """The best documents of some queries, as blocks of scores come in; ties by `rank`."""

    def __init__(self, queries: int, depth: int, rank: Numbers) -> None:
        self.depth, self.rank = depth, rank
        self._scores = [np.empty(0, np.float32) for _ in range(queries)]
        self._ordinals = [np.empty(0, np.int64) for _ in range(queries)]

    def add(self, scores: Tensor, ordinals: Numbers) -> None:
        """Take in scores (Q, n) of n more documents."""
        for query, row in enumerate(scores.numpy()):
            self._add(query, row, ordinals)

    def _add(self, query: int, row: NDArray[np.float32], ordinals: Numbers) -> None:
        scores = np.concatenate([self._scores[query], row])
        both = np.concatenate([self._ordinals[query], ordinals])
        if len(scores) > self.depth:
            place = len(scores) - self.depth
            kept = scores >= np.partition(scores, place)[place]  # all that tie with the last
            scores, both = scores[kept], both[kept]
        order = np.lexsort((self.rank[both], -scores))[: self.depth]
        self._scores[query], self._ordinals[query] = scores[order], both[order]

    def hits(self) -> list[Hits]:
        """Per query, best first."""
        return [
            list(zip(ordinals.tolist(), scores.tolist(), strict=True))
            for ordinals, scores in zip(self._ordinals, self._scores, strict=True)
        ]


def blocks(segment: Segment, kept: NDArray[np.bool_], tokens: int = TOKENS) -> Iterator[Numbers]:
    """The kept documents of a segment in runs of about so many tokens, at least one document."""
    numbers = np.flatnonzero(kept)
    ends = np.cumsum(segment.lengths[numbers])
    start = 0
    while start < len(numbers):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + tokens, side="right")))
        yield numbers[start:stop]
        start = stop


def exact(
    snapshot: Snapshot,
    queries: Sequence[Tensor],
    depth: int,
    languages: Sequence[str] | None = None,
    device: torch.device | None = None,
) -> list[Hits]:
    """MaxSim with every document of these languages.

    Args:
        queries: token vectors of each, (n, d).
        languages: None for all.
        device: where blocks are scored.
    """
    device = device or torch.device("cpu")
    found: list[Hits] = []
    for start in range(0, len(queries), QUERIES):
        some = pad(list(queries[start : start + QUERIES]))
        best = Best(len(some.vectors), depth, snapshot.rank)
        for first, segment in zip(snapshot.starts, snapshot.segments, strict=False):
            for numbers in blocks(segment, segment.kept(languages)):
                best.add(segment.score(some, numbers, device), numbers + first)
        found += best.hits()
    return found


def pruned(
    snapshot: Snapshot,
    queries: Sequence[Tensor],
    depth: int,
    pruning: Pruning,
    languages: Sequence[str] | None = None,
    device: torch.device | None = None,
) -> list[Hits]:
    """MaxSim with the documents that are near by their centroids. Arguments as of `exact`.

    Raises:
        UsageError: an index without centroids.
    """
    if snapshot.codebook.centroids is None:
        raise UsageError(
            f"the index '{snapshot.folder}' has no centroids, so it is searched exactly.\n"
            "Leave out --probe, or build it with --centroids or a residual codec."
        )
    kept = [segment.kept(languages) for segment in snapshot.segments]
    return [_pruned(snapshot, query.cpu(), depth, pruning, kept, device) for query in queries]


def _pruned(
    snapshot: Snapshot,
    query: Tensor,
    depth: int,
    pruning: Pruning,
    kept: Sequence[NDArray[np.bool_]],
    device: torch.device | None,
) -> Hits:
    wanted = min(depth, sum(int(k.sum()) for k in kept))
    asked = pad([query])
    near = _candidates(snapshot, query, max(pruning.candidates, depth), wanted, pruning.probe, kept)
    best = Best(1, depth, snapshot.rank)
    for s, numbers in near.items():
        scores = snapshot.segments[s].score(asked, numbers, device or torch.device("cpu"))
        best.add(scores, numbers + snapshot.starts[s])
    return best.hits()[0]


def _candidates(
    snapshot: Snapshot,
    query: Tensor,
    count: int,
    wanted: int,
    probe: int,
    kept: Sequence[NDArray[np.bool_]],
) -> dict[int, Numbers]:
    """The `count` best documents by their centroids, of those near the query: segment → numbers."""
    assert snapshot.codebook.centroids is not None
    table = snapshot.codebook.centroids.float() @ query.float().t()  # (K, Lq)
    nearness = table.t().contiguous()  # in rows, where the greatest are found many times as fast
    while True:
        probe = min(probe, len(table))
        probed = nearness.topk(probe).indices.unique().numpy()
        near = [
            numbers[alive[numbers]]
            for segment, alive in zip(snapshot.segments, kept, strict=True)
            for numbers in [segment.with_centroids(probed)]
        ]
        if sum(map(len, near)) >= wanted or probe == len(table):
            break
        probe *= 2
    best = Best(1, count, snapshot.rank)
    for first, segment, numbers in zip(snapshot.starts, snapshot.segments, near, strict=False):
        if len(numbers):
            best.add(_by_centroids(segment, query, table, numbers), numbers + first)
    return snapshot.split(ordinal for ordinal, _ in best.hits()[0])


def _by_centroids(segment: Segment, query: Tensor, table: Tensor, numbers: Numbers) -> Tensor:
    """MaxSim as if every token were its centroid: (1, len(numbers))."""
    if native.takes(query, table):
        offsets, picked = torch.from_numpy(segment.offsets), torch.from_numpy(numbers)
        return native.by_table(table, segment.arrays["codes"], offsets, picked)[None]
    arrays, offsets = segment.take(numbers, ["codes"])

    def prepare(columns: Tensor) -> Callable[[], Similarity]:  # one query: those of the table
        return lambda: lambda rows, count: table[arrays["codes"][rows].long()]

    return scan(query[None], offsets, None, prepare)
