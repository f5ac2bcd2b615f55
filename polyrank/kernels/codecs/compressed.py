"""What the two codecs share: packed documents, the scan on a CPU, the tiles of a GPU.

The contract is that of `maxsim`: an empty document (or one whose tokens are all masked) scores
-inf, a masked query token adds 0, sums and products accumulate in fp32 at least.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from polyrank.errors import UsageError
from polyrank.kernels.contract import Layout, Problem
from polyrank.kernels.cpu import native
from polyrank.kernels.cpu import scan as blockwise
from polyrank.kernels.cpu.native_rows import NativeRows
from polyrank.kernels.cpu.scan import Prepare, Similarity
from polyrank.kernels.triton.configuration import Tile, architecture, bytes_tile, power_of_two

COLUMNS = 512  # query tokens that meet the documents together on a CPU


def check_offsets(offsets: Tensor, tokens: int) -> None:
    """Refuse offsets that are not those of `tokens` packed tokens.

    Raises:
        UsageError: of another dtype, descending, or not running from 0 to `tokens`.
    """
    if offsets.dtype != torch.int64 or offsets.dim() != 1 or len(offsets) == 0:
        raise UsageError("offsets must be int64, (documents + 1,): 0, then each document's end")
    ends = (int(offsets[0]), int(offsets[-1]))
    if ends != (0, tokens) or bool((offsets.diff() < 0).any()):
        raise UsageError(
            f"the offsets run from {ends[0]} to {ends[1]} over {tokens} tokens; they must start at "
            "0, never descend, and end at the number of tokens"
        )


def check_queries(
    queries: Tensor,
    query_mask: Tensor | None,
    document_mask: Tensor | None,
    width: int,
    tokens: int,
) -> None:
    """Refuse queries and masks that do not fit documents of `tokens` vectors of `width`.

    Raises:
        UsageError: queries that are not (Q, Lq, width), or a mask that is not a boolean each token.
    """
    if queries.dim() != 3 or queries.shape[2] != width or queries.shape[1] == 0:
        raise UsageError(
            f"the queries have shape {tuple(queries.shape)}; give (queries, tokens, {width}), "
            "encoded by the model that encoded the documents"
        )
    wanted = {"query": (query_mask, queries.shape[:2]), "document": (document_mask, (tokens,))}
    for name, (mask, shape) in wanted.items():
        if mask is not None and (mask.shape != shape or mask.dtype != torch.bool):
            raise UsageError(
                f"the {name} mask is {tuple(mask.shape)} of {mask.dtype}; give one boolean "
                f"for each token, {tuple(shape)}"
            )


def live(queries: Tensor, query_mask: Tensor | None) -> Tensor:
    """Queries with masked tokens set to zero: their best similarity is then 0, which adds 0."""
    return queries if query_mask is None else queries.masked_fill(~query_mask[..., None], 0.0)


# --- CPU -----------------------------------------------------------------------------------------


def compiled(
    queries: Tensor,
    documents: NativeRows,
    offsets: Tensor,
    document_mask: Tensor | None = None,
    query_mask: Tensor | None = None,
    picked: Tensor | None = None,
) -> Tensor:
    """What `scan` gives, by the compiled kernel.

    Args:
        query_mask: (Q, Lq), True for tokens that count.
        picked: int64 (N,), only these documents, which are not copied; the scores are (Q, N).
    """
    mask = None if query_mask is None else query_mask.flatten()
    asked = Layout(len(queries), queries.shape[1], mask=mask)
    met = _documents(offsets, document_mask)
    problem = Problem(asked, met, columns=met.count if picked is None else len(picked))
    return native.forward(queries.flatten(0, 1), documents, problem, picked=picked)[0]


def scan(
    queries: Tensor,
    offsets: Tensor,
    document_mask: Tensor | None,
    prepare: Callable[[Tensor], Callable[[], Similarity]],
) -> Tensor:
    """MaxSim of every query with every document, a block of queries and of tokens at a time.

    Args:
        queries: (Q, Lq, d), masked tokens zero.
        offsets: (D + 1,), from 0.
        document_mask: (T,), True for tokens that count.
        prepare: from a block's query tokens (C, d) to what makes, for each thread, their similarity
            with any document tokens.

    Returns:
        (Q, D), fp32.
    """
    count, documents = len(offsets) - 1, _documents(offsets, document_mask)
    scores = torch.empty(len(queries), count)
    at_once = max(1, COLUMNS // queries.shape[1])
    for first in range(0, len(queries), at_once):
        block = queries[first : first + at_once].float()
        columns = block.flatten(0, 1)
        problem = Problem(Layout(len(block), block.shape[1]), documents, count)
        make = prepare(columns)
        scores[first : first + at_once] = _scan(columns, problem, make)
    return scores


def _documents(offsets: Tensor, mask: Tensor | None) -> Layout:
    count = len(offsets) - 1
    return Layout(count, -(-int(offsets[-1]) // max(count, 1)), offsets, mask)


def _scan(columns: Tensor, problem: Problem, make: Callable[[], Similarity]) -> Tensor:
    def worker() -> Prepare:
        similarity = make()
        return lambda _: similarity  # all columns are in every piece

    scores, _ = blockwise.scan(columns, problem, worker, copied=True)
    return scores


# --- GPU -----------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Tiles:
    """Queries as columns, padded so that tiles of `width` columns hold whole queries or whole
    parts of one query.

    Attributes:
        columns: (blocks · width, d); padding is zero.
        width: columns in a tile, 16 to 128, a power of two.
        length: of those, the columns that one sum runs over: a query, or a part of one.
        queries, parts: how many queries there are, and the parts that each is cut into.
        chosen: the kernel's configuration.
    """

    columns: Tensor
    width: int
    length: int
    queries: int
    parts: int
    chosen: Tile

    @property
    def blocks(self) -> int:
        return len(self.columns) // self.width

    def scores(self, sums: Tensor) -> Tensor:
        """From (D, sums) as the kernels write them to (Q, D)."""
        used = sums[:, : self.queries * self.parts]
        if self.parts == 1:
            return used.t().contiguous()
        return used.unflatten(1, (self.queries, self.parts)).sum(dim=2).t().contiguous()


def tiles(queries: Tensor, tokens: int, kernel: str) -> Tiles:
    """Cut (Q, Lq, d) queries into tiles, in the dtype the products are taken in.

    fp32 stays fp32; fp16 and bf16 are multiplied in fp16, which holds normalised vectors best.

    Args:
        tokens: of a document, on average.
        kernel: "int8", "residual" or "residual-4", as `bytes_tile` takes it.
    """
    count, length, width = queries.shape
    dtype = torch.float32 if queries.dtype == torch.float32 else torch.float16
    rows = power_of_two(max(count, 1)) * max(16, power_of_two(length))
    chosen = bytes_tile(kernel, architecture(queries.device), dtype.itemsize, rows, tokens)
    tile = chosen.rows
    padded = max(16, power_of_two(length)) if length <= tile else -(-length // tile) * tile
    sum_length = min(padded, tile)
    per_tile = min(tile // sum_length, power_of_two(count)) if padded <= tile else 1
    rows = -(-count // per_tile) * per_tile
    if (rows, padded) == (count, length):
        columns = queries.to(dtype)
    else:
        columns = queries.new_zeros(rows, padded, width, dtype=dtype)
        columns[:count, :length] = queries
    return Tiles(
        columns=columns.flatten(0, 1),
        width=per_tile * sum_length,
        length=sum_length,
        queries=count,
        parts=padded // sum_length,
        chosen=chosen,
    )


def across(tiled: Tiles) -> bool:
    """Whether query tokens should be the rows of a product and document tokens its columns, as in
    `maxsim_forward`: on tensor cores, of which half would be idle with fewer rows than 64."""
    return tiled.columns.dtype == torch.float16 and tiled.width >= 64


def takes_ptx(tiled: Tiles) -> bool:
    """Whether the instructions of NVIDIA GPUs can widen bytes: to fp16, on such a GPU."""
    columns = tiled.columns
    return columns.dtype == torch.float16 and columns.is_cuda and torch.version.hip is None


def filled(matrix: Tensor, rows: int) -> Tensor:
    """The matrix, contiguous, with zeros below it up to so many rows."""
    if len(matrix) == rows:
        return matrix.contiguous()
    wide = matrix.new_zeros(rows, matrix.shape[1])
    wide[: len(matrix)] = matrix
    return wide
