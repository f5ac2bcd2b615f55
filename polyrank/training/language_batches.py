"""What a language module learns from: masked sequences of plain text, and sentence pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.training.masking import mask_tokens
from polyrank.training.steps import Batch


def blocks(lines: Sequence[str], tokenizer: Any, length: int) -> Tensor:
    """Lines run together and cut into full sequences, (N, length), specials included.

    The tail that fills no sequence is dropped unless it is all there is.
    """
    encoded = tokenizer(list(lines), add_special_tokens=False, verbose=False)
    ids = [token for row in encoded["input_ids"] for token in row]
    inside = min(length - 2, len(ids))
    rows = [ids[i : i + inside] for i in range(0, len(ids) - inside + 1, inside)]
    first, last = tokenizer.cls_token_id, tokenizer.sep_token_id
    return torch.tensor([[first, *row, last] for row in rows])


class Batches:
    """Batch of step i: masked blocks, and pairs when there are some."""

    def __init__(
        self,
        sequences: Tensor,
        pairs: list[tuple[str, str]],
        tokenizer: Any,
        size: int,
        length: int,
        seed: int,
    ) -> None:
        self.sequences, self.pairs, self.tokenizer = sequences, pairs, tokenizer
        self.size, self.length, self.seed = size, length, seed

    def __call__(self, step: int) -> Batch:
        random = np.random.default_rng([self.seed, step])
        share = max(1, self.size // 2) if self.pairs else self.size
        rows = self.sequences[torch.from_numpy(random.integers(len(self.sequences), size=share))]
        batch: dict[str, Any] = {"text": self.masked(rows, None, step)}
        if self.pairs:
            chosen = [self.pairs[i] for i in random.integers(len(self.pairs), size=self.size)]
            texts, english = [c[0] for c in chosen], [c[1] for c in chosen]
            both = self.encode(texts, english)
            batch["pair"] = self.masked(both["input_ids"], both, step)
            batch["sentence"], batch["english"] = self.encode(texts), self.encode(english)
        return batch

    def encode(self, first: list[str], second: list[str] | None = None) -> Batch:
        return dict(
            self.tokenizer(
                first,
                second,
                truncation=True,
                max_length=self.length,
                padding=True,
                return_tensors="pt",
            )
        )

    def masked(self, ids: Tensor, encoded: Batch | None, step: int) -> Batch:
        hidden, labels = mask_tokens(ids, self.tokenizer, self.seed * 1_000_003 + step)
        rest = {k: v for k, v in (encoded or {}).items() if k != "input_ids"}
        return {
            "attention_mask": torch.ones_like(ids),
            **rest,
            "input_ids": hidden,
            "labels": labels,
        }
