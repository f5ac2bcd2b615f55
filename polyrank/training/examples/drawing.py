"""Which questions a step takes, and which of their passages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from polyrank.training.examples.negatives import Example


class Drawn(NamedTuple):
    """A question of a step: one of its positives, and the places of some of its negatives."""

    example: Example
    positive: str
    chosen: list[int]

    @property
    def candidates(self) -> list[str]:
        """The positive, then the negatives."""
        return [self.positive, *(self.example.negatives[place] for place in self.chosen)]


def draw(
    examples: Sequence[Example], step: int, queries: int, negatives: int, seed: int
) -> list[Drawn]:
    """The questions of step i.

    Every epoch goes through all examples in an order of its own; the draw depends on the seed and
    the step alone.
    """
    random = np.random.default_rng([seed, step])
    turn = step * queries + np.arange(queries)
    epoch, place = turn // len(examples), turn % len(examples)
    drawn = []
    for lap, index in zip(epoch, place, strict=True):
        order = np.random.default_rng([seed, 7, int(lap)]).permutation(len(examples))
        example = examples[order[index]]
        chosen = random.permutation(len(example.negatives))[:negatives]
        positive = example.positives[random.integers(len(example.positives))]
        drawn.append(Drawn(example, positive, chosen.tolist()))
    return drawn


def existing_candidates(drawn: Sequence[Drawn]) -> Tensor:
    """Where a question has a candidate, (B, N); the others are padding."""
    width = max(len(each.candidates) for each in drawn)
    return torch.tensor([[n < len(each.candidates) for n in range(width)] for each in drawn])


def teacher_scores(drawn: Sequence[Drawn], width: int) -> Tensor:
    """The teacher's scores of the candidates, (B, N), the positive's first; 0 at padding."""
    teacher = torch.zeros(len(drawn), width)
    for row, (example, positive, chosen) in enumerate(drawn):
        scores = example.scores(positive, chosen)
        teacher[row, : len(scores)] = torch.tensor(scores)
    return teacher
