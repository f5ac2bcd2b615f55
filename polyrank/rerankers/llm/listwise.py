"""Listwise generation: the model writes a permutation of a window, "[2] > [1] > [3]".

RankGPT (arXiv 2304.09542); with a chain of thought, DeAR's second stage (2508.16998): what is
needed, what matches, how it ranks. Longer lists go through a sliding window from the tail.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from polyrank.rerankers.base import Request
from polyrank.rerankers.llm.answers import order_of, part
from polyrank.rerankers.llm.engines.base import Engine
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.rerankers.llm.reranker import (
    Ask,
    Job,
    LLMReranker,
    Work,
    answered,
    check_window,
    in_order,
)
from polyrank.rerankers.llm.windows import windows


class ListwiseReranker(LLMReranker):
    """Ranks windows by permutations that the model writes.

    Args:
        window: documents in one prompt.
        step: by how much it moves; window − step documents are carried on.

    Permutations are repaired: names that were said twice or were not shown are dropped, documents
    that are missing follow in their present order, and each is counted. Scores of hits say the
    order only: n, n − 1, …, 1.
    """

    scorer = "listwise"
    default_prompt = "listwise"

    def __init__(
        self,
        engine: Engine,
        prompt: str | Prompt | None = None,
        window: int = 20,
        step: int = 10,
        **shared: Any,
    ) -> None:
        check_window(window, step)
        super().__init__(engine, prompt, window=window, step=step, **shared)
        self.window, self.step = window, step
        self.prompt.named(window)  # refused here when there are too few names

    def _rank(self, job: Job) -> Work:
        shown = self._shown_scores(job.request)

        def order(places: Sequence[int]) -> Generator[Ask, list[Any], list[int]]:
            if len(places) == 1:
                return list(places)
            names = self.prompt.named(len(places))
            prompt = job.render(
                [job.documents[place] for place in places],
                names,
                [shown[place] for place in places] if shown else (),
                answer_tokens=self.prompt.max_tokens,
            )
            (answer,) = yield Ask([prompt])
            said, faults = part(answer.text, self.prompt.output)
            found, more = order_of(said, names)
            job.malformed(faults, more)
            return [places[place] for place in found]

        sliding = windows(len(job.documents), self.window, self.step)
        return in_order(job.request, (yield from answered(sliding, order)))

    def _shown_scores(self, request: Request) -> list[str]:
        """What the prompt says of each document's first-stage score: nothing, here."""
        return []
