"""Setwise: the best document of a few, by its letter or in words (Rank-R1, arXiv 2503.06034).

With a prompt that begins answers with "[", the letters' logits are compared by InfoNCE, whose
positive is the row's; with one that reasons, `<answer>[3]</answer>` is imitated.
"""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import LLMObjective, Question, reasoned
from polyrank.training.llm.sample import Reading


class SetwiseObjective(LLMObjective):
    """A prompt for each question, with the choice as its answer."""

    def __init__(self, renderer: Renderer, seen: int, room: int = 1) -> None:
        super().__init__(renderer, seen, room)
        self.letters: list[int] = []
        if not self.prompt.output:  # then its scorer reads the logits of the names
            names = self.prompt.named(seen)
            self.letters = [token.id for token in renderer.tokens(names, names)]
            self.reads = True

    def answer(self, question: Question, shown: Sequence[int], names: Sequence[str]) -> str:
        best = names[list(shown).index(0)]
        return reasoned(self.prompt, question.text("reasoning"), f"[{best}]")

    def readings(self, shown: Sequence[int]) -> list[Reading]:
        return [Reading(place, letter) for place, letter in zip(shown, self.letters, strict=False)]
