"""Listwise: permutations in words, after reasoning where the rows have some.

Imitation of a teacher's order (RankGPT, arXiv 2304.09542), with a chain of thought before it the
second stage of DeAR (arXiv 2508.16998).
"""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.training.llm.asked import LLMObjective, Question, reasoned
from polyrank.training.llm.letters import permutation


class ListwiseObjective(LLMObjective):
    """A prompt for each question, with the teacher's order as its answer."""

    def answer(self, question: Question, shown: Sequence[int], names: Sequence[str]) -> str:
        order = permutation(question, shown, names)
        return reasoned(self.prompt, question.text("reasoning"), order)
