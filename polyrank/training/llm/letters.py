"""Letters (FIRST, arXiv 2406.15657): the order of a list by the logits of one position.

    L = γ · CE("A] > [C] > …") + λ · weighted RankNet(logits of the letters, teacher's order)

Documents are shown in an order of the step's own, so that a place tells nothing. With γ = 0 only
the first token learns; without a loss of scores it is plain imitation.
"""

from __future__ import annotations

from typing import Any

from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import LLMObjective, Question
from polyrank.training.llm.sample import Reading, Sample


class LettersObjective(LLMObjective):
    """A prompt for each question, with the scores of all documents read after it."""

    def __init__(self, renderer: Renderer, seen: int) -> None:
        super().__init__(renderer, seen)
        names = self.prompt.named(seen)
        self.letters = [token.id for token in renderer.tokens(names, names)]

    def samples(self, question: Question, random: Any) -> list[Sample]:
        shown = self.shuffled(question, random)
        names = self.prompt.named(len(shown))
        name_of = dict(zip(shown, names, strict=True))
        answer = self.said(" > ".join(f"[{name_of[place]}]" for place in question.order), names)
        readings = tuple(
            Reading(place, letter)
            for place, letter in zip(shown, self.letters[: len(shown)], strict=True)
        )
        return [Sample(self.asked(question, shown, names, answer), answer, readings)]
