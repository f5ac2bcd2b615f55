"""Contribution and evidence (Prism, arXiv 2604.23734).

    L = γ · CE(verdict, contribution, evidence) + MSE(σ(z), teacher's score in [0, 1])

Each document has its score where the row has scores. A share of the documents (the paper's ratio
is .3) is also answered: a negative with "no", the positive with "yes" and its texts, where the row
has both. The verdict is part of what is imitated.
"""

from __future__ import annotations

from typing import Any

from polyrank.errors import UsageError
from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import Question, Scale
from polyrank.training.llm.label import LabelObjective
from polyrank.training.llm.sample import Ids, Sample

RATIO = 0.3  # of documents that are answered


class EvidenceObjective(LabelObjective):
    """A prompt for each document, with its score, its answer, or both."""

    scale = Scale(0, 1, whole=False, form="chances")

    def __init__(self, renderer: Renderer, seen: int, ratio: float = RATIO) -> None:
        super().__init__(renderer, seen)
        if len(self.labels) != 2:
            raise UsageError(
                f"the prompt '{self.prompt.name}' needs two labels, for yes and no, since both are "
                "said"
            )
        self.ratio = ratio

    def samples(self, question: Question, random: Any) -> list[Sample]:
        answered = random.random(len(question.documents)) < self.ratio
        samples = []
        for place in range(len(question.documents)):
            answer = self._answer(question, place) if answered[place] else ()
            prompt = self.asked(question, [place], answer=answer)
            samples.append(Sample(prompt, answer, (self.reading(place),)))
        return samples

    def _answer(self, question: Question, place: int) -> Ids:
        """What the model is to say of a document; nothing where the row does not know."""
        yes, no = self.prompt.labels
        if place:
            return self.said(no)
        document = question.documents[place]
        texts = [
            self.renderer.safe(question.text(name, document)).strip()
            for name in ("contribution", "evidence")
        ]
        if not all(texts):
            return ()
        contribution, evidence = texts
        return self.said(
            f"{yes}\n<contribution>{contribution}</contribution>\n<evidence>{evidence}</evidence>"
        )
