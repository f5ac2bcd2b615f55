"""Batches of late-interaction training: questions, and all their passages to share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyrank.collections.records import Document
from polyrank.late_interaction.marked_text import MarkedText, padded
from polyrank.training.examples.negatives import Example, is_wrong
from polyrank.training.loop.steps import Batch


def draw(
    examples: Sequence[Example], step: int, queries: int, negatives: int, seed: int
) -> list[tuple[Example, str, list[int]]]:
    """The questions of step i, each with one of its positives and the places of some negatives.

    Every epoch goes through all examples in an order of its own; the draw depends on the seed and
    the step alone.
    """
    random = np.random.default_rng([seed, step])
    turn = step * queries + np.arange(queries)
    epoch, place = turn // len(examples), turn % len(examples)
    found = []
    for lap, index in zip(epoch, place, strict=True):
        order = np.random.default_rng([seed, 7, int(lap)]).permutation(len(examples))
        example = examples[order[index]]
        chosen = random.permutation(len(example.negatives))[:negatives]
        positive = example.positives[random.integers(len(example.positives))]
        found.append((example, positive, chosen.tolist()))
    return found


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
        for example, positive, chosen in drawn:
            mine = [positive, *(example.negatives[c] for c in chosen)]
            places.append(list(range(len(ids), len(ids) + len(mine))))
            ids += mine
        pad = self.text.tokenizer.pad_token_id or 0
        query_rows, _ = self.text.queries([example.query.text for example, _, _ in drawn])
        passage_rows, _ = self.text.documents([self.passages[i].full_text for i in ids])
        query_ids, query_attended, query_scored = padded(query_rows, pad)
        passage_ids, passage_attended, passage_scored = padded(
            passage_rows, pad, skipped=self.skipped
        )
        width = 1 + max(len(chosen) for _, _, chosen in drawn)
        batch: dict[str, Any] = {
            "queries": {"ids": query_ids, "attended": query_attended, "scored": query_scored},
            "passages": {
                "ids": passage_ids,
                "attended": passage_attended,
                "scored": passage_scored,
            },
            "place": torch.tensor([[*row, *[row[0]] * (width - len(row))] for row in places]),
            "mask": torch.tensor([[n < len(row) for n in range(width)] for row in places]),
            "allowed": self._allowed([example for example, _, _ in drawn], ids, places),
        }
        if all(example.teacher is not None for example, _, _ in drawn):
            batch["teacher"] = _teacher(drawn, width)
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


def _teacher(drawn: Sequence[tuple[Example, str, list[int]]], width: int) -> Tensor:
    teacher = torch.zeros(len(drawn), width)
    for row, (example, positive, chosen) in enumerate(drawn):
        scores = example.scores(positive, chosen)
        teacher[row, : len(scores)] = torch.tensor(scores)
    return teacher
