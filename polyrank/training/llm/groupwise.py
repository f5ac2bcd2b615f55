"""Groupwise: grades of 0 to 10 for all documents of a group, in JSON.

The imitation before GroupRank's reinforcement (arXiv 2511.11653).
"""

from __future__ import annotations

import json
from typing import Any

from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import LLMObjective, Question, Scale, tagged
from polyrank.training.llm.sample import Sample


class GroupwiseObjective(LLMObjective):
    """A prompt for each question, with the grades of its documents as the answer."""

    scale = Scale(0, 10, whole=True, form="grades")

    def __init__(self, renderer: Renderer, seen: int) -> None:
        super().__init__(renderer, seen)
        self.prompt.named(seen)

    def samples(self, question: Question, random: Any) -> list[Sample]:
        shown = self.shuffled(question, random)
        names = self.prompt.named(len(shown))
        assert question.scores is not None  # rows without are refused before
        grades = {
            name: int(question.scores[place]) for name, place in zip(names, shown, strict=True)
        }
        text = tagged(self.prompt.output, question.text("reasoning"), json.dumps(grades))
        answer = self.said(text, names)
        return [Sample(self.asked(question, shown, names, answer), answer)]
