"""The Triton path of `maxsim_residual`: a program scores documents for one tile of queries.

A byte holds several dimensions. It is read once and shifted for each slot; the bits are looked up
among the bucket weights, whose order undoes the reversed bits of the format, and meet the query
dimensions of the slot in a product of its own. On NVIDIA GPUs products in fp16 take their weights
out of registers, by `prmt`; elsewhere, with 8 bits, and in fp32, they are looked up in memory.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels.codecs.compressed import across, takes_ptx, tiles
from polyrank.kernels.triton.bytes_steps import (
    bytes_of,
    larger,
    nothing_yet,
    number_of,
    store_sums,
    tokens_at,
)
from polyrank.kernels.triton.configuration import documents_each, power_of_two
from polyrank.kernels.triton.launcher import launch

if TYPE_CHECKING:
    from polyrank.kernels.codecs.residual_scoring import ResidualDocuments

TABLE = 1 << 28  # bytes of centroid scores in fp32 at once

# PTX over four bytes, $2: the weights of one slot, $3 bits from the right. `prmt` picks four bytes
# by a selector of four digits, from the weights' low bytes and then from their high bytes. $0 and
# $1 are four weights. Other operands than $2 come in four copies, one for each byte.
_PICK = """{{
.reg .b32 c, s, l, h, m, o;
shr.u32 c, $2, $3;
and.b32 c, c, {mask};
shr.u32 s, c, 4;
or.b32 s, s, c;
prmt.b32 s, s, s, 0x0020;
{weights}
prmt.b32 $0, l, h, 0x5140;
prmt.b32 $1, l, h, 0x7362;
}}"""
_FOUR = """prmt.b32 l, $7, $7, s;
prmt.b32 h, $11, $11, s;"""
# Both halves of the sixteen are asked; the highest bit of the slot says which one counts.
_SIXTEEN = """shl.b32 m, c, 4;
prmt.b32 m, m, m, 0xBA98;
and.b32 s, s, 0x7777;
prmt.b32 l, $7, $11, s;
prmt.b32 o, $15, $19, s;
lop3.b32 l, l, o, m, 0xD8;
prmt.b32 h, $23, $27, s;
prmt.b32 o, $31, $35, s;
lop3.b32 h, h, o, m, 0xD8;"""
PICK_OF_2 = tl.constexpr(_PICK.format(mask="0x01010101", weights=_FOUR))
PICK_OF_4 = tl.constexpr(_PICK.format(mask="0x03030303", weights=_FOUR))
PICK_OF_16 = tl.constexpr(_PICK.format(mask="0x0F0F0F0F", weights=_SIXTEEN))
OPERANDS_OF_4 = tl.constexpr("=&r,=&r,r" + ",r" * 12)
OPERANDS_OF_16 = tl.constexpr("=&r,=&r,r" + ",r" * 36)
_PICKED = (1, 2, 4)  # bits


@triton.jit
def _two(places, step, slot: tl.constexpr):
    """The query dimensions of two slots, for one tile of columns."""
    return (tl.load(places + slot * step), tl.load(places + (slot + 1) * step))


@triton.jit
def _parts(places, step, SLOTS: tl.constexpr):
    """Those of every slot; a program keeps them for all its documents."""
    if SLOTS == 1:
        return (tl.load(places),)
    elif SLOTS == 2:
        return _two(places, step, 0)
    elif SLOTS == 4:
        a, b = _two(places, step, 0)
        c, d = _two(places, step, 2)
        return (a, b, c, d)
    else:
        a, b = _two(places, step, 0)
        c, d = _two(places, step, 2)
        e, f = _two(places, step, 4)
        g, h = _two(places, step, 6)
        return (a, b, c, d, e, f, g, h)


@triton.jit
def _words(weights, BITS: tl.constexpr):
    """The words of `_packed_weights`."""
    return _parts(weights, 1, 8 if BITS == 4 else 2)


@triton.jit
def _picked(packed, w, SHIFT: tl.constexpr, BITS: tl.constexpr):
    """The weights of one slot of uint8 bytes, fp16."""
    if BITS == 4:
        return tl.inline_asm_elementwise(
            PICK_OF_16,
            OPERANDS_OF_16,
            (packed, SHIFT, w[0], w[1], w[2], w[3], w[4], w[5], w[6], w[7]),
            tl.float16,
            True,
            4,
        )
    elif BITS == 2:
        return tl.inline_asm_elementwise(
            PICK_OF_4, OPERANDS_OF_4, (packed, SHIFT, w[0], w[1]), tl.float16, True, 4
        )
    else:
        return tl.inline_asm_elementwise(
            PICK_OF_2, OPERANDS_OF_4, (packed, SHIFT, w[0], w[1]), tl.float16, True, 4
        )


@triton.jit(do_not_specialize=["blocks", "count", "each"])
def _kernel(
    queries,  # (SLOTS · LANES, columns), slot by slot
    table,  # (K, columns): centroid scores
    codes,
    residuals,
    norms,
    offsets,
    mask,  # (tokens,) or None
    weights,  # those of `_packed_weights` if PTX, else (2^BITS,)
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
    PTX: tl.constexpr,
    ACROSS: tl.constexpr,  # whether document tokens are the columns of each product
):
    program = tl.program_id(0)
    block = program % blocks
    columns = blocks * WIDTH  # of whole tiles, so that rows are known to be aligned
    column = block * WIDTH + tl.arange(0, WIDTH)
    lane = tl.arange(0, LANES)
    places = queries + lane[:, None] * columns + column[None, :]
    parts = _parts(places, LANES * columns, 8 // BITS)
    if PTX:
        words = _words(weights, BITS)
    first_document = (program // blocks).to(tl.int64) * each
    for document in range(first_document, tl.minimum(first_document + each, count)):
        start = tl.load(offsets + document)
        length = (tl.load(offsets + document + 1) - start).to(tl.int32)
        best = nothing_yet(WIDTH, TOKENS, ACROSS)
        for first in range(0, length, TOKENS):
            token, alive = tokens_at(start, first, length, mask, TOKENS)
            packed = bytes_of(residuals, token, alive, mask, lane, BYTES)
            code = number_of(codes, token, alive, mask)
            norm = number_of(norms, token, alive, mask).to(tl.float32)
            of_centroid = table + code.to(tl.int64)[:, None] * columns + column[None, :]
            similarity = tl.load(of_centroid).to(tl.float32)
            if ACROSS:
                similarity = tl.trans(similarity)
            for slot in tl.static_range(8 // BITS):
                if PTX:
                    value = _picked(packed, words, 8 - BITS * (slot + 1), BITS)
                else:
                    shifted = packed.to(tl.int32) >> (8 - BITS * (slot + 1))
                    value = tl.load(weights + (shifted & ((1 << BITS) - 1)))
                part = parts[slot]
                rows, across = (tl.trans(part), tl.trans(value)) if ACROSS else (value, part)
                similarity = tl.dot(rows, across, similarity, input_precision="ieee")
            best = larger(best, similarity, norm, alive, mask, ACROSS)
        store_sums(sums, best, document, block, blocks, LENGTH, ACROSS)


def score(queries: Tensor, documents: ResidualDocuments, document_mask: Tensor | None) -> Tensor:
    """(Q, Lq, d) with masked tokens zero → (Q, D), as many queries in a pass as TABLE allows."""
    centroids = documents.codec.centroids.float()
    per_pass = max(1, TABLE // (4 * len(centroids) * queries.shape[1]))
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
    columns, dtype = len(tiled.columns), tiled.columns.dtype
    table = (centroids @ tiled.columns.float().t()).to(dtype)  # (K, columns)
    slots, lanes = 8 // codec.bits, max(16, power_of_two(codec.token_bytes))
    laid_out = tiled.columns.new_zeros(slots, lanes, columns)
    # Dimension `byte · slots + slot` of every query token.
    laid_out[:, : codec.token_bytes] = tiled.columns.t().unflatten(0, (-1, slots)).transpose(0, 1)
    sums = table.new_empty(count, columns // tiled.length, dtype=torch.float32)
    ptx = codec.bits in _PICKED and takes_ptx(tiled)
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
            _packed_weights(codec.bit_weights) if ptx else codec.bit_weights.to(dtype),
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
            ptx,
            across(tiled),
        ),
        tiled.chosen.warps,
        tiled.chosen.stages,
    )
    return tiled.scores(sums)


def _packed_weights(weights: Tensor) -> Tensor:
    """The low bytes of fp16 weights, four in an int32, then their high bytes."""
    few = weights.half().repeat(2) if len(weights) == 2 else weights.half()
    return few.view(torch.uint8).view(-1, 2).t().contiguous().view(torch.int32).flatten()
