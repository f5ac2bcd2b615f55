"""Setwise: the model picks the best document of a few, and a sort does the rest.

Rank-R1 (arXiv 2503.06034) reasons before it picks, among up to 20; setwise prompting (2310.09497)
reads the logits of the documents' names. Heap sort or a tournament finds the best `top`; the rest
keep the order of the first stage below them.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from polyrank.errors import UsageError
from polyrank.rerankers.llm.answers import choice_of, part
from polyrank.rerankers.llm.engines.base import Engine, Token
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
from polyrank.rerankers.llm.sorting import SORTS


class SetwiseReranker(LLMReranker):
    """Finds the best `top` documents by picks among up to `window`.

    Args:
        window: documents in one prompt.
        top: how many places are sorted out.
        sort: heap or tournament.

    With a prompt that has `output` the pick is generated, with reasoning where it asks for it, else
    it is the name with the highest logit. An answer that names none of the documents shown picks
    the one that stood first, and is counted.

    Details: `reasoning` of the picks that a document won.
    """

    scorer = "setwise"
    default_prompt = "setwise"

    def __init__(
        self,
        engine: Engine,
        prompt: str | Prompt | None = None,
        window: int = 20,
        top: int = 10,
        sort: str = "heap",
        **shared: Any,
    ) -> None:
        check_window(window)
        if sort not in SORTS:
            raise UsageError(f"unknown sort '{sort}'; use one of {', '.join(SORTS)}")
        if top < 1:
            raise UsageError(f"top {top} sorts nothing; take 1 or more")
        super().__init__(engine, prompt, window=window, top=top, sort=sort, **shared)
        self.window, self.top, self.sort = window, top, sort
        names = self.prompt.named(window)
        self.tokens: tuple[Token, ...] = ()
        if not self.prompt.output:
            self.tokens = self.renderer.tokens(names, names)

    def _rank(self, job: Job) -> Work:
        details: Details = {}

        def pick(places: tuple[int, ...]) -> Generator[Ask, list[Any], int]:
            documents = [job.documents[place] for place in places]
            names = self.prompt.named(len(places))
            generates = bool(self.prompt.output)
            room = self.prompt.max_tokens if generates else 1
            prompt = job.render(documents, names, answer_tokens=room)
            if not generates:
                (logits,) = yield Ask([prompt], self.tokens[: len(places)])
                return places[max(range(len(places)), key=lambda place: logits[place])]
            (answer,) = yield Ask([prompt])
            said, faults = part(answer.text, self.prompt.output)
            chosen, more = choice_of(said, names)
            job.malformed(faults, more)
            if chosen is None:
                return places[0]
            won = details.setdefault(documents[chosen].id, {"reasoning": []})
            won["reasoning"].append(answer.text)
            return places[chosen]

        sorting = SORTS[self.sort](len(job.documents), self.top, self.window)
        return in_order(job.request, (yield from answered(sorting, pick)), details)
