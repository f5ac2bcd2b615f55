"""Batch of step i: what an objective asks about the questions of that step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from polyrank.collections.records import Document
from polyrank.training.examples.drawing import Drawn, draw, existing_candidates, teacher_scores
from polyrank.training.examples.negatives import Example
from polyrank.training.llm.asked import LLMObjective, Question
from polyrank.training.llm.sample import Sample, collated
from polyrank.training.loop.steps import Batch


class LLMBatches:
    """Questions with one positive and some negatives each, as prompts.

    Args:
        language: of questions and passages, which prompts may name.
        switch: the step from which the recipe's second loss counts.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        passages: Mapping[str, Document],
        objective: LLMObjective,
        language: str,
        queries: int,
        negatives: int,
        seed: int,
        switch: int,
    ) -> None:
        self.examples, self.passages, self.objective = examples, passages, objective
        self.language, self.queries, self.negatives = language, queries, negatives
        self.seed, self.switch = seed, switch

    def __call__(self, step: int) -> Batch:
        drawn = self._drawn(step)
        asked = [samples for _, samples in self._asked(drawn, step, answered=True)]
        mask = existing_candidates(drawn)
        taught = torch.tensor([each.example.teacher is not None for each in drawn])
        batch: dict[str, Any] = {
            **collated(asked, self.objective.pad),
            "mask": mask,
            "taught": taught,
            "teacher": torch.zeros(mask.shape),
            "stage": torch.tensor(int(step >= self.switch)),
        }
        for row, each in enumerate(drawn):
            if each.example.teacher is not None:
                scores = teacher_scores([each], mask.shape[1])[0]
                batch["teacher"][row] = self.objective.targets(scores)
        return batch

    def unanswered(self, step: int) -> list[tuple[Question, list[Sample]]]:
        """The questions of a step with their prompts, without answers to imitate."""
        return self._asked(self._drawn(step), step, answered=False)

    def _asked(
        self, drawn: Sequence[Drawn], step: int, answered: bool
    ) -> list[tuple[Question, list[Sample]]]:
        random = np.random.default_rng([self.seed, 11, step])  # what an objective shuffles
        questions = map(self._question, drawn)
        return [(one, self.objective.samples(one, random, answered)) for one in questions]

    def _drawn(self, step: int) -> list[Drawn]:
        return draw(self.examples, step, self.queries, self.negatives, self.seed)

    def _question(self, drawn: Drawn) -> Question:
        example = drawn.example
        documents = tuple(
            replace(self.passages[name], language=self.language) for name in drawn.candidates
        )
        scores = example.scores(drawn.positive, drawn.chosen) if example.teacher else None
        query = replace(example.query, language=self.language)
        texts = dict(zip(("pseudo_answer",), example.answers, strict=False)) | dict(example.texts)
        return Question(query, documents, None if scores is None else tuple(scores), texts)
