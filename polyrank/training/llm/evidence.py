"""Contribution and evidence (Prism, arXiv 2604.23734).

    L = γ · CE(verdict, contribution, evidence) + MSE(σ(z), teacher's score in [0, 1])

Each document has its score where the row has scores. A share of the documents (the paper's ratio
is .3) is also answered: a negative with "no", the positive with "yes" and its texts, where the row
has both. The verdict is part of what is imitated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from torch import Tensor

from polyrank.errors import UsageError
from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import Question, Scale
from polyrank.training.llm.label import LabelObjective
from polyrank.training.llm.sample import Sample

RATIO = 0.3  # of documents that are answered


class EvidenceObjective(LabelObjective):
    """A prompt for each document, with its score, and of some with an answer."""

    scale = Scale(0, 1, whole=False, form="chances")

    def __init__(self, renderer: Renderer, seen: int, room: int = 1, ratio: float = RATIO) -> None:
        super().__init__(renderer, seen, room)
        if len(self.labels) != 2:
            raise UsageError(
                f"the prompt '{self.prompt.name}' needs two labels, for yes and no, since both are "
                "said"
            )
        self.ratio = ratio

    def targets(self, scores: Tensor) -> Tensor:
        """Their logits, as `sigmoid_mse` takes the sigmoid of a teacher's scores."""
        return scores.logit(eps=1e-6)

    def answer(self, question: Question, shown: Sequence[int], names: Sequence[str]) -> str:
        yes, no = self.prompt.labels
        (place,) = shown
        if place:
            return no
        contribution, evidence = (
            self.renderer.safe(question.text(name, question.documents[place])).strip()
            for name in ("contribution", "evidence")
        )
        if not (contribution and evidence):
            return ""  # the row does not know
        return (
            f"{yes}\n<contribution>{contribution}</contribution>\n<evidence>{evidence}</evidence>"
        )

    def samples(self, question: Question, random: Any, answered: bool = True) -> list[Sample]:
        samples = super().samples(question, random, answered)
        chosen = random.random(len(samples)) < self.ratio
        return [
            sample if keep else replace(sample, answer=())
            for sample, keep in zip(samples, chosen, strict=True)
        ]
