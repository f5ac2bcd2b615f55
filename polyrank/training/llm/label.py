"""Label token: the score of a document is the logit of a word, less that of another.

    z = logit(true) − logit(false)      compared as lists, by any loss

Binary cross-entropy is ProRank's second stage (arXiv 2506.03487), `soft_pointwise` and then
`infonce` MemReranker's two (arXiv 2605.06132), and `0.9*infonce+0.1*kl(temperature=2)` DeAR's sum
(arXiv 2508.16998).
"""

from __future__ import annotations

from collections.abc import Sequence

from polyrank.errors import UsageError
from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.asked import LLMObjective
from polyrank.training.llm.sample import Reading


class LabelObjective(LLMObjective):
    """A prompt for each document, with its score read after it."""

    pointwise = True
    reads = True

    def __init__(self, renderer: Renderer, seen: int, room: int = 1) -> None:
        super().__init__(renderer, seen, room)
        labels = self.prompt.labels
        if not 1 <= len(labels) <= 2:
            raise UsageError(
                f"the prompt '{self.prompt.name}' has {len(labels)} labels; one or two are needed, "
                "the one for relevant first"
            )
        self.labels = [token.id for token in renderer.tokens(labels)]

    def readings(self, shown: Sequence[int]) -> list[Reading]:
        return [Reading(place, *self.labels) for place in shown]
