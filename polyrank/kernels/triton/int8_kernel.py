"""The Triton path of `maxsim_int8`: one program scores some documents for one tile of queries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels.codecs.compressed import across, filled, takes_ptx, tiles
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
    from polyrank.kernels.codecs.int8 import Int8Documents

# Four int8 of a register to fp16, $0 and $1. A byte with the bit of its sign turned is 128 more
# than the number; put behind the fp16 number 1024 it adds that, and 1152 is subtracted. Five
# instructions for four; NVIDIA GPUs are slow to convert single numbers.
WIDEN = tl.constexpr("""{
.reg .b32 c, k;
xor.b32 c, $2, 0x80808080;
prmt.b32 $0, c, 0x64646464, 0x4140;
prmt.b32 $1, c, 0x64646464, 0x4342;
mov.b32 k, 0x64806480;
sub.f16x2 $0, $0, k;
sub.f16x2 $1, $1, k;
}""")


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
    ACROSS: tl.constexpr,  # whether document tokens are the columns of each product
    PTX: tl.constexpr,
):
    columns = blocks * WIDTH  # of whole tiles, so that rows are known to be aligned
    program = tl.program_id(0)
    first_document = (program // blocks) * each
    block = program % blocks
    column = block * WIDTH + tl.arange(0, WIDTH)
    lane = tl.arange(0, LANES)
    query = tl.load(queries + lane[:, None] * columns + column[None, :])
    for number in range(first_document, tl.minimum(first_document + each, count)):
        document = tl.zeros((), tl.int64) + number
        start = tl.load(offsets + document)
        length = (tl.load(offsets + document + 1) - start).to(tl.int32)
        best = nothing_yet(WIDTH, TOKENS, ACROSS)
        for first in range(0, length, TOKENS):
            token, alive = tokens_at(start, first, length, mask, TOKENS)
            value = bytes_of(values, token, alive, mask, lane, DIMENSIONS)
            scale = number_of(scales, token, alive, mask).to(tl.float32)
            if PTX:
                value = tl.inline_asm_elementwise(WIDEN, "=&r,=&r,r", (value,), tl.float16, True, 4)
            else:
                value = value.to(query.dtype)  # exact: 127 has 7 bits
            if ACROSS:
                similarity = tl.dot(tl.trans(query), tl.trans(value), input_precision="ieee")
            else:
                similarity = tl.dot(value, query, input_precision="ieee")
            best = larger(best, similarity, scale, alive, mask, ACROSS)
        store_sums(sums, best, document, block, blocks, LENGTH, ACROSS)


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
        (
            width,
            lanes,
            tiled.width,
            tiled.length,
            tiled.chosen.tokens,
            across(tiled),
            takes_ptx(tiled),
        ),
        tiled.chosen.warps,
        tiled.chosen.stages,
    )
    return tiled.scores(sums)
