"""Groupwise: grades of 0 to 10 for all documents of a group, in JSON.

The imitation before GroupRank's reinforcement (arXiv 2511.11653).
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from polyrank.training.llm.asked import LLMObjective, Question, Scale, reasoned


class GroupwiseObjective(LLMObjective):
    """A prompt for each question, with the grades of its documents as the answer."""

    scale = Scale(0, 10, whole=True, form="grades")

    def answer(self, question: Question, shown: Sequence[int], names: Sequence[str]) -> str:
        assert question.scores is not None  # rows without are refused before
        grades = {
            name: int(question.scores[place]) for name, place in zip(names, shown, strict=True)
        }
        return reasoned(self.prompt, question.text("reasoning"), json.dumps(grades))
