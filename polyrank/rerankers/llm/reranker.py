"""What every reranker by a language model shares: engine, prompt, costs, notes, identity."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from polyrank.collections.records import Document, Query, ScoredDocument
from polyrank.errors import UsageError
from polyrank.notes import Notebook, Notes
from polyrank.rerankers.base import ListReranker, Ranking, Request
from polyrank.rerankers.llm.engines.base import Engine, Generation, PromptIds, Sampling, Usage
from polyrank.rerankers.llm.prompt import Prompt, load_prompt
from polyrank.rerankers.llm.rendering import Renderer

Details = dict[str, dict[str, Any]]


class LLMReranker(ListReranker):
    """A reranker that asks a language model.

    Args:
        engine: what runs the model.
        prompt: a name of 'polyrank prompts list', a YAML file, or a `Prompt`.
        document_tokens: of a document that are read; else what the prompt says.
        max_tokens: of an answer; else what the prompt says.
        temperature, seed: of generated answers; 0 takes the likeliest token.

    Attributes:
        costs: query id → what the ranking of that query took.
        details: as in `Ranking.details`, see the scorer.
    """

    scorer = ""  # its name in SCORERS
    default_prompt = ""

    def __init__(
        self,
        engine: Engine,
        prompt: str | Prompt | None = None,
        document_tokens: int | None = None,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int = 0,
        **options: Any,
    ) -> None:
        self.engine = engine
        self.prompt: Prompt = load_prompt(prompt or self.default_prompt)
        if max_tokens is not None:
            self.prompt = replace(self.prompt, max_tokens=max_tokens)
        decoder = bool(getattr(getattr(engine, "model", None), "config", None)) and bool(
            engine.model.config.is_encoder_decoder  # type: ignore[attr-defined]
        )
        self.renderer = Renderer(
            self.prompt, engine.tokenizer, engine.context, document_tokens, decoder
        )
        self.sampling = Sampling(self.prompt.max_tokens, self.prompt.stop, temperature, seed)
        generation = {"temperature": temperature, "seed": seed} if temperature else {}
        self.options: dict[str, Any] = {
            **options, "document_tokens": self.renderer.document_tokens,
            "max_tokens": self.prompt.max_tokens, **generation,
        }  # fmt: skip
        self.costs: dict[str, Usage] = {}
        self._notebook = Notebook()
        self._identity: Mapping[str, str] | None = None

    def rank_request(self, request: Request) -> Ranking:
        """The candidates of one query in order, with details, notes and, in `costs`, the cost."""
        before, start = self.engine.usage, time.perf_counter()
        made_small = getattr(self.engine, "notebook", Notebook()).notes
        self._notebook = Notebook()
        if not request.documents:
            return Ranking(request.query.id, ())
        ranking = self._rank(request)
        spent = replace(self.engine.usage - before, seconds=time.perf_counter() - start)
        self.costs[request.query.id] = spent
        engine_notes = getattr(self.engine, "notebook", Notebook()).notes - made_small
        notes = ranking.notes + self._notebook.notes + engine_notes
        return replace(ranking, notes=notes)

    def _rank(self, request: Request) -> Ranking:
        raise NotImplementedError

    def identity(self) -> Mapping[str, str]:
        """Weights or address, scorer, prompt and options."""
        if self._identity is None:
            self._identity = {
                **self.engine.identity(),
                "scorer": self.scorer,
                "prompt": f"{self.prompt.name} {self.prompt.hash()}",
                "options": json.dumps(self.options, sort_keys=True),
            }
        return self._identity

    def size(self) -> tuple[int, int] | None:
        """Parameters and bytes of the weights; None where they are on a server."""
        return self.engine.size()

    def _render(
        self,
        query: Query,
        documents: Sequence[Document],
        names: Sequence[str] = (),
        scores: Sequence[str] = (),
        answer_tokens: int = 1,
        top: int = 1,
    ) -> PromptIds:
        rendered = self.renderer.render(query, documents, names, scores, answer_tokens, top)
        if rendered.cut:
            self._notebook.add("cut", "a text was cut to fit the prompt", rendered.cut)
        return rendered.ids

    def _say(self, prompts: Sequence[PromptIds]) -> list[Generation]:
        """Answers, with those that reached the limit counted."""
        answers = self.engine.generate(prompts, self.sampling)
        self._malformed("the answer reached the limit of tokens", sum(a.cut for a in answers))
        return answers

    def _malformed(self, what: str, times: int = 1) -> None:
        if times:
            self._notebook.add("malformed", what, times)


class Windowed(Protocol):
    """What orders one window: places of the documents, best first, every one once."""

    def __call__(self, places: Sequence[int]) -> list[int]: ...


def in_order(request: Request, order: Sequence[int], details: Details | None = None) -> Ranking:
    """A ranking by places, best first; the scores only say the order: n, n − 1, …, 1."""
    query_id, count = request.query.id, len(order)
    if sorted(order) != list(range(len(request.documents))):
        raise AssertionError("an order must hold every candidate once")
    hits = tuple(
        ScoredDocument(query_id, request.documents[place].id, float(count - rank))
        for rank, place in enumerate(order)
    )
    return Ranking(query_id, hits, details or {}, Notes())


def check_window(window: int, step: int | None = None) -> None:
    """A window holds two documents or more, and moves on by less than its length.

    Raises:
        UsageError: another size, or another step.
    """
    if window < 2:
        raise UsageError(f"a window of {window} orders nothing; take 2 or more")
    if step is not None and not 1 <= step < window:
        raise UsageError(
            f"a step of {step} with a window of {window}: take 1 to {window - 1}, so that windows "
            "overlap and the best documents rise"
        )
