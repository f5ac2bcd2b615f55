"""Selector: a pseudo-answer, then the documents that were of use (arXiv 2507.19102).

The row's positives are of use; `pseudo_answer` is what a larger model wrote, else the first of the
row's `answers`.
"""

from __future__ import annotations

from typing import Any

from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import LLMObjective, Question
from polyrank.training.llm.sample import Sample

SELECTED = "Selected:"


class SelectorObjective(LLMObjective):
    """A prompt for each question, with the choice as its answer."""

    def __init__(self, renderer: Renderer, seen: int) -> None:
        super().__init__(renderer, seen)
        self.prompt.named(seen)

    def samples(self, question: Question, random: Any) -> list[Sample]:
        shown = self.shuffled(question, random)
        names = self.prompt.named(len(shown))
        chosen = f"{SELECTED} [{names[shown.index(0)]}]"
        pseudo = self.renderer.safe(question.text("pseudo_answer")).strip()
        answer = self.said(f"{pseudo}\n{chosen}" if pseudo else chosen, names)
        return [Sample(self.asked(question, shown, names, answer), answer)]
