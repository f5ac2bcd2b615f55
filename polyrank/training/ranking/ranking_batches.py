"""What a cross-encoder learns from: questions with a positive and negatives, as encoded pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from polyrank.collections.records import Document
from polyrank.training.examples.negatives import Example
from polyrank.training.loop.steps import Batch


class Batches:
    """Batch of step i: questions with one positive and some negatives each, as encoded pairs.

    Args:
        prefixes: put before questions and before passages.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        passages: dict[str, Document],
        tokenizer: Any,
        queries: int,
        negatives: int,
        length: int,
        seed: int,
        prefixes: tuple[str, str] = ("", ""),
    ) -> None:
        self.examples, self.passages, self.tokenizer = examples, passages, tokenizer
        self.queries, self.negatives, self.length, self.seed = queries, negatives, length, seed
        self.prefixes = prefixes

    def __call__(self, step: int) -> Batch:
        random = np.random.default_rng([self.seed, step])
        turn = step * self.queries + np.arange(self.queries)
        epoch, place = turn // len(self.examples), turn % len(self.examples)
        rows, firsts, seconds = [], [], []
        for lap, index in zip(epoch, place, strict=True):
            order = np.random.default_rng([self.seed, 7, int(lap)]).permutation(len(self.examples))
            example = self.examples[order[index]]
            chosen = random.permutation(len(example.negatives))[: self.negatives]
            positive = example.positives[random.integers(len(example.positives))]
            rows.append((example, positive, chosen))
            for document in [positive, *(example.negatives[c] for c in chosen)]:
                firsts.append(self.prefixes[0] + example.query.text)
                seconds.append(self.prefixes[1] + self.passages[document].full_text)
        encoded = self.tokenizer(
            firsts,
            seconds,
            truncation="longest_first",
            max_length=self.length,
            padding=True,
            return_tensors="pt",
        )
        width = 1 + max(len(chosen) for _, _, chosen in rows)
        mask = torch.tensor([[c <= len(chosen) for c in range(width)] for _, _, chosen in rows])
        batch: dict[str, Any] = {"pairs": dict(encoded), "mask": mask}
        if all(example.teacher is not None for example, _, _ in rows):
            teacher = torch.zeros(mask.shape)
            for row, (example, positive, chosen) in enumerate(rows):
                scores = example.scores(positive, chosen)
                teacher[row, : len(scores)] = torch.tensor(scores)
            batch["teacher"] = teacher
        return batch
