"""Question decomposition: a language model writes sub-questions to search for too.

Ammann et al. 2025 (arXiv 2507.00355): a model splits a question, the question and its parts are
searched for, the union is reranked against the question. `FanOut` does the union; see
`polyrank.pipeline`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from polyrank.collections.records import Query
from polyrank.errors import UsageError
from polyrank.notes import Notebook, Notes
from polyrank.rerankers.llm.engines.base import Engine, Sampling
from polyrank.rerankers.llm.prompt import Prompt, load_prompt
from polyrank.rerankers.llm.rendering import Renderer

PROMPT = Path(__file__).with_name("decompose.yaml")
SCORER = "decompose"  # that its prompts name
MOST = 4  # sub-questions
_LINE = re.compile(r"^\s*(?:[-*•]|\(?\d{1,2}[.):])\s+(?P<question>\S.*?)\s*$", re.MULTILINE)


class Decomposer:
    """From a query to its sub-questions: what `FanOut` takes as its variants.

    Args:
        engine: that runs the model.
        prompt: a YAML file or a `Prompt`; {top} is the most sub-questions.
        most: sub-questions that are kept.

    Attributes:
        notes: answers without a question, and cut ones, counted; those queries go by themselves.
    """

    def __init__(
        self, engine: Engine, prompt: str | Path | Prompt = PROMPT, most: int = MOST
    ) -> None:
        if most < 1:
            raise UsageError(f"a question is split into 1 part or more, not {most}")
        self.engine, self.prompt, self.most = engine, load_prompt(prompt), most
        if self.prompt.scorer != SCORER:
            raise UsageError(
                f"the prompt '{self.prompt.name}' is for the scorer '{self.prompt.scorer}'; give "
                f"one whose scorer is '{SCORER}'"
            )
        self._renderer = Renderer(
            self.prompt, engine.tokenizer, engine.context, encoder_decoder=engine.encoder_decoder
        )
        self._notebook = Notebook()
        self._known: dict[Query, tuple[Query, ...]] = {}

    @property
    def notes(self) -> Notes:
        """What was malformed or cut so far."""
        return self._notebook.notes

    def __call__(self, query: Query) -> tuple[Query, ...]:
        """The sub-questions of a query, in its language; none where the model wrote none."""
        self.prepare([query])
        return self._known[query]

    def prepare(self, queries: Iterable[Query]) -> None:
        """Ask for the sub-questions of several queries together."""
        asked = [query for query in dict.fromkeys(queries) if query not in self._known]
        if not asked:
            return
        room = self.prompt.max_tokens
        rendered = [
            self._renderer.render(query, [], answer_tokens=room, top=self.most) for query in asked
        ]
        self._notebook.add("cut", "queries cut to fit the prompt", sum(r.cut for r in rendered))
        sampling = Sampling(room, self.prompt.stop)
        answers = self.engine.generate([one.ids for one in rendered], sampling)
        for query, answer in zip(asked, answers, strict=True):
            text = whole_lines(answer.text) if answer.cut else answer.text
            found = questions_of(text, self.most)
            if not found:
                self._notebook.add("malformed", "no sub-question was written: the query by itself")
            self._known[query] = tuple(
                Query(f"{query.id}.{number}", question, query.language)
                for number, question in enumerate(found, 1)
                if question != query.text
            )


def questions_of(text: str, most: int = MOST) -> list[str]:
    """The questions of an answer: its numbered or dashed lines, each once.

    >>> questions_of("1. Who wrote it?\\n2) When?\\n\\n3. When?")
    ['Who wrote it?', 'When?']
    """
    spoken = text.rsplit("</think>", 1)[-1]
    if "<think>" in spoken:  # it was thinking until the limit of tokens
        return []
    found = [match["question"] for match in _LINE.finditer(spoken)]
    return list(dict.fromkeys(found))[:most]


def whole_lines(text: str) -> str:
    """A text without its last line, which a limit of tokens cut."""
    return text.rpartition("\n")[0]


def load_decomposer(
    model: str,
    engine_url: str | None = None,
    prompt: str | Path | None = None,
    most: int = MOST,
    device: str | None = None,
    precision: str | None = None,
) -> Decomposer:
    """A decomposer by its model.

    Args:
        model: a folder or Hub id; with `engine_url` the name that the server knows.
        engine_url: an OpenAI-compatible server.

    Raises:
        UsageError, ModuleError: a model or a server that cannot be used.
    """
    engine: Engine
    if engine_url is not None:
        from polyrank.rerankers.llm.engines.http import HTTPEngine

        engine = HTTPEngine(engine_url, model)
    else:
        from polyrank.rerankers.llm.engines.local import TransformersEngine

        engine = TransformersEngine(model, device, precision)
    return Decomposer(engine, PROMPT if prompt is None else prompt, most)
