"""What every reranker by a language model shares: engine, prompt, costs, notes, identity.

A scorer says what it asks and what it makes of the answers, as a generator:

    logits = yield Ask(prompts, tokens)      numbers of the tokens after each prompt
    answers = yield Ask(prompts)             generated answers

so that several queries can be in work at once, and what they ask is run in one batch.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from polyrank.collections.records import Document
from polyrank.errors import UsageError
from polyrank.notes import Notebook, Notes
from polyrank.rerankers.base import ListReranker, Loaded, Ranking, Request, best_first
from polyrank.rerankers.llm.engines.base import Engine, PromptIds, Sampling, Token, Usage
from polyrank.rerankers.llm.prompt import Prompt, load_prompt
from polyrank.rerankers.llm.rendering import Renderer

Details = dict[str, dict[str, Any]]
Q = TypeVar("Q")
A = TypeVar("A")
R = TypeVar("R")


@dataclass(frozen=True)
class Ask:
    """What a scorer asks the engine: logits of tokens or, without tokens, generated answers."""

    prompts: Sequence[PromptIds]
    tokens: tuple[Token, ...] = ()


Work: TypeAlias = Generator[Ask, list[Any], Ranking]


class Job:
    """One query in work: its request, its prompts, and its notes."""

    def __init__(self, request: Request, renderer: Renderer) -> None:
        self.request, self.renderer = request, renderer
        self.documents = request.documents
        self.notebook, self.usage = Notebook(), Usage()

    def render(
        self,
        documents: Sequence[Document],
        names: Sequence[str] = (),
        scores: Sequence[str] = (),
        answer_tokens: int = 1,
        top: int = 1,
    ) -> PromptIds:
        """A prompt about some of the documents; cut texts are counted."""
        rendered = self.renderer.render(
            self.request.query, documents, names, scores, answer_tokens, top
        )
        if rendered.cut:
            self.notebook.add("cut", "a text was cut to fit the prompt", rendered.cut)
        return rendered.ids

    def malformed(self, *faults: Mapping[str, int]) -> None:
        """Count what was wrong with an answer."""
        for fault in faults:
            for kind, times in fault.items():
                if times:
                    self.notebook.add("malformed", kind, times)


class LLMReranker(Loaded, ListReranker):
    """A reranker that asks a language model.

    Args:
        engine: what runs the model.
        prompt: a name of 'polyrank prompts list', a YAML file, or a `Prompt`.
        document_tokens: of a document that are read; else what the prompt says.
        max_tokens: of an answer; else what the prompt says.
        temperature, seed: of generated answers; 0 takes the likeliest token.
        at_once: queries whose prompts are run together. Each is still ranked by itself.

    Attributes:
        costs: query id → what the ranking of that query took.
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
        at_once: int = 1,
        **options: Any,
    ) -> None:
        for name, value, least in (
            ("at_once", at_once, 1),
            ("max_tokens", max_tokens, 1),
            ("document_tokens", document_tokens, 1),
            ("temperature", temperature, 0),
        ):
            if value is not None and not value >= least:  # nan, too
                raise UsageError(f"{name} is {value}; give {least} or more")
        self.engine, self.at_once = engine, at_once
        self.prompt: Prompt = load_prompt(prompt or self.default_prompt)
        if max_tokens is not None:
            self.prompt = replace(self.prompt, max_tokens=max_tokens)
        self.renderer = Renderer(
            self.prompt, engine.tokenizer, engine.context, document_tokens, engine.encoder_decoder
        )
        self.sampling = Sampling(self.prompt.max_tokens, self.prompt.stop, temperature, seed)
        generation = {"temperature": temperature, "seed": seed} if temperature else {}
        self.options: dict[str, Any] = {
            **options,
            "document_tokens": self.renderer.document_tokens,
            "context": engine.context,
            **generation,
        }
        self.costs: dict[str, Usage] = {}
        self._identity: Mapping[str, str] | None = None

    @property
    def device(self) -> Any:
        """Where the model runs; None behind a server."""
        return getattr(self.engine, "device", None)

    def rank_request(self, request: Request) -> Ranking:
        """The candidates of one query in order, with details, notes and, in `costs`, the cost."""
        (ranking,) = self._together([request])
        return ranking

    def rank_all(self, requests: Iterable[Request]) -> Iterator[Ranking]:
        """A ranking for each request, in their order."""
        waiting = iter(requests)
        while group := list(islice(waiting, self.at_once)):
            yield from self._together(group)

    def identity(self) -> Mapping[str, str]:
        """Weights or address, scorer, prompt and options."""
        if self._identity is None:
            self._identity = {
                **self.engine.identity(),
                "scorer": self.scorer,
                "prompt": f"{self.prompt.name} {self.prompt.hash()}",
                "options": json.dumps(self.options, sort_keys=True, ensure_ascii=False),
            }
        return self._identity

    def size(self) -> tuple[int, int] | None:
        """Parameters and bytes of the weights; None where they are on a server."""
        return self.engine.size()

    def _rank(self, job: Job) -> Work:
        """What a scorer defines: asks, and in the end the ranking."""
        raise NotImplementedError

    def _together(self, requests: Sequence[Request]) -> list[Ranking]:
        """Several queries in work at once; what they ask at the same time is one batch."""
        jobs = [Job(request, self.renderer) for request in requests]
        rankings: dict[int, Ranking] = {}
        works: dict[int, Work] = {}
        answers: dict[int, Any] = {}
        for place, job in enumerate(jobs):
            if job.documents:
                works[place], answers[place] = self._rank(job), None
            else:
                rankings[place] = Ranking(job.request.query.id, ())
        before = self.engine.notebook.notes
        while works:
            asked: dict[int, Ask] = {}
            for place in list(works):
                start = time.perf_counter()
                try:
                    asked[place] = works[place].send(answers[place])
                except StopIteration as done:
                    rankings[place] = done.value
                    del works[place]
                jobs[place].usage += Usage(seconds=time.perf_counter() - start)
            answers = self._answers(jobs, asked)
        engine_notes = self.engine.notebook.notes - before
        for place, job in enumerate(jobs):
            self.costs[job.request.query.id] = job.usage
            notes = rankings[place].notes + job.notebook.notes + engine_notes
            rankings[place] = replace(rankings[place], notes=notes)
            engine_notes = Notes()  # of all of them; told once
        return [rankings[place] for place in range(len(jobs))]

    def _answers(self, jobs: Sequence[Job], asked: Mapping[int, Ask]) -> dict[int, list[Any]]:
        """Answers to what several queries ask.

        All that is generated is one batch, and single prompts about the same tokens are. Many
        prompts of one query are a batch of their own, as they share how they begin.
        """
        batches: dict[Any, list[int]] = {}
        for place, ask in asked.items():
            own = place if ask.tokens and len(ask.prompts) > 1 else None
            batches.setdefault((own, ask.tokens), []).append(place)
        answers: dict[int, list[Any]] = {}
        for (_, tokens), places in batches.items():
            prompts = [prompt for place in places for prompt in asked[place].prompts]
            before = self.engine.usage
            found: list[Any] = (
                self.engine.logits(prompts, tokens)
                if tokens
                else self.engine.generate(prompts, self.sampling)
            )
            spent = self.engine.usage - before
            rest = iter(found)
            for place in places:
                own_prompts = asked[place].prompts
                mine = list(islice(rest, len(own_prompts)))
                read = sum(map(len, own_prompts))
                said = 0 if tokens else sum(len(answer.logprobs) for answer in mine)
                share = (read + said) / max(1, spent.prompt_tokens + spent.generated_tokens)
                cached = round(spent.cached_tokens * read / max(1, spent.prompt_tokens))
                jobs[place].usage += Usage(len(mine), read, cached, said, spent.seconds * share)
                if not tokens:
                    cut = sum(answer.cut for answer in mine)
                    jobs[place].malformed({"the answer reached the limit of tokens": cut})
                answers[place] = mine
        return answers


def answered(
    questions: Generator[Q, A, R], ask: Callable[[Q], Generator[Ask, list[Any], A]]
) -> Generator[Ask, list[Any], R]:
    """Runs a procedure that needs answers, each of which takes asking the model."""
    try:
        question = next(questions)
    except StopIteration as done:
        result: R = done.value
        return result
    while True:
        answer = yield from ask(question)
        try:
            question = questions.send(answer)
        except StopIteration as done:
            result = done.value
            return result


def in_order(request: Request, order: Sequence[int], details: Details | None = None) -> Ranking:
    """A ranking by places, best first; the scores only say the order: n, n − 1, …, 1. Candidates
    without text come last, below 1."""
    if sorted(order) != list(range(len(request.documents))):
        raise AssertionError("an order must hold every candidate once")
    scores = [0.0] * len(order)
    for rank, place in enumerate(order):
        scores[place] = float(len(order) - rank)
    return best_first(request, scores, details)


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
