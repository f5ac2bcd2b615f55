"""Listwise: permutations in words, after reasoning where the rows have some.

Imitation of a teacher's order (RankGPT, arXiv 2304.09542), with a chain of thought before it the
second stage of DeAR (arXiv 2508.16998).
"""

from __future__ import annotations

from typing import Any

from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import LLMObjective, Question, tagged
from polyrank.training.llm.sample import Sample


class ListwiseObjective(LLMObjective):
    """A prompt for each question, with the teacher's order as its answer."""

    def __init__(self, renderer: Renderer, seen: int) -> None:
        super().__init__(renderer, seen)
        self.prompt.named(seen)  # refused here when there are too few names

    def samples(self, question: Question, random: Any) -> list[Sample]:
        shown = self.shuffled(question, random)
        names = self.prompt.named(len(shown))
        name_of = dict(zip(shown, names, strict=True))
        order = " > ".join(f"[{name_of[place]}]" for place in question.order)
        text = tagged(self.prompt.output, question.text("reasoning"), order)
        answer = self.said(text, names)
        return [Sample(self.asked(question, shown, names, answer), answer)]
