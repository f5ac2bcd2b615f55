"""Rows end to end without padding: what a CPU computes of a batch is its real tokens alone.

Linear layers, adapters and norms act on single tokens, so they take all rows as one (T, H); only
attention needs to know where a row ends. Of equal rows side by side attention is one call.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class Spans:
    """Where rows lie.

    Attributes:
        lengths: tokens of each row.
        attended: how many of them, from the first on, are seen by the row's tokens.
    """

    lengths: tuple[int, ...]
    attended: tuple[int, ...]

    @property
    def starts(self) -> Tensor:
        """Where each row's first token is, (B,)."""
        ends = torch.tensor(self.lengths).cumsum(0)
        return ends - torch.tensor(self.lengths)

    def positions(self) -> Tensor:
        """Of each token within its row, from 0: (T,)."""
        return torch.cat([torch.arange(length) for length in self.lengths])

    def alike(self) -> Iterator[tuple[int, int, int, int]]:
        """Neighbours of one shape: their first row, their number, length, and attended tokens."""
        row = 0
        for (length, seen), group in groupby(zip(self.lengths, self.attended, strict=True)):
            count = len(list(group))
            yield row, count, length, seen
            row += count


def spans_of(lengths: Sequence[int], attended: Sequence[int] | None = None) -> Spans:
    """Spans of rows whose tokens see each other, or the first `attended` of them."""
    return Spans(tuple(lengths), tuple(lengths if attended is None else attended))


def position_ids(embeddings: Any, ids: Tensor, spans: Spans) -> Tensor:
    """What the encoder numbers packed tokens with, (T,): from 0 on, or as RoBERTa does from the
    padding id on, where a token that is padding has the padding id."""
    places = spans.positions()
    offset = getattr(embeddings, "padding_idx", None)  # BERT's embeddings have none
    if offset is None:
        return places
    real = (ids != offset).long()
    counted = real.cumsum(0)
    before = (counted - real)[spans.starts].repeat_interleave(torch.tensor(spans.lengths))
    return (counted - before) * real + offset


def attend(query: Tensor, key: Tensor, value: Tensor, spans: Spans) -> Tensor:
    """Self-attention within each row.

    Args:
        query: (T, heads, d), or (B, heads, d) of the first tokens alone.
        key, value: (T, heads, d).

    Returns:
        As `query`.
    """
    mixed = torch.empty_like(query)
    firsts = len(query) != len(key)
    start = 0
    for row, count, length, seen in spans.alike():
        end = start + count * length
        k, v = (_rows(x[start:end], count)[:, :, :seen] for x in (key, value))
        place = slice(row, row + count) if firsts else slice(start, end)
        q = _rows(query[place], count)  # (rows, heads, 1 or length, d)
        found = F.scaled_dot_product_attention(q, k, v)
        mixed[place] = found.transpose(1, 2).reshape(mixed[place].shape)
        start = end
    return mixed


def _rows(tokens: Tensor, count: int) -> Tensor:
    """(rows · L, heads, d) → (rows, heads, L, d)."""
    return tokens.unflatten(0, (count, -1)).transpose(1, 2)
