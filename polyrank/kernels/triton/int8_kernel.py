"""The Triton path of `maxsim_int8`: one program scores some documents for one tile of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels.codecs.compressed import filled, tiles
from polyrank.kernels.triton.configuration import documents_each, power_of_two
from polyrank.kernels.triton.launcher import launch

if TYPE_CHECKING:
    from polyrank.kernels.codecs.int8 import Int8Documents


@triton.jit(do_not_specialize=["blocks", "count", "each"])
def _kernel(
    queries,  # (LANES, columns)
    values,
    scales,
    offsets,
    mask,  # (tokens,) or None
    sums,  # (documents, columns / LENGTH)
    blocks,  # tiles of columns
    count,  # of documents
    each,  # documents of a program
    DIMENSIONS: tl.constexpr,
    LANES: tl.constexpr,
    WIDTH: tl.constexpr,
    LENGTH: tl.constexpr,
    TOKENS: tl.constexpr,
):
    columns = blocks * WIDTH  # of whole tiles, so that rows are known to be aligned
    program = tl.program_id(0)
    first_document = (program // blocks) * each
    block = program % blocks
    column = block * WIDTH + tl.arange(0, WIDTH)
    lane = tl.arange(0, LANES)
    query = tl.load(queries + lane[:, None] * columns + column[None, :])
    per_tile: tl.constexpr = WIDTH // LENGTH
    for number in range(first_document, tl.minimum(first_document + each, count)):
        document = tl.zeros((), tl.int64) + number
        start = tl.load(offsets + document)
        length = (tl.load(offsets + document + 1) - start).to(tl.int32)
        best = tl.full((WIDTH,), float("-inf"), tl.float32)
        for first in range(0, length, TOKENS):
            place = first + tl.arange(0, TOKENS)
            token = start + place  # 64 bits
            alive = place < length
            if mask is not None:
                alive = alive & (tl.load(mask + token, mask=alive, other=0) != 0)
            value = tl.load(
                values + token[:, None] * DIMENSIONS + lane[None, :],
                mask=alive[:, None] & (lane < DIMENSIONS)[None, :],
                other=0,
            ).to(query.dtype)  # exact: 127 has 7 bits
            scale = tl.load(scales + token, mask=alive, other=0.0).to(tl.float32)
            similarity = tl.dot(value, query, input_precision="ieee") * scale[:, None]
            best = tl.maximum(
                best, tl.max(tl.where(alive[:, None], similarity, float("-inf")), axis=0)
            )
        total = tl.sum(tl.reshape(best, (per_tile, LENGTH)), axis=1)
        row = sums + document * (blocks * per_tile) + block * per_tile
        tl.store(row + tl.arange(0, per_tile), total)


def score(queries: Tensor, documents: Int8Documents, document_mask: Tensor | None) -> Tensor:
    """(Q, Lq, d) with masked tokens zero → (Q, D)."""
    width, count = documents.values.shape[1], len(documents)
    tiled = tiles(queries, len(documents.values) // max(count, 1), "int8")
    columns = len(tiled.columns)
    lanes = max(16, power_of_two(width))
    laid_out = filled(tiled.columns.t(), lanes)
    sums = queries.new_empty(count, columns // tiled.length, dtype=torch.float32)
    each = documents_each(tiled.blocks, count, alone=8)
    launch(
        _kernel,
        -(-count // each) * tiled.blocks,
        (
            laid_out,
            documents.values,
            documents.scales,
            documents.offsets,
            document_mask,
            sums,
        ),
        (tiled.blocks, count, each),
        (width, lanes, tiled.width, tiled.length, tiled.chosen.tokens),
        tiled.chosen.warps,
        tiled.chosen.stages,
    )
    return tiled.scores(sums)
