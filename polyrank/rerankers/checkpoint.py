"""A standalone cross-encoder: any sequence classifier of one logit, without modules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch

from polyrank.collections.records import Document, Query
from polyrank.errors import ModuleError
from polyrank.rerankers.scorer import PairScorer, as_dtype, shortened

Row = tuple[tuple[int, ...], tuple[int, ...]]  # token ids, token types


class CheckpointReranker(PairScorer):
    """Scores pairs by a Hugging Face sequence classifier, as `polyrank compose --checkpoint` writes
    one from masks, or as another system has trained it.

    Args:
        folder: with the model and its tokenizer.
        max_length: tokens of a pair that are read; the longer side is cut first.
        batch_tokens: tokens in one batch, padding included.
        device: 'cpu', 'cuda', ...; by default a GPU when there is one.
        dtype: 'float32' (default), 'bfloat16' or 'float16'.

    Raises:
        ModuleError: a folder without such a model, or one with several logits.
    """

    def __init__(
        self,
        folder: str | Path,
        max_length: int = 256,
        batch_tokens: int = 16384,
        device: str | None = None,
        dtype: str | torch.dtype | None = None,
    ) -> None:
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        try:
            model = AutoModelForSequenceClassification.from_pretrained(
                folder, dtype=as_dtype(dtype), trust_remote_code=False
            )
            self.tokenizer = AutoTokenizer.from_pretrained(folder, use_fast=True)
        except (OSError, ValueError, TypeError) as error:
            raise ModuleError(
                f"the model in '{folder}' cannot be read: {error}\n"
                "Give a folder that save_pretrained wrote, with the model and its tokenizer."
            ) from error
        if model.config.num_labels != 1:
            raise ModuleError(
                f"the model in '{folder}' has {model.config.num_labels} outputs, but a ranker has "
                "one.\nGive a sequence classifier of one logit."
            )
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.model = model.to(self.device).eval()
        self.max_length, self.batch_tokens = max_length, batch_tokens
        self.notes: Counter[str] = Counter()

    def score(self, pairs: Sequence[tuple[Query, Document]]) -> list[float]:
        """Raw logits of pairs, higher is better, in the order given."""
        if not pairs:
            return []
        positions = getattr(self.model.config, "max_position_embeddings", self.max_length + 2)
        longest = min(self.max_length, positions - 2)  # RoBERTa-like ones keep two for padding
        encoding = self.tokenizer(
            [shortened(query.text, self.tokenizer, longest) for query, _ in pairs],
            [shortened(document.full_text, self.tokenizer, longest) for _, document in pairs],
            truncation="longest_first",
            max_length=longest,
            padding=False,
            return_token_type_ids=True,
        )
        cut = sum(bool(row.overflowing) for row in encoding.encodings)
        if cut:
            self.notes[f"pairs cut to {longest} tokens"] += cut
        rows = [
            (tuple(ids), tuple(types))
            for ids, types in zip(encoding["input_ids"], encoding["token_type_ids"], strict=True)
        ]
        return self.in_batches(rows, lambda row: len(row[0]), self._forward)

    @torch.inference_mode()
    def _forward(self, rows: Sequence[Row]) -> list[float]:
        """Logits of one batch."""
        length = max(len(ids) for ids, _ in rows)
        pad = self.tokenizer.pad_token_id or 0
        padded = [[*ids, *[pad] * (length - len(ids))] for ids, _ in rows]  # (B, L)
        attended = [[1] * len(ids) + [0] * (length - len(ids)) for ids, _ in rows]
        inputs = {
            "input_ids": torch.tensor(padded, device=self.device),
            "attention_mask": torch.tensor(attended, device=self.device),
        }
        if getattr(self.model.config, "type_vocab_size", 0) > 1:
            types = [[*kinds, *[0] * (length - len(kinds))] for _, kinds in rows]
            inputs["token_type_ids"] = torch.tensor(types, device=self.device)
        logits: list[float] = self.model(**inputs).logits.float().squeeze(-1).tolist()
        return logits
