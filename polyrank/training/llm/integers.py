"""Integers: a grade for each document, in one token or after reasoning (ERank, arXiv 2509.00520).

The row's scores are the grades; `polyrank train labels --form grades` makes them.
"""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.errors import UsageError
from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import LLMObjective, Question, Scale, reasoned


class IntegersObjective(LLMObjective):
    """A prompt for each document, with its grade as the answer."""

    pointwise = True

    def __init__(self, renderer: Renderer, seen: int, room: int = 1) -> None:
        super().__init__(renderer, seen, room)
        try:
            levels = [int(label) for label in self.prompt.labels]
        except ValueError:
            levels = []
        if len(levels) < 2:
            raise UsageError(
                f"the prompt '{self.prompt.name}' has no labels that are whole numbers, such as "
                "0 to 9; grades need them"
            )
        self.scale = Scale(min(levels), max(levels), whole=True, form="grades")
        if not self.prompt.output:
            renderer.tokens(self.prompt.labels)  # refused here when one is several tokens

    def answer(self, question: Question, shown: Sequence[int], names: Sequence[str]) -> str:
        assert question.scores is not None  # rows without are refused before
        (place,) = shown
        reasoning = question.text("reasoning", question.documents[place])
        return reasoned(self.prompt, reasoning, str(int(question.scores[place])))
