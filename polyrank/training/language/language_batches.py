"""What a language module learns from: masked sequences of plain text, and sentence pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.training.language.masking import mask_tokens
from polyrank.training.language.sentence_pairs import SentencePairs
from polyrank.training.loop.steps import Batch


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
    """Batch of step i: what each loss of an objective reads.

    Args:
        sequences: masked language modelling draws from, (N, L); None for none.
        pairs: sentence pairs for alignment; None for none.
        translations: pairs whose two sides are masked together.
        tokenizer: of the base.
        size: sequences a step, and pairs masked together.
        length: tokens of two sides together.
        seed: of what is drawn and hidden.
    """

    def __init__(
        self,
        sequences: Tensor | None,
        pairs: SentencePairs | None,
        translations: Sequence[tuple[str, str]],
        tokenizer: Any,
        size: int,
        length: int,
        seed: int,
    ) -> None:
        self.sequences, self.pairs, self.translations = sequences, pairs, translations
        self.tokenizer, self.size, self.length, self.seed = tokenizer, size, length, seed

    def __call__(self, step: int) -> Batch:
        batch: dict[str, Any] = {}
        random = np.random.default_rng([self.seed, step])
        if self.sequences is not None:
            rows = torch.from_numpy(random.integers(len(self.sequences), size=self.size))
            batch["text"] = masked_rows(self.sequences[rows], self.tokenizer, self.seed, step)
        if self.translations:
            chosen = random.integers(len(self.translations), size=self.size)
            both = encode_pairs([self.translations[i] for i in chosen], self.tokenizer, self.length)
            ids = both.pop("input_ids")
            batch["pair"] = {**masked_rows(ids, self.tokenizer, self.seed, step), **both}
        if self.pairs is not None:
            batch |= self.pairs.batch(step)
        return batch


def encode_pairs(pairs: Sequence[tuple[str, str]], tokenizer: Any, length: int) -> dict[str, Any]:
    """Both sides in one sequence, each input (B, L)."""
    return dict(
        tokenizer(
            [text for text, _ in pairs],
            [english for _, english in pairs],
            truncation=True,
            max_length=length,
            padding=True,
            return_tensors="pt",
        )
    )


def masked_rows(ids: Tensor, tokenizer: Any, seed: int, step: int) -> dict[str, Tensor]:
    """Sequences without padding, (B, L), with some tokens hidden, and `labels`."""
    hidden, labels = mask_tokens(ids, tokenizer, seed * 1_000_003 + step)
    return {"input_ids": hidden, "attention_mask": torch.ones_like(ids), "labels": labels}
