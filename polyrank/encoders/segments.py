"""Which side of a pair each token is on, and so which module it passes through.

Read from the offsets of the encoded pair itself, never from a dummy document.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from polyrank.composition.routing import check_routing
from polyrank.errors import UsageError
from polyrank.modules.kinds import ADAPTER

NO_MODULE = -1  # in a module index: no language module for this token


def query_lengths(encoding: Any) -> list[int]:
    """`query_length` of every row.

    Args:
        encoding: what a fast tokenizer returned for pairs of texts, padded or not.

    Raises:
        UsageError: an encoding of a slow tokenizer.
    """
    rows = getattr(encoding, "encodings", None)
    if not rows:
        raise UsageError(
            "the query side can only be found in the encoding of a fast tokenizer.\n"
            "Pad in the tokenizer's own call rather than with tokenizer.pad afterwards."
        )
    return [query_length(row) for row in rows]


def query_length(row: Any) -> int:
    """The position at which the document side starts.

    `[CLS] query [SEP]` is the query side, with the first separator only: of XLM-R's
    `<s> q </s></s> d </s>` the second one is on the document side. Read from the encoding itself,
    so truncated queries and rows of different lengths are right. Padding on the left counts too.

    Args:
        row: a `tokenizers.Encoding` of a pair.
    """
    sides, real = row.sequence_ids, row.attention_mask
    start = real.index(1) if 1 in real else 0
    # An empty query leaves only [CLS] before its separator.
    last = max((i for i, side in enumerate(sides) if side == 0), default=start)
    return min(last + 2, len(sides))


def segments(encoding: Any) -> Tensor:
    """Which side each token of an encoded batch is on.

    Args:
        encoding: what a fast tokenizer returned for pairs of texts, padded.

    Returns:
        (B, L) of int64 on the CPU: 0 for the query side, 1 for the document side and what follows.

    Raises:
        UsageError: an encoding of a slow tokenizer, or rows of different lengths.
    """
    lengths = query_lengths(encoding)
    widths = {len(row.ids) for row in encoding.encodings}
    if len(widths) > 1:
        raise UsageError("the rows have different lengths.\nEncode the batch with padding=True.")
    positions = torch.arange(widths.pop())
    return (positions[None, :] >= torch.tensor(lengths)[:, None]).long()


def module_index(
    segments: Tensor, query_module: Tensor, document_module: Tensor, routing: str
) -> Tensor:
    """The module of every token.

    Args:
        segments: (B, L), from `segments`.
        query_module: (B,), each query's position among the engine's languages, -1 for none.
        document_module: (B,), likewise for each document.
        routing: `none`, `query` (all tokens use the query's), `document`, or `split`.

    Returns:
        (B, L), on the device of `segments`.

    Raises:
        CompositionError: `both`, which only masks allow.
        UsageError: an unknown routing.
    """
    check_routing(ADAPTER.name, routing)
    query = query_module.to(segments.device)[:, None].expand_as(segments)  # (B, L)
    document = document_module.to(segments.device)[:, None].expand_as(segments)
    if routing == "none":
        return torch.full_like(segments, NO_MODULE)
    if routing == "query":
        return query
    if routing == "document":
        return document
    return torch.where(segments == 0, query, document)
