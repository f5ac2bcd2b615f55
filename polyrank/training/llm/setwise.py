"""Setwise: the best document of a few, by its letter or in words (Rank-R1, arXiv 2503.06034).

With a prompt that begins answers with "[", the letters' logits are compared by InfoNCE, whose
positive is the row's; with one that reasons, `<answer>[3]</answer>` is imitated.
"""

from __future__ import annotations

from typing import Any

from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import LLMObjective, Question, tagged
from polyrank.training.llm.sample import Reading, Sample


class SetwiseObjective(LLMObjective):
    """A prompt for each question, with the choice as its answer."""

    def __init__(self, renderer: Renderer, seen: int) -> None:
        super().__init__(renderer, seen)
        self.letters: list[int] = []
        if not self.prompt.output:  # its scorer reads the logits of the names
            names = self.prompt.named(seen)
            self.letters = [token.id for token in renderer.tokens(names, names)]

    def samples(self, question: Question, random: Any) -> list[Sample]:
        shown = self.shuffled(question, random)
        names = self.prompt.named(len(shown))
        best = names[shown.index(0)]
        text = tagged(self.prompt.output, question.text("reasoning"), f"[{best}]")
        answer = self.said(text, names)
        readings = tuple(
            Reading(place, letter) for place, letter in zip(shown, self.letters, strict=False)
        )
        return [Sample(self.asked(question, shown, names, answer), answer, readings)]
