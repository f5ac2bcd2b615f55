"""Queries and documents as rows of token ids: marker, length limit, query augmentation.

    query      [CLS] [Q] prefix tokens [SEP] [MASK] … [MASK]     up to `augment_to`
    document   [CLS] [D] prefix tokens [SEP]

Markers or prefix may be missing. Used by training and by inference alike, so that both read the
same rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from polyrank.encoders.tokens import encode
from polyrank.errors import ModuleError
from polyrank.modules.projection import TokenRules


@dataclass(frozen=True)
class TextRow:
    """One text, encoded: its ids, how many of the first are attended to, its language module, and
    the places of tokens that are not scored, whatever the text: of a prefix, or specials."""

    ids: tuple[int, ...]
    attended: int
    module: int = -1
    unscored: tuple[int, ...] = ()


class MarkedText:
    """Encodes texts by a late-interaction module's rules.

    Args:
        tokenizer: the base's.
        rules: of the module.
        longest: tokens that the base can read.

    Raises:
        ModuleError: augmentation with a tokenizer that has no token for it.
    """

    def __init__(self, tokenizer: Any, rules: TokenRules, longest: int) -> None:
        self.tokenizer = tokenizer
        self.rules = replace(
            rules,
            query_length=min(rules.query_length, longest),
            document_length=min(rules.document_length, longest),
            augment_to=min(rules.augment_to, longest),
        )
        filler = tokenizer.mask_token_id
        self._filler = tokenizer.sep_token_id if filler is None else filler
        if rules.augment_to and self._filler is None:
            raise ModuleError(
                "queries are to be filled up with mask tokens, but the tokenizer has none.\n"
                "Use a base with a mask token, or augment_to=0."
            )

    def queries(self, texts: Sequence[str]) -> tuple[list[TextRow], int]:
        """A row for each query, and how many had to be cut."""
        rules = self.rules
        rows, cut = self._encode(texts, rules.query_length, rules.query_marker, rules.query_prefix)
        filled = []
        for row in rows:
            longer = row.ids + (self._filler,) * (rules.augment_to - len(row.ids))
            attended = len(longer) if rules.attend else row.attended
            filled.append(replace(row, ids=longer, attended=attended))
        return filled, cut

    def documents(self, texts: Sequence[str]) -> tuple[list[TextRow], int]:
        """A row for each document, and how many had to be cut."""
        rules = self.rules
        return self._encode(
            texts, rules.document_length, rules.document_marker, rules.document_prefix
        )

    def _encode(
        self, texts: Sequence[str], length: int, marker: int | None, prefix: str
    ) -> tuple[list[TextRow], int]:
        if not texts:
            return [], 0
        own = () if marker is None else (marker,)
        prefixed = [prefix + text for text in texts]
        encoded = encode(
            self.tokenizer,
            prefixed,
            length - len(own),
            offsets=bool(prefix) or not self.rules.specials,
        )
        cut = sum(bool(row.overflowing) for row in encoded)
        rows = []
        for row in encoded:
            ids = (row.ids[0], *own, *row.ids[1:])
            unscored = self._unscored(row, len(prefix))
            shifted = tuple(place + len(own) if place else 0 for place in unscored)
            rows.append(TextRow(ids, len(ids), unscored=shifted))
        return rows, cut

    def _unscored(self, row: Any, prefix: int) -> list[int]:
        """Places of specials, where the rules leave them out, and of tokens that end inside the
        prefix of so many characters."""
        if self.rules.specials and not prefix:
            return []
        return [
            place
            for place, (special, (_, end)) in enumerate(
                zip(row.special_tokens_mask, row.offsets, strict=True)
            )
            if (not self.rules.specials if special else end <= prefix)
        ]


def padded(
    rows: Sequence[TextRow],
    pad: int,
    device: torch.device | None = None,
    skipped: Tensor | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows as one batch.

    Args:
        pad: id of padding.
        skipped: (ids there are,), True at ids that are not scored; None for no such ids.

    Returns:
        ids (B, L), padded with `pad`; which tokens are attended to, (B, L), 1 or 0; and which are
        scored, (B, L), bool: in every row at least one, all of it where nothing else is left.
    """
    lengths = torch.tensor([len(row.ids) for row in rows], device=device)
    attended = torch.tensor([row.attended for row in rows], device=device)
    longest = max(len(row.ids) for row in rows)
    ids = [[*row.ids, *[pad] * (longest - len(row.ids))] for row in rows]
    place = torch.arange(longest, device=device)[None, :]  # (1, L)
    batch = torch.tensor(ids, device=device)
    kept = torch.ones(batch.shape, dtype=torch.bool)  # (B, L), on the CPU: a write for each row
    for number, row in enumerate(rows):
        if row.unscored:
            kept[number, list(row.unscored)] = False
    tokens = place < lengths[:, None]  # (B, L)
    scored = tokens & kept.to(tokens.device)
    if skipped is not None:
        scored &= ~skipped[batch]
    scored = torch.where(scored.any(dim=1, keepdim=True), scored, tokens)
    return batch, (place < attended[:, None]).long(), scored
