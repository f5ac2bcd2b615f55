"""Integers: the model grades each document on a scale.

With a prompt that generates (ERank, arXiv 2509.00520): after reasoning the model says a number s;

    score = s · P(s)

where P(s) is the probability with which its tokens were said, which breaks ties.

With a prompt that only has labels, in one pass and without reasoning:

    score = Σ s · P(s)       P: softmax over the labels' logits

Finer scales rank better (0–10 over yes and no); for the one pass each label must be one token,
which "10" often is not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from polyrank.errors import UsageError
from polyrank.rerankers.base import best_first
from polyrank.rerankers.llm.answers import number_of
from polyrank.rerankers.llm.engines.base import Engine, Generation, Token
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.rerankers.llm.reranker import Ask, Details, Job, LLMReranker, Work

UNREAD = -1.0  # below every score that can be read: such a document comes last


class IntegerReranker(LLMReranker):
    """Scores by a grade and how sure the model was of it.

    The prompt says which way: with `output` the grade is generated, else it is the mean under the
    labels' probabilities.

    An answer without a grade on the scale gives −1, under every grade, and is counted.

    Details: `grade`, `probability` and `reasoning`, or the probability of each label.
    """

    pointwise = True
    scorer = "integers"
    default_prompt = "integers"

    def __init__(self, engine: Engine, prompt: str | Prompt | None = None, **shared: Any) -> None:
        super().__init__(engine, prompt, **shared)
        try:
            self.levels = [int(label) for label in self.prompt.labels]
        except ValueError:
            self.levels = []
        if len(self.levels) < 2:
            raise UsageError(
                f"the prompt '{self.prompt.name}' has no labels that are whole numbers, such as "
                "0 to 9; the integers scorer needs them"
            )
        self.tokens: tuple[Token, ...] = ()
        if not self.prompt.output:
            self.tokens = self.renderer.tokens(self.prompt.labels)

    def _rank(self, job: Job) -> Work:
        room = self.prompt.max_tokens if self.prompt.output else 1
        prompts = [job.render([document], answer_tokens=room) for document in job.documents]
        answers = yield Ask(prompts, self.tokens)
        if self.prompt.output:
            graded = [self._graded(job, answer) for answer in answers]
        else:
            graded = [self._expected(row) for row in answers]
        details: Details = {
            document.id: detail for document, (_, detail) in zip(job.documents, graded, strict=True)
        }
        return best_first(job.request, [score for score, _ in graded], details)

    def _expected(self, logits: Sequence[float]) -> tuple[float, dict[str, Any]]:
        """Σ s · P(s) of the labels' logits."""
        highest = max(logits)
        weights = [math.exp(logit - highest) for logit in logits]
        chances = [weight / sum(weights) for weight in weights]
        score = sum(level * chance for level, chance in zip(self.levels, chances, strict=True))
        return score, dict(zip(self.prompt.labels, chances, strict=True))

    def _graded(self, job: Job, answer: Generation) -> tuple[float, dict[str, Any]]:
        """s · P(s) of an answer that says s."""
        lowest, highest = min(self.levels), max(self.levels)
        found, faults = number_of(answer.text, self.prompt.output, lowest, highest)
        job.malformed(faults)
        if found is None:
            return UNREAD, {"grade": None, "reasoning": answer.text}
        grade, start, end = found
        chance = math.exp(_logprob_between(answer, start, end))
        detail = {"grade": grade, "probability": chance, "reasoning": answer.text[:start]}
        return grade * chance, detail


def _logprob_between(answer: Generation, start: int, end: int) -> float:
    """The log-probability of the tokens that say a part of an answer."""
    total, place = 0.0, 0
    for piece, logprob in zip(answer.pieces, answer.logprobs, strict=True):
        if place < end and place + len(piece) > start:
            total += logprob
        place += len(piece)
    return total
