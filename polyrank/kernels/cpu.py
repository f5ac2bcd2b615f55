"""MaxSim as flat matrix products and segmented maxima: the path for CPUs, and for any torch device.

Documents are scored a block at a time, so that the similarities of a block stay near the cores and
memory is bounded whatever the corpus. Masked tokens and padding are left out before the product.
Blocks are the same for any number of threads, and so are the bits of the scores.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import torch
from torch import Tensor

from polyrank.kernels.contract import Layout, Problem
from polyrank.kernels.threads import each

BLOCK = 1 << 20  # similarities of one block: 4 MB in fp32
COPIED_ROWS = 1 << 13  # document rows of one block where they are copied: they stay in the cache
QUERY_ROWS = 1024  # query tokens of one product
SHARED = 1 << 25  # multiplications from which blocks go to threads: starting them takes 0.2 ms


@dataclass(frozen=True)
class Block:
    """The rows of documents first to last that can win.

    rows: where they are in the flat matrix, a slice when they are contiguous.
    lengths: how many each document has. equal: they are all of this length; None: they differ.
    """

    first: int
    last: int
    rows: Tensor | slice
    lengths: list[int]
    equal: int | None


@dataclass(frozen=True)
class Piece:
    """Some queries against some of the documents that they meet.

    queries: which, first to last. rows: those of their tokens. tokens: (R, d), in the type of the
    product. documents: first and last. offset: the document of column 0.
    """

    queries: slice
    rows: slice
    tokens: Tensor
    documents: tuple[int, int]
    offset: int


class Workspace:
    """Memory that blocks use one after the other: fresh memory costs as much as a product."""

    def __init__(self, device: torch.device, dtype: torch.dtype) -> None:
        self.dtype = dtype
        self._flat = torch.empty(0, device=device, dtype=dtype)

    def take(self, rows: int, columns: int) -> Tensor:
        """(rows, columns), holding anything, until the next take."""
        if len(self._flat) < rows * columns:
            self._flat = self._flat.new_empty(rows * columns)
        return self._flat[: rows * columns].view(rows, columns)


def forward(
    queries: Tensor, documents: Tensor, problem: Problem, argmax: bool
) -> tuple[Tensor, Tensor | None]:
    """Scores (Q, N), and the winning token of each query token and column, int32 (Tq, N).

    A winner is a position in its document; -1 where there is none: a masked query token, an empty
    document, a masked document token that won under the zero rule.
    """
    dtype = torch.promote_types(torch.promote_types(queries.dtype, documents.dtype), torch.float32)
    shape = (problem.queries.count, problem.columns)
    scores = queries.new_zeros(shape, dtype=dtype)
    winners = queries.new_full((len(queries), shape[1]), -1, dtype=torch.int32) if argmax else None
    query_bounds, bounds = _bounds(problem.queries), _bounds(problem.documents)
    multiply = product(queries.device, dtype)

    def worker() -> Callable[[Piece], None]:
        gathered, products = (Workspace(queries.device, dtype) for _ in range(2))

        def score(piece: Piece) -> None:
            block = _block(problem, bounds, *piece.documents)
            columns = slice(block.first - piece.offset, block.last - piece.offset)
            if not any(block.lengths):
                scores[piece.queries, columns] = -torch.inf
                return
            vectors = _vectors(documents, block, problem, gathered)
            similarity = multiply(vectors, piece.tokens, products)  # (rows, R)
            best, index = _best(similarity, block, argmax)  # (documents, R)
            if winners is not None and index is not None:
                winners[piece.rows, columns] = _positions(index, block, problem, bounds).T
            edges = query_bounds[piece.queries.start : piece.queries.stop + 1]
            sums = _sum(best, problem.queries, edges)
            sums[best.new_tensor(block.lengths) == 0] = -torch.inf
            scores[piece.queries, columns] = sums.T

        return score

    pieces = list(_pieces(queries.to(dtype), documents, problem, query_bounds, bounds))
    each(pieces, worker, _threads(queries, documents, problem, len(pieces)))
    if winners is not None and problem.queries.mask is not None:
        winners[~problem.queries.mask] = -1
    return scores, winners


def _pieces(
    queries: Tensor,
    documents: Tensor,
    problem: Problem,
    query_bounds: Sequence[int],
    bounds: Sequence[int],
) -> Iterator[Piece]:
    copies = problem.documents.mask is not None or documents.dtype != queries.dtype
    most = COPIED_ROWS if copies else BLOCK
    together = 0 if problem.own else QUERY_ROWS
    for first, last in _spans(query_bounds, 0, problem.queries.count, together):
        rows = slice(query_bounds[first], query_bounds[last])
        tokens = queries[rows].contiguous()  # (R, d)
        offset = first * problem.columns if problem.own else 0
        at_once = min(most, BLOCK // max(len(tokens), 1))
        for span in _spans(bounds, offset, offset + problem.columns, at_once):
            yield Piece(slice(first, last), rows, tokens, span, offset)


def _threads(queries: Tensor, documents: Tensor, problem: Problem, pieces: int) -> int:
    """How many threads take pieces; 1 where starting them costs more than it brings."""
    met = problem.queries.length if problem.own else len(queries)
    if queries.device.type != "cpu" or met * documents.numel() < SHARED:
        return 1
    return min(torch.get_num_threads(), pieces)


def product(
    device: torch.device, dtype: torch.dtype
) -> Callable[[Tensor, Tensor, Workspace], Tensor]:
    """What multiplies vectors with query tokens: oneDNN for fp32 on a CPU, unless less than fp32
    was asked for, else PyTorch's own choice."""
    exact = torch.get_float32_matmul_precision() == "highest"
    able = device.type == "cpu" and dtype == torch.float32 and torch.backends.mkldnn.is_available()
    return _convolve if able and exact else _multiply


def _multiply(vectors: Tensor, tokens: Tensor, room: Workspace) -> Tensor:
    """(rows, d), (R, d) -> vectors @ tokens.T, (rows, R)."""
    return torch.mm(vectors, tokens.T, out=room.take(len(vectors), len(tokens)))


def _convolve(vectors: Tensor, tokens: Tensor, room: Workspace) -> Tensor:
    """As `_multiply`, as a convolution of kernel 1 × 1.

    PyTorch gives fp32 products to MKL, which takes 1.4 to 3 times as long as oneDNN for so few
    columns; convolutions go to oneDNN, with AVX-512 where there is any. Both work in fp32.
    """
    if tokens.numel() == 0:
        return _multiply(vectors, tokens, room)
    image = vectors.view(1, len(vectors), 1, -1).permute(0, 3, 1, 2)  # (1, d, rows, 1), no copy
    kernel = tokens[:, :, None, None]
    result = torch.mkldnn_convolution(image, kernel, None, [0, 0], [1, 1], [1, 1], 1)
    return result.permute(0, 2, 3, 1).reshape(len(vectors), len(tokens))


def _bounds(layout: Layout) -> Sequence[int]:
    if layout.offsets is not None:
        return layout.offsets.tolist()
    return [i * layout.length for i in range(layout.count + 1)]


def _spans(bounds: Sequence[int], first: int, stop: int, rows: int) -> Iterator[tuple[int, int]]:
    """Runs of texts that hold at most so many rows together, but at least one text."""
    while first < stop:
        last = bisect_right(bounds, bounds[first] + rows, first, stop + 1) - 1
        yield first, max(last, first + 1)
        first = max(last, first + 1)


def _block(problem: Problem, bounds: Sequence[int], first: int, last: int) -> Block:
    layout, edges = problem.documents, bounds[first : last + 1]
    start, end = edges[0], edges[-1]
    rows: Tensor | slice = slice(start, end)
    lengths = [b - a for a, b in zip(edges, edges[1:], strict=False)]
    live = None if layout.mask is None or problem.zero_mask else layout.mask[start:end]
    if live is not None and not live.all():
        rows = start + live.nonzero().squeeze(1)
        edge = torch.tensor(edges, device=rows.device)
        lengths = torch.searchsorted(rows, edge).diff().tolist()
    alike = lengths.count(lengths[0]) == len(lengths) and lengths[0] > 0
    return Block(first, last, rows, lengths, lengths[0] if alike else None)


def _vectors(documents: Tensor, block: Block, problem: Problem, room: Workspace) -> Tensor:
    """The rows of the block in the type that they are multiplied in, copied only when need be."""
    mask = problem.documents.mask if problem.zero_mask else None
    contiguous, same_type = isinstance(block.rows, slice), documents.dtype == room.dtype
    if contiguous and same_type and mask is None:
        return documents[block.rows]
    vectors = room.take(sum(block.lengths), documents.shape[1])
    if isinstance(block.rows, Tensor) and same_type:
        torch.index_select(documents, 0, block.rows, out=vectors)
    else:
        vectors.copy_(documents[block.rows])
    if mask is not None:
        vectors.masked_fill_(~mask[block.rows, None], 0)  # similarity 0
    return vectors


def _best(similarity: Tensor, block: Block, argmax: bool) -> tuple[Tensor, Tensor | None]:
    """(rows, R) -> the maximum of each document's rows, and which of them it is, (documents, R)."""
    if block.equal is not None:
        cube = similarity.view(len(block.lengths), block.equal, -1)
        return cube.max(dim=1) if argmax else (cube.amax(dim=1), None)
    nothing = similarity.new_full(similarity.shape[1:], -torch.inf)
    parts = similarity.split(block.lengths)
    if not argmax:
        return torch.stack([part.amax(0) if len(part) else nothing for part in parts]), None
    none = nothing.new_zeros(nothing.shape, dtype=torch.int64)
    pairs = [part.max(dim=0) if len(part) else (nothing, none) for part in parts]
    return torch.stack([best for best, _ in pairs]), torch.stack([index for _, index in pairs])


def _positions(index: Tensor, block: Block, problem: Problem, bounds: Sequence[int]) -> Tensor:
    """From the n-th row that could win to the position in the document, int32, -1 for none."""
    starts = index.new_tensor(bounds[block.first : block.last])[:, None]
    if isinstance(block.rows, Tensor):
        before = index.new_tensor([0, *accumulate(block.lengths)][:-1])[:, None]
        index = block.rows[(before + index).clamp(max=len(block.rows) - 1)] - starts
    if problem.zero_mask and problem.documents.mask is not None:
        index = torch.where(problem.documents.mask[starts + index], index, -1)
    empty = index.new_tensor(block.lengths) == 0
    return index.masked_fill(empty[:, None], -1).to(torch.int32)


def _sum(best: Tensor, layout: Layout, edges: Sequence[int]) -> Tensor:
    """Sum the maxima of each query's live tokens: (documents, R) -> (documents, queries)."""
    if layout.mask is not None:
        best = torch.where(layout.mask[edges[0] : edges[-1]], best, 0.0)
    if layout.offsets is None:
        return best.view(len(best), len(edges) - 1, layout.length).sum(dim=-1)
    lengths = [b - a for a, b in zip(edges, edges[1:], strict=False)]
    return torch.stack([part.sum(dim=1) for part in best.split(lengths, dim=1)], dim=1)
