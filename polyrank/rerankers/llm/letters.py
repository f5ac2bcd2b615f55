"""Letters (FIRST, arXiv 2406.15657): the order of a window from one token.

The documents of a window carry letters, the answer is made to begin with "[", and

    s_i = logit of the letter of document i as the next token.

One pass a window and nothing decoded. Longer lists go through a sliding window from the tail.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from polyrank.rerankers.llm.engines.base import Engine
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.rerankers.llm.reranker import (
    Ask,
    Details,
    Job,
    LLMReranker,
    Work,
    answered,
    check_window,
    in_order,
)
from polyrank.rerankers.llm.windows import windows


class LetterReranker(LLMReranker):
    """Ranks windows by the logits of the documents' names.

    Args:
        window: documents in one prompt; the prompt must have as many names of one token.
        step: by how much it moves; window − step documents are carried on.

    Equal logits go by document id. Scores of hits say the order only: n, n − 1, …, 1.

    Details: `logit`, in the last window that saw the document.
    """

    scorer = "letters"
    default_prompt = "letters"

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
        self.tokens = self.renderer.tokens(self.prompt.named(window), self.prompt.named(window))

    def _rank(self, job: Job) -> Work:
        details: Details = {}

        def order(places: Sequence[int]) -> Generator[Ask, list[Any], list[int]]:
            documents = [job.documents[place] for place in places]
            prompt = job.render(documents, self.prompt.named(len(places)))
            (logits,) = yield Ask([prompt], self.tokens[: len(places)])
            for document, logit in zip(documents, logits, strict=True):
                details[document.id] = {"logit": logit}
            by_logit = zip(logits, (document.id for document in documents), places, strict=True)
            return [place for _, _, place in sorted(by_logit, key=lambda row: (-row[0], row[1]))]

        sliding = windows(len(job.documents), self.window, self.step)
        return in_order(job.request, (yield from answered(sliding, order)), details)
