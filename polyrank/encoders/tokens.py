"""From texts to rows of token ids: prefixes, length limits, padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor

from polyrank.collections.records import Document, Query
from polyrank.notes import Notebook

UNLIMITED = 2**31  # tokens that a model without position embeddings reads


def position_limit(config: Any, tokenizer: Any = None) -> int:
    """How many tokens a model reads, special ones included.

    Two of its positions are left free: RoBERTa-like models number positions from the padding id on.

    Args:
        config: of the model; one without position embeddings has no limit.
        tokenizer: whose own limit counts too, where it is given.
    """
    positions = getattr(config, "max_position_embeddings", None)
    limit = UNLIMITED if positions is None else positions - 2
    return int(limit if tokenizer is None else min(limit, tokenizer.model_max_length))


def encode(
    tokenizer: Any, texts: Sequence[str | tuple[str, str]], limit: int, offsets: bool = False
) -> list[Any]:
    """Texts, or pairs of texts, each cut to a limit and unpadded; the longer side is cut first.

    What the tokenizer's own call adds to this, lists of ids, types and masks of all rows, takes
    longer than tokenising where there are some cores.

    Args:
        tokenizer: a fast tokenizer.
        limit: tokens of a row, special ones included.
        offsets: whether they are asked for.

    Returns:
        A `tokenizers.Encoding` for each.
    """
    from transformers.tokenization_utils_base import TruncationStrategy
    from transformers.utils import PaddingStrategy

    own = tokenizer.backend_tokenizer
    with getattr(tokenizer, "_lock", nullcontext()):  # of later transformers, for several threads
        tokenizer.set_truncation_and_padding(
            padding_strategy=PaddingStrategy.DO_NOT_PAD,
            truncation_strategy=TruncationStrategy.LONGEST_FIRST,
            max_length=limit,
            stride=0,
            pad_to_multiple_of=None,
            padding_side=None,
        )
        if own.encode_special_tokens != tokenizer.split_special_tokens:
            own.encode_special_tokens = tokenizer.split_special_tokens
        rows: list[Any] = (own.encode_batch if offsets else own.encode_batch_fast)(list(texts))
    return rows


def encode_pairs(
    tokenizer: Any,
    pairs: Sequence[tuple[Query, Document]],
    limit: int,
    prefixes: tuple[str, str],
    notebook: Notebook,
) -> list[Any]:
    """Query–document pairs, unpadded, as `encode` returns them.

    Args:
        tokenizer: a fast tokenizer.
        limit: tokens of a pair, special ones included.
        prefixes: what is put before queries and before documents.
        notebook: gets a note of pairs that were cut.
    """
    before, within = prefixes
    texts = [
        (
            shortened(before + query.text, tokenizer, limit),
            shortened(within + document.full_text, tokenizer, limit),
        )
        for query, document in pairs
    ]
    rows = encode(tokenizer, texts, limit)
    cut = sum(bool(row.overflowing) for row in rows)
    notebook.add("cut", f"pairs cut to {limit} tokens", cut)
    return rows


def padded(rows: Iterable[Sequence[int]], filler: int, device: torch.device) -> Tensor:
    """Rows of different lengths as one tensor (B, L), filled up on the right."""
    rows = list(rows)
    length = max(len(row) for row in rows)
    return torch.tensor([[*row, *[filler] * (length - len(row))] for row in rows], device=device)


def shortened(text: str, tokenizer: Any, tokens: int) -> str:
    """A text that is far too long, cut well beyond the tokens of it that can be read.

    The tokenizer keeps what it cuts from a pair, every part of one text with every part of the
    other: for two long texts that is quadratic, and takes gigabytes.

    Args:
        text: as it is.
        tokenizer: a fast tokenizer.
        tokens: how many tokens of a pair are read.

    Returns:
        The text itself unless it has more characters than 8 a token; then its first 2 * tokens
        tokens, so that the tokens that are read are those of the whole text.
    """
    if len(text) <= 8 * tokens:
        return text
    encoding = tokenizer(
        text, add_special_tokens=False, truncation=True, max_length=2 * tokens, verbose=False
    ).encodings[0]
    return text[: encoding.offsets[-1][1]] if encoding.overflowing else text
