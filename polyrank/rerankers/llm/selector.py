"""Selector by utility (arXiv 2507.19102): a pseudo-answer, then the documents that were of use.

Not an order but a subset of any size. Windows go from the head of the list to its tail; the first
shows `window` documents, each later one what was chosen so far, at most `carry`, and new documents
up to `window`. What the last window chooses is the answer.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from typing import Any

from polyrank.collections.records import Run
from polyrank.errors import UsageError
from polyrank.rerankers.base import Ranking
from polyrank.rerankers.llm.answers import part, subset_of
from polyrank.rerankers.llm.engines.base import Engine
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.rerankers.llm.reranker import (
    Ask,
    Details,
    Job,
    LLMReranker,
    Work,
    check_window,
    in_order,
)


class SelectorReranker(LLMReranker):
    """Chooses the documents that help to answer.

    Args:
        window: documents in one prompt.
        carry: how many chosen ones go on to the next window, and are chosen in the end, at most.

    Hits are those chosen, in the order in which the model named them, then the rest in the order of
    the first stage; scores say the order only. More than `carry` are cut to the first of them, and
    counted. An answer that cannot be read adds no new document to those carried, and is counted.

    Details: `selected` for every document, and `pseudo_answer` of the last window for those chosen.
    """

    scorer = "selector"
    default_prompt = "selector"

    def __init__(
        self,
        engine: Engine,
        prompt: str | Prompt | None = None,
        window: int = 20,
        carry: int = 10,
        **shared: Any,
    ) -> None:
        check_window(window)
        if not 1 <= carry < window:
            raise UsageError(f"carry {carry} with a window of {window}: take 1 to {window - 1}")
        super().__init__(engine, prompt, window=window, carry=carry, **shared)
        self.window, self.carry = window, carry
        self.prompt.named(window)

    def _rank(self, job: Job) -> Work:
        chosen: list[int] = []
        pseudo, shown = "", 0
        while shown < len(job.documents):
            fresh = list(range(shown, min(len(job.documents), shown + self.window)))
            fresh = fresh[: self.window - len(chosen)]
            shown += len(fresh)
            chosen, pseudo = yield from self._choose(job, [*chosen, *fresh], len(chosen))
        rest = [place for place in range(len(job.documents)) if place not in chosen]
        details: Details = {
            document.id: {"selected": place in chosen}
            | ({"pseudo_answer": pseudo} if place in chosen else {})
            for place, document in enumerate(job.documents)
        }
        return in_order(job.request, [*chosen, *rest], details)

    def _choose(
        self, job: Job, places: list[int], carried: int
    ) -> Generator[Ask, list[Any], tuple[list[int], str]]:
        names = self.prompt.named(len(places))
        prompt = job.render(
            [job.documents[place] for place in places],
            names,
            answer_tokens=self.prompt.max_tokens,
            top=self.carry,
        )
        (answer,) = yield Ask([prompt])
        said, faults = part(answer.text, self.prompt.output)
        found, more = subset_of(said, names)
        job.malformed(faults, more)
        if found is None:
            return places[:carried], answer.text.strip()
        if len(found) > self.carry:
            job.malformed({"more documents were chosen than asked for": 1})
        before = re.search(self.prompt.output, answer.text, flags=re.DOTALL | re.IGNORECASE)
        pseudo = answer.text[: before.start()] if before else answer.text
        return [places[place] for place in found[: self.carry]], pseudo.strip()


def selected_run(rankings: Iterable[Ranking]) -> Run:
    """The chosen documents alone, for measures of sets: `SetP`, `SetR` and `SetF` of ir_measures.

    A query of which nothing was chosen has an empty list.
    """
    return {
        ranking.query_id: [
            hit for hit in ranking.hits if ranking.details.get(hit.document_id, {}).get("selected")
        ]
        for ranking in rankings
    }
