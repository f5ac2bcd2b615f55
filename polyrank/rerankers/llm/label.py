"""Label token: one pass for each document, and the logits of two words.

    z = logit(true) − logit(false)     or logit(true) alone

right after the prompt. Qwen3-Reranker (yes, no), mxbai-rerank-v2 and ProRank's second stage (1, 0),
MemReranker and Prism (yes, no), zerank and bge-reranker-v2-gemma (Yes alone), monoT5 (true, false,
in the decoder). Raw logits, without sigmoid: at 0 and 1 that would make ties.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from polyrank.errors import UsageError
from polyrank.rerankers.base import best_first
from polyrank.rerankers.llm.engines.base import Engine, Token
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.rerankers.llm.reranker import Ask, Details, Job, LLMReranker, Work


class LabelReranker(LLMReranker):
    """Scores by the logit of a word for relevant, less that of one for not relevant.

    Args:
        true, false: the words, in place of the prompt's; `false=""` for the true one alone.
        tokens: the tokens themselves, where a folder names them by number.

    Behind a server there are log-probabilities in place of logits: the difference is the same, and
    for a true label alone the score is its log-probability.

    Details: `true` and `false`, the logits.
    """

    pointwise = True
    scorer = "label"
    default_prompt = "label"

    def __init__(
        self,
        engine: Engine,
        prompt: str | Prompt | None = None,
        true: str | None = None,
        false: str | None = None,
        tokens: Sequence[Token] = (),
        **shared: Any,
    ) -> None:
        super().__init__(engine, prompt, **shared)
        labels = list(self.prompt.labels)
        if true is not None:
            labels[:1] = [true]
        if false is not None:
            labels[1:] = [false] if false else []
        if not tokens and not 1 <= len(labels) <= 2:
            raise UsageError(
                f"the prompt '{self.prompt.name}' has {len(labels)} labels; the label scorer "
                "reads one or two, the one for relevant first"
            )
        self.tokens = tuple(tokens) or self.renderer.tokens(labels)
        self.options["labels"] = [token.text for token in self.tokens]

    def _rank(self, job: Job) -> Work:
        prompts = [job.render([document]) for document in job.documents]
        logits = yield Ask(prompts, self.tokens)
        scores, details = self._scored(job, logits)
        return best_first(job.request, scores, details)

    def _scored(self, job: Job, logits: list[list[float]]) -> tuple[list[float], Details]:
        scores = [row[0] - row[1] if len(row) == 2 else row[0] for row in logits]
        names = ("true", "false")[: len(self.tokens)]
        details: Details = {
            document.id: dict(zip(names, row, strict=True))
            for document, row in zip(job.documents, logits, strict=True)
        }
        return scores, details
