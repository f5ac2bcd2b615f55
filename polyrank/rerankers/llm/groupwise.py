"""Groupwise (GroupRank, arXiv 2511.11653): grades of 0 to 10 for a group at a time, in JSON.

Grades are global, so that groups merge by sorting. Documents are shuffled into groups, which ranks
better than groups in the order of the first stage; shuffled again and averaged better still.
"""

from __future__ import annotations

import random
from typing import Any

from polyrank.errors import UsageError
from polyrank.rerankers.base import Request, best_first
from polyrank.rerankers.llm.answers import part, scores_of
from polyrank.rerankers.llm.engines.base import Engine
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.rerankers.llm.reranker import Ask, Details, Job, LLMReranker, Work

UNREAD = -1.0  # below every grade: a document that got none comes last


class GroupwiseReranker(LLMReranker):
    """Grades groups of documents, and averages over reshuffles.

    Args:
        window: documents in a group, at most; groups of a query differ by one in size.
        repeats: how often documents are shuffled into groups.
        shuffle_seed: of the shuffling, together with the query's id and the repeat.

    A document's score is the mean of the grades that it got. One that got none has −1, under every
    grade, and is counted.

    Details: `grades`, one for each repeat; null where there was none.
    """

    scorer = "groupwise"
    default_prompt = "groupwise"

    def __init__(
        self,
        engine: Engine,
        prompt: str | Prompt | None = None,
        window: int = 20,
        repeats: int = 1,
        shuffle_seed: int = 0,
        **shared: Any,
    ) -> None:
        if window < 1 or repeats < 1:
            raise UsageError("groups and repeats are 1 or more")
        super().__init__(
            engine, prompt, window=window, repeats=repeats, shuffle_seed=shuffle_seed, **shared
        )
        self.window, self.repeats, self.shuffle_seed = window, repeats, shuffle_seed

    def _rank(self, job: Job) -> Work:
        groups = [
            group for repeat in range(self.repeats) for group in self._groups(job.request, repeat)
        ]
        prompts = [
            job.render(
                [job.documents[place] for place in group],
                self.prompt.named(len(group)),
                answer_tokens=self.prompt.max_tokens,
            )
            for group in groups
        ]
        grades: list[list[float | None]] = [[] for _ in job.documents]
        answers = yield Ask(prompts)
        for group, answer in zip(groups, answers, strict=True):
            said, faults = part(answer.text, self.prompt.output)
            found, more = scores_of(said, self.prompt.named(len(group)))
            job.malformed(faults, more)
            for place, grade in zip(group, found, strict=True):
                grades[place].append(grade)
        details: Details = {
            document.id: {"grades": row}
            for document, row in zip(job.documents, grades, strict=True)
        }
        return best_first(job.request, [_mean(row) for row in grades], details)

    def _groups(self, request: Request, repeat: int) -> list[list[int]]:
        """Places, shuffled and cut into groups of nearly one size."""
        places = list(range(len(request.documents)))
        random.Random(f"{self.shuffle_seed} {request.query.id} {repeat}").shuffle(places)
        count = -(-len(places) // self.window)
        return [places[number::count] for number in range(count)]


def _mean(grades: list[float | None]) -> float:
    read = [grade for grade in grades if grade is not None]
    return sum(read) / len(read) if read else UNREAD
