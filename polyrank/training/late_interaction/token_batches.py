"""Batches of late-interaction training: questions, and all their passages to share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from polyrank.collections.records import Document
from polyrank.late_interaction.marked_text import MarkedText, padded
from polyrank.training.examples.drawing import draw, existing_candidates, teacher_scores
from polyrank.training.examples.negatives import Example, is_wrong
from polyrank.training.loop.steps import Batch


class TokenBatches:
    """Batch of step i.

    A batch holds `queries` and `passages` (ids, attended, scored; each (rows, L)), and of B
    questions with at most N candidates among M passages: `place` (B, N), the passages of each
    question, its positive first; `mask` (B, N), which of these exist; `allowed` (B, M), which
    passages count for it in the batch; `teacher` (B, N), where there are scores.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        passages: dict[str, Document],
        text: MarkedText,
        skipped: Tensor,
        queries: int,
        negatives: int,
        seed: int,
    ) -> None:
        self.examples, self.passages, self.text, self.skipped = examples, passages, text, skipped
        self.queries, self.negatives, self.seed = queries, negatives, seed

    def __call__(self, step: int) -> Batch:
        drawn = draw(self.examples, step, self.queries, self.negatives, self.seed)
        ids: list[str] = []
        places: list[list[int]] = []
        for each in drawn:
            mine = each.candidates
            places.append(list(range(len(ids), len(ids) + len(mine))))
            ids += mine
        pad = self.text.tokenizer.pad_token_id or 0
        query_rows, _ = self.text.queries([example.query.text for example, _, _ in drawn])
        passage_rows, _ = self.text.documents([self.passages[i].full_text for i in ids])
        query_ids, query_attended, query_scored = padded(query_rows, pad)
        passage_ids, passage_attended, passage_scored = padded(
            passage_rows, pad, skipped=self.skipped
        )
        mask = existing_candidates(drawn)
        width = mask.shape[1]
        batch: dict[str, Any] = {
            "queries": {"ids": query_ids, "attended": query_attended, "scored": query_scored},
            "passages": {
                "ids": passage_ids,
                "attended": passage_attended,
                "scored": passage_scored,
            },
            "place": torch.tensor([[*row, *[row[0]] * (width - len(row))] for row in places]),
            "mask": mask,
            "allowed": self._allowed([example for example, _, _ in drawn], ids, places),
        }
        if all(example.teacher is not None for example, _, _ in drawn):
            batch["teacher"] = teacher_scores(drawn, width)
        return batch

    def _allowed(
        self, examples: Sequence[Example], ids: Sequence[str], places: Sequence[Sequence[int]]
    ) -> Tensor:
        """A question's own candidates, and passages of others that do not answer it: (B, M)."""
        allowed = [
            [is_wrong(example, self.passages[passage]) for passage in ids] for example in examples
        ]
        for row, mine in zip(allowed, places, strict=True):
            for place in mine:
                row[place] = True
        return torch.tensor(allowed)
