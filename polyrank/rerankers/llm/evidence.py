"""Contribution and evidence (Prism, arXiv 2604.23734): why a document helps, and what of it.

The score is that of the label scorer, z = logit(yes) − logit(no). For documents with z above the
threshold the model goes on after its "yes": a sentence on what the document contributes, and its
evidence rewritten so that it stands alone. No chain of thought before the verdict, which would push
scores to the extremes.
"""

from __future__ import annotations

import re
from typing import Any

from polyrank.errors import UsageError
from polyrank.rerankers.base import best_first
from polyrank.rerankers.llm.engines.base import Engine, Generation
from polyrank.rerankers.llm.label import LabelReranker
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.rerankers.llm.reranker import Ask, Job, Work

PARTS = ("contribution", "evidence")


class EvidenceReranker(LabelReranker):
    """Scores by labels, and lets the model say what relevant documents contribute.

    Args:
        threshold: z above which it goes on; 0 is where yes is likelier than no.

    The prompt's `output` has the groups `contribution` and `evidence`. Answers that were cut off,
    or lack a part, are counted; the score does not depend on them.

    Details: `true` and `false`; where it went on `contribution`, `evidence` (null where they were
    not in the answer), `cut` and `adheres`, whether the form is as asked for.
    """

    scorer = "evidence"
    default_prompt = "evidence"

    def __init__(
        self,
        engine: Engine,
        prompt: str | Prompt | None = None,
        threshold: float = 0.0,
        **shared: Any,
    ) -> None:
        super().__init__(engine, prompt, **shared)
        self.options["threshold"] = self.threshold = threshold
        self._pattern = re.compile(self.prompt.output, flags=re.DOTALL | re.IGNORECASE)
        if set(self._pattern.groupindex) != set(PARTS):
            raise UsageError(
                f"the prompt '{self.prompt.name}' needs an `output` with the groups "
                f"{' and '.join(PARTS)} for the evidence scorer"
            )

    def _rank(self, job: Job) -> Work:
        room = self.prompt.max_tokens + 1
        prompts = [job.render([document], answer_tokens=room) for document in job.documents]
        logits = yield Ask(prompts, self.tokens)
        scores, details = self._scored(job, logits)
        going_on = [place for place, score in enumerate(scores) if score > self.threshold]
        if going_on:
            answers = yield Ask([(*prompts[place], self.tokens[0].id) for place in going_on])
            for place, answer in zip(going_on, answers, strict=True):
                details[job.documents[place].id] |= self._parts(job, answer)
        return best_first(job.request, scores, details)

    def _parts(self, job: Job, answer: Generation) -> dict[str, Any]:
        match = self._pattern.search(answer.text)
        found: dict[str, Any] = {
            name: (match.group(name) or "").strip() or None if match else None for name in PARTS
        }
        for name in PARTS:
            if found[name] is None:
                job.malformed({f"the answer had no {name}": 1})
        adheres = not answer.cut and None not in found.values()
        return {**found, "cut": answer.cut, "adheres": adheres}
