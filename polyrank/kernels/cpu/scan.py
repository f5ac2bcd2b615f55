"""Queries against documents a block at a time, on threads: all codecs' way by PyTorch on a CPU.

A codec says what the similarities of some document rows are. Here the rows are chosen, the best of
each document found and summed. A block is small enough that its similarities stay in the core's
cache, and memory is bounded whatever the corpus. Blocks are the same for any number of threads, and
so are the bits of the scores.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import sub

import torch
from torch import Tensor

from polyrank.kernels.contract import Layout, Problem
from polyrank.kernels.cpu import segments
from polyrank.kernels.cpu.product import workspace
from polyrank.kernels.cpu.segments import Runs
from polyrank.kernels.cpu.threads import each

BLOCK = 1 << 19  # similarities of one block: 2 MB in fp32
COPIED_ROWS = 1 << 14  # document rows of one block where they are copied
QUERY_ROWS = 1024  # query tokens of one block
SHARED = 1 << 20  # similarities from which threads share the work: a millisecond or more
SHARES = 8  # into so many blocks at least, where each then has SHARED similarities
DENSE = 0.75  # live rows of a block from which dead ones are multiplied, too, rather than left out

Rows = slice | Tensor  # of the flat matrix of document tokens
# Rows, how many -> their similarities with a piece's query tokens, (rows, R), to be overwritten
Similarity = Callable[[Rows, int], Tensor]
# The query tokens of a piece (R, d) -> what gives similarities with them, for one thread at a time
Prepare = Callable[[Tensor], Similarity]


@dataclass(frozen=True)
class Piece:
    """Some queries against some of the documents that they meet.

    queries: which, first to last. rows: those of their tokens. tokens: (R, d). documents: first and
    last. offset: the document of column 0.
    """

    queries: slice
    rows: slice
    tokens: Tensor
    documents: tuple[int, int]
    offset: int


@dataclass(frozen=True)
class Block:
    """The rows of a piece's documents. rows, count: those to multiply. runs: whose they are.
    alive: which rows can win, counted from the block's first; None: all."""

    rows: Rows
    count: int
    runs: Runs
    alive: Tensor | None


def scan(
    queries: Tensor,
    problem: Problem,
    worker: Callable[[], Prepare],
    argmax: bool = False,
    copied: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Scores (Q, N), and the winning token of each query token and column, int32 (Tq, N).

    A winner is a position in its document; -1 where there is none: a masked query token, an empty
    document, a masked document token that won under the zero rule.

    Args:
        queries: (Tq, d), in the type of the scores.
        worker: makes what prepares similarities, once for every thread.
        copied: whether similarities need a copy of the rows.
    """
    shape = (problem.queries.count, problem.columns)
    scores = queries.new_zeros(shape)
    winners = queries.new_full((len(queries), shape[1]), -1, dtype=torch.int32) if argmax else None
    query_bounds, bounds = _bounds(problem.queries), _bounds(problem.documents)

    def score_on_a_thread() -> Callable[[Piece], None]:
        prepare, room = worker(), workspace("runs", queries.device, queries.dtype)

        def score(piece: Piece) -> None:
            first, last = piece.documents
            columns = slice(first - piece.offset, last - piece.offset)
            block = _block(problem, bounds, first, last, queries.device)
            if block.count == 0:
                scores[piece.queries, columns] = -torch.inf
                return
            similarity = prepare(piece.tokens)(block.rows, block.count)  # (rows, R)
            best, index = segments.best(similarity, block.runs, argmax, room)  # (documents, R)
            if winners is not None and index is not None:
                found = _positions(index, block, problem, bounds, first)
                winners[piece.rows, columns] = found.T
            edges = query_bounds[piece.queries.start : piece.queries.stop + 1]
            sums = _sum(best, problem.queries, edges)
            if block.runs.lengths is not None:
                sums.masked_fill_((block.runs.lengths == 0)[:, None], -torch.inf)
            scores[piece.queries, columns] = sums.T

        return score

    pieces = list(_pieces(queries, problem, query_bounds, bounds, copied))
    each(pieces, score_on_a_thread, _threads(queries, problem, bounds, len(pieces)))
    if winners is not None and problem.queries.mask is not None:
        winners[~problem.queries.mask] = -1
    return scores, winners


def _pieces(
    queries: Tensor,
    problem: Problem,
    query_bounds: Sequence[int],
    bounds: Sequence[int],
    copied: bool,
) -> Iterator[Piece]:
    together = 0 if problem.own else QUERY_ROWS
    for first, last in _spans(query_bounds, 0, problem.queries.count, together):
        rows = slice(query_bounds[first], query_bounds[last])
        tokens = queries[rows].contiguous()  # (R, d)
        offset = first * problem.columns if problem.own else 0
        stop = offset + problem.columns
        met = bounds[stop] - bounds[offset]
        at_once = _rows_at_once(met, problem.columns, max(len(tokens), 1), copied, problem.own)
        for span in _spans(bounds, offset, stop, at_once):
            yield Piece(slice(first, last), rows, tokens, span, offset)


def _rows_at_once(rows: int, documents: int, columns: int, copied: bool, own: bool) -> int:
    """Document rows of one block: few enough for the cache, and enough blocks for some threads."""
    most = max(BLOCK // columns, 1)
    most = min(most, COPIED_ROWS) if copied else most
    blocks = max(-(-rows // most), 1)
    if not own:  # else there are blocks for each query
        blocks = max(blocks, min(SHARES, rows * columns // SHARED))
        blocks += blocks % 2 if blocks > 1 else 0
    return rows // blocks + (rows // max(documents, 1) if blocks > 1 else 0) + 1


def _threads(queries: Tensor, problem: Problem, bounds: Sequence[int], pieces: int) -> int:
    """How many threads take pieces; 1 where starting them costs more than it brings."""
    met = problem.queries.length if problem.own else len(queries)
    if queries.device.type != "cpu" or met * (bounds[-1] - bounds[0]) < SHARED:
        return 1
    return max(min(torch.get_num_threads(), pieces), 1)


def _bounds(layout: Layout) -> Sequence[int]:
    """Where texts begin, and where the last one ends."""
    if layout.offsets is not None:
        return layout.offsets.tolist()
    if layout.length == 0:
        return [0] * (layout.count + 1)
    return range(0, (layout.count + 1) * layout.length, layout.length)


def _tensor(numbers: Sequence[int], device: torch.device) -> Tensor:
    if isinstance(numbers, range):  # many times as fast
        return torch.arange(numbers.start, numbers.stop, numbers.step, device=device)
    return torch.tensor(numbers, device=device)


def _spans(bounds: Sequence[int], first: int, stop: int, rows: int) -> Iterator[tuple[int, int]]:
    """Runs of texts that hold at most so many rows together, and at most twice as many when all
    were as long as the longest; but at least one text."""
    while first < stop:
        last = bisect_right(bounds, bounds[first] + rows, first, stop + 1) - 1
        lengths = map(sub, bounds[first + 1 : last + 1], bounds[first:last])
        longest = max(lengths, default=0)
        last = min(last, first + 2 * rows // max(longest, 1))
        yield first, max(last, first + 1)
        first = max(last, first + 1)


def _block(
    problem: Problem, bounds: Sequence[int], first: int, last: int, device: torch.device
) -> Block:
    layout = problem.documents
    start, end = bounds[first], bounds[last]
    every = slice(start, end)
    if layout.mask is not None and not problem.zero_mask:
        alive = layout.mask[every].nonzero().squeeze(1)
        if len(alive) < end - start:
            edges = _tensor(bounds[first : last + 1], device) - start
            lengths = torch.searchsorted(alive, edges).diff()
            if len(alive) == 0:
                return Block(every, 0, _runs(lengths), alive)
            if len(alive) >= DENSE * (end - start):
                return Block(every, end - start, _runs(lengths, alive), alive)
            return Block(alive + start, len(alive), _runs(lengths), alive)
    if layout.offsets is None:
        return Block(every, end - start, Runs(last - first, layout.length), None)
    return Block(every, end - start, _runs(layout.offsets[first : last + 1].diff()), None)


def _runs(lengths: Tensor, rows: Tensor | None = None) -> Runs:
    least, longest = (int(length) for length in lengths.aminmax())
    equal = least == longest and rows is None
    return Runs(len(lengths), longest, None if equal else lengths, rows)


def _positions(
    index: Tensor, block: Block, problem: Problem, bounds: Sequence[int], first: int
) -> Tensor:
    """From the n-th row that could win to the position in the document, int32, -1 for none."""
    runs, mask = block.runs, problem.documents.mask
    starts = _tensor(bounds[first : first + runs.count], index.device)[:, None]
    if block.alive is not None:
        lengths = (
            index.new_full((runs.count,), runs.longest) if runs.lengths is None else runs.lengths
        )
        before = (lengths.cumsum(0) - lengths)[:, None]
        alive = block.alive[(before + index).clamp(max=len(block.alive) - 1)]
        index = alive + bounds[first] - starts
    if problem.zero_mask and mask is not None:
        index = torch.where(mask[(starts + index).clamp(max=len(mask) - 1)], index, -1)
    if runs.lengths is not None:
        index = index.masked_fill((runs.lengths == 0)[:, None], -1)
    return index.to(torch.int32)


def _sum(best: Tensor, layout: Layout, edges: Sequence[int]) -> Tensor:
    """Sum the maxima of each query's live tokens: (documents, R) -> (documents, queries)."""
    if layout.mask is not None:
        best = torch.where(layout.mask[edges[0] : edges[-1]], best, 0.0)
    if layout.offsets is None:
        return best.view(len(best), len(edges) - 1, layout.length).sum(dim=-1)
    lengths = [b - a for a, b in zip(edges, edges[1:], strict=False)]
    return torch.stack([part.sum(dim=1) for part in best.split(lengths, dim=1)], dim=1)
