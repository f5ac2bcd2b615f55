"""The Triton path of `maxsim_residual`: a program scores documents for one tile of queries.

A byte holds several dimensions. It is read once and shifted for each slot; the bits are looked up
in a table of bucket weights, whose order undoes the reversed bits of the format, and meet the query
dimensions of the slot in a product of its own. With 4 bits and a wide tile both halves of a byte
are looked up as one number and one product takes all: on an H100 that took .6 times as long for 16
queries, tiles and grouping of documents included, but 1.5 times as long for one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels.codecs.compressed import tiles
from polyrank.kernels.triton.configuration import documents_each, power_of_two
from polyrank.kernels.triton.launcher import launch

if TYPE_CHECKING:
    from polyrank.kernels.codecs.residual_scoring import ResidualDocuments

TABLE = 1 << 26  # centroid scores held at once: 256 MiB
WIDE = 128  # columns of a tile that is worth looking up pairs


@triton.jit
def _document(
    document,  # int64
    block,  # which tile of columns
    query,  # (SLOTS · LANES, WIDTH) of that tile, dimension by dimension, if PAIRS
    queries,
    table,
    codes,
    residuals,
    norms,
    offsets,
    mask,
    weights,
    sums,
    blocks,
    BITS: tl.constexpr,
    BYTES: tl.constexpr,
    LANES: tl.constexpr,
    WIDTH: tl.constexpr,
    LENGTH: tl.constexpr,
    TOKENS: tl.constexpr,
    PAIRS: tl.constexpr,
):
    """Score one document for one tile of columns."""
    columns = blocks * WIDTH  # of whole tiles, so that rows are known to be aligned
    start = tl.load(offsets + document)
    length = (tl.load(offsets + document + 1) - start).to(tl.int32)
    column = block * WIDTH + tl.arange(0, WIDTH)
    lane = tl.arange(0, LANES)
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
        code = tl.load(codes + token, mask=alive, other=0).to(tl.int64)
        similarity = tl.load(table + code[:, None] * columns + column[None, :])
        if PAIRS:
            norm = tl.load(norms + token, mask=alive, other=0.0).to(tl.float32)
            pair = tl.load(weights + packed)
            first_half = pair.to(tl.int16).to(query.dtype, bitcast=True)
            second_half = (pair >> 16).to(tl.int16).to(query.dtype, bitcast=True)
            value = tl.interleave(first_half, second_half)
            similarity = tl.dot(value, query, similarity, input_precision="ieee")
        else:
            for slot in tl.static_range(8 // BITS):
                bucket = (packed >> (8 - BITS * (slot + 1))) & ((1 << BITS) - 1)
                part = tl.load(queries + (slot * LANES + lane)[:, None] * columns + column[None, :])
                value = tl.load(weights + bucket)
                similarity = tl.dot(value, part, similarity, input_precision="ieee")
            norm = tl.load(norms + token, mask=alive, other=0.0).to(tl.float32)
        similarity = tl.where(alive[:, None], similarity * norm[:, None], float("-inf"))
        best = tl.maximum(best, tl.max(similarity, axis=0))
    per_tile: tl.constexpr = WIDTH // LENGTH
    total = tl.sum(tl.reshape(best, (per_tile, LENGTH)), axis=1)
    row = sums + document * (blocks * per_tile) + block * per_tile
    tl.store(row + tl.arange(0, per_tile), total)


@triton.jit(do_not_specialize=["blocks", "count", "each"])
def _kernel(
    queries,  # (SLOTS · LANES, columns), slot by slot
    table,  # (K, columns) fp32: centroid scores
    codes,
    residuals,
    norms,
    offsets,
    mask,  # (tokens,) or None
    weights,  # (256,), both of a byte as 32 bits, if PAIRS; else (2^BITS,)
    sums,  # (documents, columns / LENGTH)
    blocks,  # tiles of columns
    count,  # of documents
    each,  # documents of a program, 1 unless PAIRS
    BITS: tl.constexpr,
    BYTES: tl.constexpr,
    LANES: tl.constexpr,
    WIDTH: tl.constexpr,
    LENGTH: tl.constexpr,
    TOKENS: tl.constexpr,
    PAIRS: tl.constexpr,
):
    program = tl.program_id(0)
    document = (program // blocks).to(tl.int64)
    block = program % blocks
    if PAIRS:
        column = block * WIDTH + tl.arange(0, WIDTH)
        dimension = tl.arange(0, 2 * LANES)
        place = (dimension % 2) * LANES + dimension // 2
        query = tl.load(queries + place[:, None] * (blocks * WIDTH) + column[None, :])
        for number in range(document * each, tl.minimum((document + 1) * each, count)):
            _document(
                number,
                block,
                query,
                queries,
                table,
                codes,
                residuals,
                norms,
                offsets,
                mask,
                weights,
                sums,
                blocks,
                BITS,
                BYTES,
                LANES,
                WIDTH,
                LENGTH,
                TOKENS,
                PAIRS,
            )
    else:
        _document(
            document,
            block,
            None,
            queries,
            table,
            codes,
            residuals,
            norms,
            offsets,
            mask,
            weights,
            sums,
            blocks,
            BITS,
            BYTES,
            LANES,
            WIDTH,
            LENGTH,
            TOKENS,
            PAIRS,
        )


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
    kernel = "residual-4" if codec.bits == 4 else "residual"
    tiled = tiles(queries, len(documents.codes) // max(count, 1), kernel)
    columns = len(tiled.columns)
    table = centroids @ tiled.columns.float().t()  # (K, columns)
    slots, lanes = 8 // codec.bits, max(16, power_of_two(codec.token_bytes))
    laid_out = tiled.columns.new_zeros(slots, lanes, columns)
    # Dimension `byte · slots + slot` of every query token.
    laid_out[:, : codec.token_bytes] = tiled.columns.t().unflatten(0, (-1, slots)).transpose(0, 1)
    sums = table.new_empty(count, columns // tiled.length)
    pairs = codec.bits == 4 and laid_out.dtype == torch.float16 and tiled.width == WIDE
    each = documents_each(tiled.blocks, count, alone=8) if pairs else 1
    launch(
        _kernel,
        -(-count // each) * tiled.blocks,
        (
            laid_out,
            table,
            documents.codes,
            documents.residuals,
            documents.inverse_norms,
            documents.offsets,
            document_mask,
            codec.byte_pairs if pairs else codec.bit_weights.to(laid_out.dtype),
            sums,
        ),
        (tiled.blocks, count, each),
        (
            codec.bits,
            codec.token_bytes,
            lanes,
            tiled.width,
            tiled.length,
            tiled.chosen.tokens,
            pairs,
        ),
        tiled.chosen.warps,
        tiled.chosen.stages,
    )
    return tiled.scores(sums)
