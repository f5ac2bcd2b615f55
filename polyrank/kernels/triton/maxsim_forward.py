"""The Triton forward: one program scores some documents for a tile of several queries.

A document tile is read once for up to 128 query tokens. In half precision, from 64 of them on,
these are the rows of each product and the document's tokens its columns, so that few lanes (four on
a Hopper GPU) have to meet for a maximum. Fewer would leave tensor cores idle, whose products have
64 rows: there the document's tokens are the rows, each lane keeps a running maximum, and lanes meet
once, at the document's end.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyrank.kernels.contract import Problem
from polyrank.kernels.triton.configuration import (
    Tile,
    architecture,
    documents_each,
    maxsim_tile,
    power_of_two,
)
from polyrank.kernels.triton.launcher import launch

_DOT = {torch.float16: tl.float16, torch.bfloat16: tl.bfloat16, torch.float32: tl.float32}


def forward(
    queries: Tensor, documents: Tensor, problem: Problem, argmax: bool
) -> tuple[Tensor, Tensor | None]:
    """Scores (Q, N) and winners int32 (Tq, N), as `cpu.forward`; no host stall.

    The winners lie column by column: their transpose is contiguous.
    """
    queries, documents = queries.contiguous(), documents.contiguous()
    layout, (rows, width) = problem.queries, queries.shape
    dot = torch.promote_types(queries.dtype, documents.dtype)
    together = 1 if problem.own else layout.count  # queries that can share a program
    chosen, length, shared = _tile(
        architecture(queries.device),
        dot.itemsize,
        width,
        layout.length,
        power_of_two(together),
        problem.documents.length,
        argmax,
    )
    scores = queries.new_empty(layout.count, problem.columns, dtype=torch.float32)
    winners = None
    if argmax:  # rows between packed texts stay without a winner
        shape = (problem.columns, rows)
        packed = layout.offsets is not None
        winners = (
            queries.new_full(shape, -1, dtype=torch.int32)
            if packed
            else queries.new_empty(shape, dtype=torch.int32)
        )
    _launch(queries, documents, scores, winners, problem, chosen, (length, shared), dot)
    return scores, None if winners is None else winners.t()


@lru_cache(4096)
def _tile(
    architecture: str,
    bytes_each: int,
    width: int,
    query_length: int,
    together: int,
    tokens: int,
    winners: bool,
) -> tuple[Tile, int, int]:
    """The tile, the rows that a query takes at a time, and the queries in a tile."""
    length = min(max(power_of_two(query_length), 16), 128)
    rows = min(length * together, 128)
    chosen = maxsim_tile(architecture, bytes_each, power_of_two(width), rows, tokens, winners)
    length = min(length, chosen.rows)
    return chosen, length, max(min(chosen.rows // length, together), 1)


def _launch(
    queries: Tensor,
    documents: Tensor,
    scores: Tensor,
    winners: Tensor | None,
    problem: Problem,
    chosen: Tile,
    rows: tuple[int, int],
    dot: torch.dtype,
) -> None:
    length, shared = rows
    all_rows, width = queries.shape
    tiles = -(-problem.queries.count // shared)
    single = problem.queries.offsets is None and problem.queries.length <= length
    each = documents_each(tiles, problem.columns) if single else 1
    ieee = torch.get_float32_matmul_precision() == "highest"
    launch(
        _kernel,
        tiles * -(-problem.columns // each),
        (
            queries,
            documents,
            problem.queries.mask,
            problem.documents.mask,
            problem.queries.offsets,
            problem.documents.offsets,
            scores,
            winners,
        ),
        (
            problem.queries.count,
            problem.columns,
            problem.queries.length,
            problem.documents.length,
            tiles,
            all_rows,
            each,
        ),
        (
            width,
            max(power_of_two(width), 16),
            shared,
            length,
            chosen.tokens,
            single,
            problem.own,
            problem.zero_mask,
            _DOT[dot],
            "ieee" if ieee else "tf32",
            dot.itemsize == 2 and shared * length >= 64,
        ),
        chosen.warps,
        chosen.stages,
    )


@triton.jit
def _vectors(vectors, place, lane, WIDTH: tl.constexpr, LANES: tl.constexpr):
    """(TOKENS, LANES), all of which are there; lanes beyond WIDTH are 0."""
    places = vectors + (place[:, None] * WIDTH + lane[None, :])
    if WIDTH == LANES:
        found = tl.load(places)
    else:
        found = tl.load(places, mask=(lane < WIDTH)[None, :], other=0.0)
    return found


@triton.jit(
    do_not_specialize=[
        *("count", "columns", "query_length", "document_length", "tiles", "all_rows", "each")
    ]
)
def _kernel(
    queries,  # (Tq, WIDTH)
    documents,  # (Td, WIDTH)
    query_mask,  # (Tq,) or None
    document_mask,  # (Td,) or None
    query_offsets,  # (count + 1,) or None
    document_offsets,
    scores,  # (count, columns)
    winners,  # (columns, Tq) or None
    count,
    columns,
    query_length,
    document_length,
    tiles,
    all_rows,  # Tq
    each,  # documents of a program
    WIDTH: tl.constexpr,
    LANES: tl.constexpr,  # WIDTH to a power of two
    SHARED: tl.constexpr,  # queries in the tile
    LENGTH: tl.constexpr,  # rows of each at a time
    TOKENS: tl.constexpr,  # document tokens at a time
    SINGLE: tl.constexpr,  # whether LENGTH rows hold any query whole
    OWN: tl.constexpr,
    ZERO: tl.constexpr,
    DOT: tl.constexpr,
    PRECISION: tl.constexpr,
    ACROSS: tl.constexpr,  # whether document tokens are the columns of each product
):
    program = tl.program_id(0)
    first_column = (program // tiles) * each
    first_query = (program % tiles) * SHARED
    lane = tl.arange(0, LANES)
    step = tl.arange(0, TOKENS)
    row = tl.arange(0, SHARED * LENGTH)

    # The queries: row r of the tile is token r % LENGTH of query first_query + r // LENGTH.
    query = first_query + row // LENGTH
    exists = query < count
    if query_offsets is None:
        query_start = query.to(tl.int64) * query_length
        size = tl.where(exists, query_length, 0)
        longest = query_length
    else:
        query_start = tl.load(query_offsets + query, mask=exists, other=0)
        query_end = tl.load(query_offsets + query + 1, mask=exists, other=0)
        size = (query_end - query_start).to(tl.int32)
        longest = tl.max(size, axis=0)
    if SINGLE:
        longest = LENGTH
        only = tl.load(
            queries + (query_start + row % LENGTH)[None, :] * WIDTH + lane[:, None],
            mask=(row % LENGTH < size)[None, :] & (lane < WIDTH)[:, None],
            other=0.0,
        ).to(DOT)

    for number in range(first_column, tl.minimum(first_column + each, columns)):
        # The document: where it lies, and whether it can be scored.
        column = tl.zeros((), tl.int64) + number
        document = column
        if OWN:
            document += first_query.to(tl.int64) * columns
        if document_offsets is None:
            start = document * document_length
            tokens = document_length
        else:
            start = tl.load(document_offsets + document)
            tokens = (tl.load(document_offsets + document + 1) - start).to(tl.int32)
        # 64-bit to the document, 32-bit within it: a document holds fewer than 2^31 numbers.
        vectors = documents + start * WIDTH
        alive = tokens
        if document_mask is not None and not ZERO:
            seen = tl.zeros((TOKENS,), tl.int32)
            for first in range(0, tokens, TOKENS):
                place = first + step
                seen += tl.load(document_mask + start + place, mask=place < tokens, other=0).to(
                    tl.int32
                )
            alive = tl.sum(seen, axis=0)

        total = tl.zeros((SHARED * LENGTH,), tl.float32)
        for begin in range(0, longest, LENGTH):
            position = begin + row % LENGTH
            inside = position < size
            token = query_start + position
            if SINGLE:
                q = only
            else:
                q = tl.load(
                    queries + token[None, :] * WIDTH + lane[:, None],
                    mask=inside[None, :] & (lane < WIDTH)[:, None],
                    other=0.0,
                ).to(DOT)
            if ACROSS:
                best = tl.full((SHARED * LENGTH,), float("-inf"), tl.float32)
                where = tl.zeros((SHARED * LENGTH,), tl.int32)
            else:
                best = tl.full((TOKENS, SHARED * LENGTH), float("-inf"), tl.float32)
                where = tl.zeros((TOKENS, SHARED * LENGTH), tl.int32)
            for first in range(0, tokens, TOKENS):
                place = first + step
                if document_mask is None:
                    # Past the end the last token again: it changes no maximum, and no winner.
                    place = tl.minimum(place, tokens - 1)
                    d = _vectors(vectors, place, lane, WIDTH, LANES).to(DOT)
                else:
                    within = place < tokens
                    live = within & (
                        tl.load(document_mask + start + place, mask=within, other=0) != 0
                    )
                    d = tl.load(
                        vectors + (place[:, None] * WIDTH + lane[None, :]),
                        mask=live[:, None] & (lane < WIDTH)[None, :],
                        other=0.0,
                    ).to(DOT)
                if document_mask is not None:
                    eligible = within if ZERO else live
                if ACROSS:  # of a dead token: 0
                    similarity = tl.dot(tl.trans(q), tl.trans(d), input_precision=PRECISION)
                    if document_mask is not None:
                        similarity = tl.where(eligible[None, :], similarity, float("-inf"))
                    top = tl.max(similarity, axis=1)
                    if winners is not None:  # ties: the earlier
                        highest = similarity == top[:, None]
                        winner = tl.min(tl.where(highest, place[None, :], 2147483647), axis=1)
                        where = tl.where(top > best, winner, where)
                    best = tl.maximum(best, top)
                else:
                    similarity = tl.dot(d, q, input_precision=PRECISION)
                    if document_mask is not None:
                        similarity = tl.where(eligible[:, None], similarity, float("-inf"))
                    if winners is not None:
                        where = tl.where(similarity > best, place[:, None], where)
                    best = tl.maximum(best, similarity)
            if ACROSS:
                top, winner = best, where
            else:
                top = tl.max(best, axis=0)
                if winners is not None:
                    winner = tl.min(tl.where(best == top[None, :], where, 2147483647), axis=0)
            counted = inside
            if query_mask is not None:
                counted = counted & (tl.load(query_mask + token, mask=inside, other=0) != 0)
            total += tl.where(counted, top, 0.0)
            if winners is not None:
                won = counted & (top > float("-inf"))
                if document_mask is not None and ZERO:
                    won = won & (tl.load(document_mask + start + winner, mask=won, other=0) != 0)
                winner = tl.where(won, winner, -1)
                tl.store(winners + column * all_rows + token, winner, mask=inside)

        score = tl.sum(tl.reshape(total, (SHARED, LENGTH)), axis=1)
        score = tl.where(alive > 0, score, float("-inf"))
        out = first_query + tl.arange(0, SHARED)
        tl.store(scores + out.to(tl.int64) * columns + column, score, mask=out < count)
