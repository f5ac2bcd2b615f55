"""The Triton path of `maxsim_residual`: one program scores some documents for one tile of queries.

A byte holds several dimensions. What it stands for is one number as wide as all of them where that
is at most 64 bits, looked up once and taken apart by shifts; else each dimension is looked up in a
table of bucket weights, whose order undoes the reversed bits of the format.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels.compressed import filled, tiles
from polyrank.kernels.configuration import documents_each, power_of_two
from polyrank.kernels.launcher import launch

if TYPE_CHECKING:
    from polyrank.kernels.residual_scoring import ResidualDocuments

TABLE = 1 << 26  # centroid scores held at once: 256 MiB


@triton.jit
def _part(
    source,
    weights,
    SLOT: tl.constexpr,
    WORDS: tl.constexpr,
    BITS: tl.constexpr,
    DTYPE: tl.constexpr,
):
    """What slot SLOT of each byte, or of each word of a byte's values, stands for."""
    if WORDS:
        EACH: tl.constexpr = DTYPE.primitive_bitwidth
        number = source >> (EACH * SLOT)
        if EACH == 16:
            return number.to(tl.int16).to(DTYPE, bitcast=True)
        else:
            return number.to(tl.int32).to(DTYPE, bitcast=True)
    else:
        return tl.load(weights + ((source >> (8 - BITS * (SLOT + 1))) & ((1 << BITS) - 1)))


@triton.jit
def _four(
    source,
    weights,
    FIRST: tl.constexpr,
    STEP: tl.constexpr,
    WORDS: tl.constexpr,
    BITS: tl.constexpr,
    DTYPE: tl.constexpr,
):
    """Every STEP-th slot from FIRST on, four of each byte, side by side."""
    return tl.interleave(
        tl.interleave(
            _part(source, weights, FIRST, WORDS, BITS, DTYPE),
            _part(source, weights, FIRST + 2 * STEP, WORDS, BITS, DTYPE),
        ),
        tl.interleave(
            _part(source, weights, FIRST + STEP, WORDS, BITS, DTYPE),
            _part(source, weights, FIRST + 3 * STEP, WORDS, BITS, DTYPE),
        ),
    )


@triton.jit(do_not_specialize=["blocks", "count", "each"])
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
    count,  # of documents
    each,  # documents of a program
    BITS: tl.constexpr,
    BYTES: tl.constexpr,
    LANES: tl.constexpr,
    WIDTH: tl.constexpr,
    LENGTH: tl.constexpr,
    TOKENS: tl.constexpr,
    WORDS: tl.constexpr,  # whether the weights are (256,), all of a byte, or (2^BITS,)
):
    SLOTS: tl.constexpr = 8 // BITS
    DTYPE: tl.constexpr = queries.dtype.element_ty
    columns = blocks * WIDTH  # of whole tiles, so that rows are known to be aligned
    program = tl.program_id(0)
    first_document = (program // blocks) * each
    block = program % blocks
    column = block * WIDTH + tl.arange(0, WIDTH)
    lane = tl.arange(0, LANES)
    dimension = tl.arange(0, SLOTS * LANES)
    query = tl.load(queries + dimension[:, None] * columns + column[None, :])
    per_tile: tl.constexpr = WIDTH // LENGTH
    # Narrow tiles have registers for a maximum of each row, and meet once.
    ROWS: tl.constexpr = TOKENS if WIDTH <= 32 else 1
    for number in range(first_document, tl.minimum(first_document + each, count)):
        document = tl.zeros((), tl.int64) + number
        start = tl.load(offsets + document)
        length = (tl.load(offsets + document + 1) - start).to(tl.int32)
        best = tl.full((ROWS, WIDTH), float("-inf"), tl.float32)
        for first in range(0, length, TOKENS):
            place = first + tl.arange(0, TOKENS)
            token = start + place  # 64 bits
            alive = place < length
            if mask is not None:
                alive = alive & (tl.load(mask + token, mask=alive, other=0) != 0)
            # What takes longest to come, by way of the codes, is asked for first.
            code = tl.load(codes + token, mask=alive, other=0).to(tl.int64)
            packed = tl.load(
                residuals + token[:, None] * BYTES + lane[None, :],
                mask=alive[:, None] & (lane < BYTES)[None, :],
                other=0,
            ).to(tl.int32)
            norm = tl.load(norms + token, mask=alive, other=0.0).to(tl.float32)
            similarity = tl.load(table + code[:, None] * columns + column[None, :])
            source = tl.load(weights + packed) if WORDS else packed
            if SLOTS == 1:
                value = _part(source, weights, 0, WORDS, BITS, DTYPE)
            elif SLOTS == 2:
                value = tl.interleave(
                    _part(source, weights, 0, WORDS, BITS, DTYPE),
                    _part(source, weights, 1, WORDS, BITS, DTYPE),
                )
            elif SLOTS == 4:
                value = _four(source, weights, 0, 1, WORDS, BITS, DTYPE)
            else:
                value = tl.interleave(
                    _four(source, weights, 0, 2, WORDS, BITS, DTYPE),
                    _four(source, weights, 1, 2, WORDS, BITS, DTYPE),
                )
            similarity = tl.dot(value, query, similarity, input_precision="ieee")
            similarity = tl.where(alive[:, None], similarity * norm[:, None], float("-inf"))
            if ROWS == 1:
                similarity = tl.max(similarity, axis=0, keep_dims=True)
            best = tl.maximum(best, similarity)
        total = tl.sum(tl.reshape(tl.max(best, axis=0), (per_tile, LENGTH)), axis=1)
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
    words = codec.byte_words(laid_out.dtype)
    each = documents_each(tiled.blocks, count, alone=8)
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
            codec.bit_weights.to(laid_out.dtype) if words is None else words,
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
            words is not None,
        ),
        tiled.chosen.warps,
        tiled.chosen.stages,
    )
    return tiled.scores(sums)
