"""Letters (FIRST, arXiv 2406.15657): the order of a list by the logits of one position.

    L = γ · CE("A] > [C] > …") + λ · weighted RankNet(logits of the letters, teacher's order)

With γ = 0 only the first token learns; without a loss of scores it is plain imitation.
"""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import LLMObjective, Question
from polyrank.training.llm.sample import Reading


class LettersObjective(LLMObjective):
    """A prompt for each question, with the scores of all documents read after it."""

    reads = True

    def __init__(self, renderer: Renderer, seen: int, room: int = 1) -> None:
        super().__init__(renderer, seen, room)
        names = self.prompt.named(seen)
        self.letters = [token.id for token in renderer.tokens(names, names)]

    def answer(self, question: Question, shown: Sequence[int], names: Sequence[str]) -> str:
        return permutation(question, shown, names)

    def readings(self, shown: Sequence[int]) -> list[Reading]:
        return [Reading(place, letter) for place, letter in zip(shown, self.letters, strict=False)]


def permutation(question: Question, shown: Sequence[int], names: Sequence[str]) -> str:
    """The documents' names in the teacher's order, as `[C] > [A] > [B]`."""
    name_of = dict(zip(shown, names, strict=True))
    return " > ".join(f"[{name_of[place]}]" for place in question.order)
