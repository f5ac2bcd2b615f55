"""Steps that the kernels over compressed documents share."""

from __future__ import annotations

import triton
import triton.language as tl


@triton.jit
def nothing_yet(WIDTH: tl.constexpr, TOKENS: tl.constexpr, ACROSS: tl.constexpr):
    """The running maximum of a document: of each column, or with tokens as rows of each lane."""
    if ACROSS:
        best = tl.full((WIDTH,), float("-inf"), tl.float32)
    else:
        best = tl.full((TOKENS, WIDTH), float("-inf"), tl.float32)
    return best


@triton.jit
def tokens_at(start, first, length, mask, TOKENS: tl.constexpr):
    """Numbers of the next tokens, 64 bits, and which of them count.

    Without a mask all do: past the end the last token comes again, which changes no maximum.
    """
    place = first + tl.arange(0, TOKENS)
    if mask is None:
        token = start + tl.minimum(place, length - 1)
        alive = place >= 0
    else:
        token = start + place
        alive = place < length
        alive = alive & (tl.load(mask + token, mask=alive, other=0) != 0)
    return token, alive


@triton.jit
def number_of(numbers, token, alive, mask):
    """One number of each token."""
    if mask is None:
        found = tl.load(numbers + token)
    else:
        found = tl.load(numbers + token, mask=alive, other=0)
    return found


@triton.jit
def bytes_of(rows, token, alive, mask, lane, BYTES: tl.constexpr):
    """The bytes of each token, (TOKENS, lanes)."""
    within = (lane < BYTES)[None, :]
    if mask is not None:
        within = alive[:, None] & within
    return tl.load(rows + token[:, None] * BYTES + lane[None, :], mask=within, other=0)


@triton.jit
def larger(best, similarity, scale, alive, mask, ACROSS: tl.constexpr):
    """The running maximum with the scaled similarities of some tokens."""
    similarity *= scale[None, :] if ACROSS else scale[:, None]
    if mask is not None:
        listed = alive[None, :] if ACROSS else alive[:, None]
        similarity = tl.where(listed, similarity, float("-inf"))
    return tl.maximum(best, tl.max(similarity, axis=1) if ACROSS else similarity)


@triton.jit
def store_sums(sums, best, document, block, blocks, LENGTH: tl.constexpr, ACROSS: tl.constexpr):
    """The sums of maxima over each query, or part of one, in a tile."""
    top = best if ACROSS else tl.max(best, axis=0)
    per_tile: tl.constexpr = top.shape[0] // LENGTH
    total = tl.sum(tl.reshape(top, (per_tile, LENGTH)), axis=1)
    row = sums + document * (blocks * per_tile) + block * per_tile
    tl.store(row + tl.arange(0, per_tile), total)
