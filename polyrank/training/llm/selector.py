"""Selector: a pseudo-answer, then the documents that were of use (arXiv 2507.19102).

The row's positives are of use; `pseudo_answer` is what a larger model wrote, else the first of the
row's `answers`.
"""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.training.llm.asked import LLMObjective, Question


class SelectorObjective(LLMObjective):
    """A prompt for each question, with the choice as its answer."""

    def answer(self, question: Question, shown: Sequence[int], names: Sequence[str]) -> str:
        chosen = f"Selected: [{names[list(shown).index(0)]}]"
        pseudo = self.renderer.safe(question.text("pseudo_answer")).strip()
        return f"{pseudo}\n{chosen}" if pseudo else chosen
