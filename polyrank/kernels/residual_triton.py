"""The Triton path of `maxsim_residual`: one program scores one document for one tile of queries.

A byte holds several dimensions. It is read once, shifted once for each, and what the bits stand for
is chosen among the bucket weights, whose order undoes the reversed bits of the format: of 2 or 4
weights by comparison, of more in a table in memory. The query stays where it is for all documents'
tokens.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels.compressed import filled, tiles
from polyrank.kernels.configuration import power_of_two
from polyrank.kernels.launcher import launch

if TYPE_CHECKING:
    from polyrank.kernels.residual_scoring import ResidualDocuments

TABLE = 1 << 26  # centroid scores held at once: 256 MiB


@triton.jit(do_not_specialize=["blocks"])
def _kernel(
    queries,  # (SLOTS · LANES, columns)
    table,  # (K, columns) fp32: centroid scores
    codes,
    residuals,
    norms,
    offsets,
    mask,  # (tokens,) or None
    weights,
    sums,  # (documents, columns / LENGTH)
    blocks,  # tiles of columns
    BITS: tl.constexpr,
    BYTES: tl.constexpr,
    LANES: tl.constexpr,
    WIDTH: tl.constexpr,
    LENGTH: tl.constexpr,
    TOKENS: tl.constexpr,
):
    SLOTS: tl.constexpr = 8 // BITS
    columns = blocks * WIDTH  # of whole tiles, so that rows are known to be aligned
    program = tl.program_id(0)
    document = (program // blocks).to(tl.int64)
    block = program % blocks
    start = tl.load(offsets + document)
    length = (tl.load(offsets + document + 1) - start).to(tl.int32)
    column = block * WIDTH + tl.arange(0, WIDTH)
    lane = tl.arange(0, LANES)
    shift = (8 - BITS) - BITS * tl.arange(0, SLOTS)
    dimension = tl.arange(0, SLOTS * LANES)
    query = tl.load(queries + dimension[:, None] * columns + column[None, :])
    if BITS <= 2:
        zero, one = tl.load(weights), tl.load(weights + 1)
    if BITS == 2:
        two, three = tl.load(weights + 2), tl.load(weights + 3)
    best = tl.full((WIDTH,), float("-inf"), tl.float32)
    for first in range(0, length, TOKENS):
        place = first + tl.arange(0, TOKENS)
        token = start + place  # 64 bits
        alive = place < length
        if mask is not None:
            alive = alive & (tl.load(mask + token, mask=alive, other=0) != 0)
        packed = tl.load(
            residuals + token[:, None] * BYTES + lane[None, :],
            mask=alive[:, None] & (lane < BYTES)[None, :],
            other=0,
        ).to(tl.int32)
        bucket = (packed[:, :, None] >> shift[None, None, :]) & ((1 << BITS) - 1)
        if BITS == 1:
            value = tl.where(bucket == 0, zero, one)
        elif BITS == 2:
            low, high = tl.where(bucket == 0, zero, one), tl.where(bucket == 2, two, three)
            value = tl.where(bucket < 2, low, high)
        else:
            value = tl.load(weights + bucket)
        value = tl.reshape(value, (TOKENS, LANES * SLOTS))  # dimension: byte · SLOTS + slot
        code = tl.load(codes + token, mask=alive, other=0).to(tl.int64)
        similarity = tl.load(table + code[:, None] * columns + column[None, :])
        similarity = tl.dot(value, query, similarity, input_precision="ieee")
        norm = tl.load(norms + token, mask=alive, other=0.0).to(tl.float32)
        similarity = tl.where(alive[:, None], similarity * norm[:, None], float("-inf"))
        best = tl.maximum(best, tl.max(similarity, axis=0))
    per_tile: tl.constexpr = WIDTH // LENGTH
    total = tl.sum(tl.reshape(best, (per_tile, LENGTH)), axis=1)
    row = sums + document * (blocks * per_tile) + block * per_tile
    tl.store(row + tl.arange(0, per_tile), total)


def score(queries: Tensor, documents: ResidualDocuments, document_mask: Tensor | None) -> Tensor:
    """(Q, Lq, d) with masked tokens zero → (Q, D), as many queries in a pass as TABLE allows."""
    centroids = documents.codec.centroids.float()
    per_pass = max(1, TABLE // (len(centroids) * queries.shape[1]))
    if len(queries) <= per_pass:
        return _pass(queries, documents, centroids, document_mask)
    parts = queries.split(per_pass)
    return torch.cat([_pass(part, documents, centroids, document_mask) for part in parts])


def _pass(
    queries: Tensor, documents: ResidualDocuments, centroids: Tensor, document_mask: Tensor | None
) -> Tensor:
    codec, count = documents.codec, len(documents)
    tiled = tiles(queries, len(documents.codes) // max(count, 1), "residual")
    columns = len(tiled.columns)
    table = centroids @ tiled.columns.float().t()  # (K, columns)
    slots, lanes = 8 // codec.bits, max(16, power_of_two(codec.token_bytes))
    laid_out = filled(tiled.columns.t(), lanes * slots)
    sums = table.new_empty(count, columns // tiled.length)
    launch(
        _kernel,
        count * tiled.blocks,
        (
            laid_out,
            table,
            documents.codes,
            documents.residuals,
            documents.inverse_norms,
            documents.offsets,
            document_mask,
            codec.bit_weights.to(laid_out.dtype),
            sums,
        ),
        (tiled.blocks,),
        (
            codec.bits,
            codec.token_bytes,
            lanes,
            tiled.width,
            tiled.length,
            tiled.chosen.tokens,
        ),
        tiled.chosen.warps,
        tiled.chosen.stages,
    )
    return tiled.scores(sums)
