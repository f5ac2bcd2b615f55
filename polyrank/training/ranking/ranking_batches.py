"""What a cross-encoder learns from: questions with a positive and negatives, as encoded pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polyrank.collections.records import Document
from polyrank.training.examples.drawing import draw, existing_candidates, teacher_scores
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
        drawn = draw(self.examples, step, self.queries, self.negatives, self.seed)
        firsts, seconds = [], []
        for each in drawn:
            for document in each.candidates:
                firsts.append(self.prefixes[0] + each.example.query.text)
                seconds.append(self.prefixes[1] + self.passages[document].full_text)
        encoded = self.tokenizer(
            firsts,
            seconds,
            truncation="longest_first",
            max_length=self.length,
            padding=True,
            return_tensors="pt",
        )
        mask = existing_candidates(drawn)
        batch: dict[str, Any] = {"pairs": dict(encoded), "mask": mask}
        if all(each.example.teacher is not None for each in drawn):
            batch["teacher"] = teacher_scores(drawn, mask.shape[1])
        return batch
