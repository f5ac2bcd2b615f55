"""The Triton path of the gradients: no atomic addition, so the same bits come every run.

∂queries: a program a query token gathers the document tokens that it chose.
∂documents: a program a tile of document tokens meets all query tokens, some at a time. What each of
them gives to the token that it chose is a matrix with one number in a column, so that the sum is a
product on tensor cores. The numbers, ∂loss/∂score, are rounded to the type of the vectors, as the
gradient is; in fp16 they are parts of the largest among those that are met at a time, and what is
below 2^-25 of it is lost.
fp32 on either side and packed queries take sorted lists instead: `weighted_sum`.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels import backward as lists
from polyrank.kernels.contract import Problem
from polyrank.kernels.triton.configuration import architecture, power_of_two, scatter_tile, sum_tile
from polyrank.kernels.triton.launcher import launch


def backward(
    gradient: Tensor,
    queries: Tensor,
    documents: Tensor,
    winners: Tensor,
    problem: Problem,
    needs: tuple[bool, bool],
) -> tuple[Tensor | None, Tensor | None]:
    """As `backward.backward`, in the types of the vectors; winners of `triton_forward`."""
    if not queries.numel() or not documents.numel():
        return lists.nothing(queries, documents, needs)
    gradient = gradient.float().contiguous()
    queries, documents = queries.contiguous(), documents.contiguous()
    first = second = None
    if needs[0]:
        first = _query_gradient(gradient, queries, documents, winners, problem)
    full = torch.float32 in (queries.dtype, documents.dtype)
    if needs[1] and (full or problem.queries.offsets is not None):
        given = (gradient, queries, documents, winners, problem, (False, True), weighted_sum)
        second = lists.backward(*given)[1]
    elif needs[1]:
        second = _document_gradient(gradient, queries, documents, winners, problem)
    return first, second


def _query_gradient(
    gradient: Tensor, queries: Tensor, documents: Tensor, winners: Tensor, problem: Problem
) -> Tensor:
    rows, width = queries.shape
    result = torch.empty_like(queries)
    packed = problem.queries.offsets is not None
    owners = problem.queries.text_of_row(rows, queries.device) if packed else None
    offsets = problem.documents.offsets
    chosen = sum_tile(architecture(queries.device), documents.element_size(), problem.columns)
    launch(
        _query_kernel,
        rows,
        (gradient, documents, winners, owners, offsets, result),
        (rows, problem.columns, problem.queries.length, problem.documents.length),
        (width, max(power_of_two(width), 16), chosen.tokens, problem.own),
        chosen.warps,
        chosen.stages,
    )
    return result


@triton.jit(do_not_specialize=["all_rows", "columns", "query_length", "document_length"])
def _query_kernel(
    gradient,  # (Q, columns)
    documents,  # (Td, WIDTH)
    winners,  # (columns, Tq)
    owners,  # (Tq,), the query of each token; None: equal lengths
    document_offsets,  # or None
    result,  # (Tq, WIDTH)
    all_rows,  # Tq
    columns,
    query_length,
    document_length,
    WIDTH: tl.constexpr,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,  # that the program gathers at a time
    OWN: tl.constexpr,
):
    token = tl.program_id(0).to(tl.int64)
    query = token // query_length if owners is None else tl.load(owners + token)
    lane = tl.arange(0, LANES)
    total = tl.zeros((ROWS, LANES), tl.float32)
    column = tl.arange(0, ROWS).to(tl.int64)
    winner = tl.load(winners + column * all_rows + token, mask=column < columns, other=-1)
    for _ in range(0, columns, ROWS):
        share = tl.load(gradient + query * columns + column, mask=column < columns, other=0.0)
        # Those of the next step, fetched ahead: they say what it reads.
        next_column = column + ROWS
        ahead = next_column < columns
        following = tl.load(winners + next_column * all_rows + token, mask=ahead, other=-1)
        won = winner >= 0
        document = column
        if OWN:
            document += query * columns
        if document_offsets is None:
            start = document * document_length
        else:
            start = tl.load(document_offsets + document, mask=won, other=0)
        vector = tl.load(
            documents + (start + winner)[:, None] * WIDTH + lane[None, :],
            mask=won[:, None] & (lane < WIDTH)[None, :],
            other=0.0,
        )
        total += tl.where(won, share, 0.0)[:, None] * vector.to(tl.float32)
        column, winner = next_column, following
    total = tl.sum(total, axis=0)
    tl.store(result + token * WIDTH + lane, total.to(result.dtype.element_ty), mask=lane < WIDTH)


def _document_gradient(
    gradient: Tensor, queries: Tensor, documents: Tensor, winners: Tensor, problem: Problem
) -> Tensor:
    layout, width = problem.documents, queries.shape[1]
    if problem.queries.mask is not None:  # zero times what a masked token holds may be NaN
        queries = queries.masked_fill(~problem.queries.mask[:, None], 0.0)
    # Rows between packed texts stay zero.
    result = torch.empty_like(documents) if layout.offsets is None else torch.zeros_like(documents)
    asked = problem.queries.length if problem.own else len(queries)
    chosen = scatter_tile(power_of_two(width), asked)
    tiles = max(-(-layout.length // chosen.tokens), 1)
    launch(
        _document_kernel,
        layout.count * tiles,
        (gradient, queries, winners, layout.offsets, result),
        (
            len(queries),
            problem.columns,
            problem.queries.length,
            layout.length,
            tiles,
        ),
        (
            width,
            max(power_of_two(width), 16),
            chosen.tokens,
            chosen.rows,
            problem.own,
            queries.dtype == torch.float16,
        ),
        chosen.warps,
        chosen.stages,
    )
    return result


@triton.jit(do_not_specialize=["all_rows", "columns", "query_length", "document_length", "tiles"])
def _document_kernel(
    gradient,  # (queries, columns)
    queries,  # (Tq, WIDTH)
    winners,  # (columns, Tq)
    document_offsets,  # or None
    result,  # (Td, WIDTH)
    all_rows,  # Tq
    columns,
    query_length,
    document_length,
    tiles,  # programs of a document
    WIDTH: tl.constexpr,
    LANES: tl.constexpr,
    TOKENS: tl.constexpr,  # document tokens at a time
    ROWS: tl.constexpr,  # query tokens at a time
    OWN: tl.constexpr,
    SCALED: tl.constexpr,  # whether shares are taken as parts of the largest, to fit into fp16
):
    document = (tl.program_id(0) // tiles).to(tl.int64)
    tile = tl.program_id(0) % tiles
    lane = tl.arange(0, LANES)
    row = tl.arange(0, ROWS)
    column = document
    first_row = tl.zeros((), tl.int64)  # of the queries that meet the document
    rows = all_rows
    if OWN:
        column = document % columns
        first_row = document // columns * query_length
        rows = query_length
    if document_offsets is None:
        start = document * document_length
        tokens = document_length
    else:
        start = tl.load(document_offsets + document)
        tokens = (tl.load(document_offsets + document + 1) - start).to(tl.int32)
    chosen = winners + column * all_rows
    shares = gradient + column
    for first in range(tile * TOKENS, tokens, tiles * TOKENS):
        place = first + tl.arange(0, TOKENS)
        total = tl.zeros((TOKENS, LANES), tl.float32)
        for begin in range(0, rows, ROWS):
            inside = begin + row < rows
            token = first_row + begin + row
            winner = tl.load(chosen + token, mask=inside, other=-1)
            share = tl.load(shares + token // query_length * columns, mask=inside, other=0.0)
            vector = tl.load(
                queries + token[:, None] * WIDTH + lane[None, :],
                mask=inside[:, None] & (lane < WIDTH)[None, :],
                other=0.0,
            )
            hit = place[:, None] == winner[None, :]  # (TOKENS, ROWS)
            if SCALED:
                most = tl.max(tl.where(winner >= 0, tl.abs(share), 0.0), axis=0)
                most = tl.where((most > 0.0) & (most < float("inf")), most, 1.0)
                part = tl.where(hit, (share / most)[None, :], 0.0).to(vector.dtype)
                total += most * tl.dot(part, vector)
            else:
                part = tl.where(hit, share[None, :], 0.0).to(vector.dtype)
                total = tl.dot(part, vector, total)
        tl.store(
            result + (start + place)[:, None] * WIDTH + lane[None, :],
            total.to(result.dtype.element_ty),
            mask=(place < tokens)[:, None] & (lane < WIDTH)[None, :],
        )


def weighted_sum(rows: Tensor, index: Tensor, weight: Tensor, ends: Tensor) -> Tensor:
    """As `backward.weighted_sum`: (T, d), (K,), (K,), (B + 1,) -> fp32 (B, d)."""
    width, bags = rows.shape[1], len(ends) - 1
    sums = rows.new_empty(bags, width, dtype=torch.float32)
    tensors = (rows.contiguous(), index, weight.float(), ends, sums)
    chosen = sum_tile(architecture(rows.device), rows.element_size(), len(index) // max(bags, 1))
    constants = (width, max(power_of_two(width), 16), chosen.tokens)
    launch(_kernel, bags, tensors, (), constants, chosen.warps, chosen.stages)
    return sums


@triton.jit
def _kernel(
    rows,  # (T, WIDTH)
    index,  # (K,)
    weight,  # (K,)
    ends,  # (B + 1,)
    sums,  # (B, WIDTH)
    WIDTH: tl.constexpr,
    LANES: tl.constexpr,
    ROWS: tl.constexpr,  # that the program gathers at a time
):
    bag = tl.program_id(0).to(tl.int64)
    lane = tl.arange(0, LANES)
    start = tl.load(ends + bag)
    end = tl.load(ends + bag + 1)
    total = tl.zeros((ROWS, LANES), tl.float32)
    for first in range(start, end, ROWS):
        item = first + tl.arange(0, ROWS)
        listed = item < end
        row = tl.load(index + item, mask=listed, other=0)
        share = tl.load(weight + item, mask=listed, other=0.0)
        vector = tl.load(
            rows + row[:, None] * WIDTH + lane[None, :],
            mask=(listed & (share != 0.0))[:, None] & (lane < WIDTH)[None, :],
            other=0.0,
        )
        total += share[:, None] * vector.to(tl.float32)
    tl.store(sums + bag * WIDTH + lane, tl.sum(total, axis=0), mask=lane < WIDTH)
