"""Summaries that a sequence-to-sequence model writes, guided by a plan that is marked in the text.

The units of the plan stand between `<e>` and `</e>` in the article (arXiv 2305.17779). The marks
are plain text: a checkpoint that was trained with them as tokens reads them as such, another one
reads their characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from polyrank.base.seq2seq import positions
from polyrank.summaries.likelihood import IGNORED, Likelihood, scores_of
from polyrank.summaries.oracle import Plan
from polyrank.summaries.units import Span

BATCH = 4  # plans at a time
OPEN, CLOSE = "<e>", "</e>"


@dataclass(frozen=True)
class Written:
    """A summary, and its length-normalised log-likelihood given the marked article."""

    text: str
    score: float


def marked(text: str, units: Sequence[Span], plan: Plan) -> str:
    """The article with its plan's units between marks.

    >>> marked("One. Two.", ((0, 4), (5, 9)), (1,))
    'One. <e>Two.</e>'
    """
    pieces, last = [], 0
    for unit in plan:
        start, end = units[unit]
        pieces += [text[last:start], OPEN, text[start:end], CLOSE]
        last = end
    return "".join([*pieces, text[last:]])


class Abstractor:
    """Writes a few summaries for each plan, by beam search.

    Args:
        model: a folder or Hub id of a sequence-to-sequence model.
        per_plan: summaries of a plan.
        beams: of the search, at least `per_plan`; None takes that many.
        alpha: of the score, see `length_normalised`; the search itself has the model's own.
        tokens: of a summary at most.
        device: by default a GPU when there is one.

    Raises:
        ModuleError: a model that cannot be read.
    """

    def __init__(
        self,
        model: str,
        per_plan: int = 1,
        beams: int | None = None,
        alpha: float = 1.0,
        tokens: int = 128,
        device: str | None = None,
    ) -> None:
        self.per_plan, self.beams = per_plan, max(per_plan, beams or per_plan)
        self._reader = Likelihood(model, alpha, device)
        self.model, self.tokenizer = self._reader.model, self._reader.tokenizer
        self.notebook, self.weights = self._reader.notebook, self._reader.weights
        self.tokens = min(tokens, positions(self.model) - 1)

    def __call__(
        self, text: str, units: Sequence[Span], plans: Sequence[Plan]
    ) -> list[list[Written]]:
        """The summaries of each plan, as the search orders them."""
        sources = [marked(text, units, plan) for plan in plans]
        # an article counts once, however many plans it is marked with
        self._reader.note_cut("articles", int(any(self._reader.cut(sources))))
        found: list[list[Written]] = []
        for first in range(0, len(plans), BATCH):
            found += self._batch(sources[first : first + BATCH])
        return found

    @torch.inference_mode()
    def _batch(self, sources: list[str]) -> list[list[Written]]:
        inputs = self._reader.inputs(sources)
        written = self.model.generate(
            **inputs,
            num_beams=self.beams,
            num_return_sequences=self.per_plan,
            do_sample=False,
            max_new_tokens=self.tokens,
        )  # (plans × per_plan, 1 + T)
        texts = self.tokenizer.batch_decode(written, skip_special_tokens=True)
        labels = self._labels(written)
        repeated = {name: t.repeat_interleave(self.per_plan, dim=0) for name, t in inputs.items()}
        scores = scores_of(self.model, repeated, labels, self._reader.alpha)
        made = [Written(text.strip(), score) for text, score in zip(texts, scores, strict=True)]
        return [made[i : i + self.per_plan] for i in range(0, len(made), self.per_plan)]

    def _labels(self, written: Any) -> Any:
        """What was written without its start, and nothing behind the first end: (B, T)."""
        labels = written[:, 1:].clone()
        ends = self.model.generation_config.eos_token_id  # None, an id or several
        ended = torch.isin(labels, torch.as_tensor([] if ends is None else ends).to(labels))
        behind = ended.cumsum(dim=1) - ended.long() > 0
        return labels.masked_fill(behind, IGNORED)
