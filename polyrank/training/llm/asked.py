"""What an objective makes of a question: prompts, answers to imitate, and scores to read.

An objective uses the prompt and the parser of the scorer it trains for, so that what is learned is
what is asked later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from polyrank.collections.records import Document, Query
from polyrank.errors import DataError, UsageError
from polyrank.rerankers.llm.prompt import Prompt
from polyrank.rerankers.llm.rendering import Renderer
from polyrank.training.llm.sample import Ids, Reading, Sample


@dataclass(frozen=True)
class Question:
    """A question of a step, with the candidates that were drawn for it.

    documents: the positive first.
    scores: of a teacher, one for each document; None where there are none.
    texts: what a language model is to write, see `Example.texts`.
    """

    query: Query
    documents: tuple[Document, ...]
    scores: tuple[float, ...] | None = None
    texts: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)

    def text(self, name: str, document: Document | None = None) -> str:
        """A text of the row, the document's own where it has texts for documents; else nothing."""
        value = self.texts.get(name, "")
        if isinstance(value, str):
            return value
        return value.get(document.id, "") if document else ""

    @property
    def order(self) -> list[int]:
        """Places of the documents, the teacher's best first, equal scores in the row's order; the
        positive first and the others as they are where there is no teacher.

        As nothing is known of the others' order then, only objectives that use the best document
        alone may read it without scores.
        """
        if self.scores is None:
            return list(range(len(self.documents)))
        return sorted(range(len(self.documents)), key=lambda place: -self.scores[place])  # type: ignore[index]


@dataclass(frozen=True)
class Scale:
    """The scores that an objective can use: from lowest to highest, maybe whole numbers alone.

    form: of `polyrank train labels` that makes such scores.
    """

    lowest: int
    highest: int
    whole: bool
    form: str

    def check(self, query_id: str, scores: Sequence[float], source: str | Path) -> None:
        """Refuse a score that is not on the scale.

        Raises:
            DataError: it names the question and the score.
        """
        for score in scores:
            if not self.lowest <= score <= self.highest or (self.whole and score != int(score)):
                raise DataError(
                    source, None,
                    f"'{query_id}' has the score {score:g}, but a {'whole ' * self.whole}number "
                    f"from {self.lowest} to {self.highest} is needed; make such scores with:  "
                    f"polyrank train labels --form {self.form}",
                )  # fmt: skip


class LLMObjective:
    """One way to train a language model to rank.

    Args:
        renderer: of the prompt, for the model's tokenizer.
        seen: documents of a question, at most.
        room: tokens to leave for an answer that the model is to find itself.
    """

    pointwise = False  # whether each document has a prompt of its own
    reads = False  # whether scores are read that a loss can compare
    scale: Scale | None = None  # that scores must be on; None for any

    def __init__(self, renderer: Renderer, seen: int, room: int = 1) -> None:
        self.renderer, self.prompt = renderer, renderer.prompt
        self.seen, self.room = seen, room
        tokenizer = renderer.tokenizer
        if tokenizer.eos_token_id is None:
            raise UsageError(
                "the model's tokenizer has no token that ends an answer (eos_token), so that it "
                "could not learn to stop.\nTake a model that was made for answers."
            )
        self.end = int(tokenizer.eos_token_id)
        self.pad = int(tokenizer.pad_token_id if tokenizer.pad_token_id is not None else self.end)
        if not self.pointwise:
            self.prompt.named(seen)  # refused here when there are too few names

    def targets(self, scores: Tensor) -> Tensor:
        """What the loss of scores compares with: the teacher's, (N,)."""
        return scores

    def answer(self, question: Question, shown: Sequence[int], names: Sequence[str]) -> str:
        """What the model is to say after a prompt; empty for nothing.

        Args:
            shown: the places of the documents, in the order of the prompt.
            names: that the prompt gives them.
        """
        return ""

    def readings(self, shown: Sequence[int]) -> list[Reading]:
        """The scores that are read after a prompt."""
        return []

    def samples(self, question: Question, random: Any, answered: bool = True) -> list[Sample]:
        """The prompts of a question.

        Args:
            random: a NumPy generator of the step: lists are shown in an order of their own, so that
                a place tells nothing.
            answered: whether with answers to imitate.
        """
        places = range(len(question.documents))
        if self.pointwise:
            return [self._sample(question, [place], (), answered) for place in places]
        shown = [int(place) for place in random.permutation(len(places))]
        return [self._sample(question, shown, self.prompt.named(len(shown)), answered)]

    def _sample(
        self, question: Question, shown: Sequence[int], names: Sequence[str], answered: bool
    ) -> Sample:
        text = self.answer(question, shown, names) if answered else ""
        answer = self.said(text, names) if text else ()
        rendered = self.renderer.render(
            question.query,
            [question.documents[place] for place in shown],
            names,
            answer_tokens=max(len(answer), self.room),
        )
        readings = tuple(self.readings(shown))
        return Sample(rendered.ids, answer, readings, tuple(shown), tuple(names), rendered.text)

    def said(self, text: str, names: Sequence[str] = ()) -> Ids:
        """The tokens of a whole answer and its end, after the beginning that the prompt gives."""
        begin = self.prompt.answer
        if not text.startswith(begin):
            raise UsageError(
                f"the prompt '{self.prompt.name}' begins answers with {begin!r}, but the answer to "
                f"learn is {text!r}; take another prompt"
            )
        return (*self.renderer.answer(text[len(begin) :], names), self.end)


def reasoned(prompt: Prompt, reasoning: str, answer: str) -> str:
    """An answer after its reasoning, in the form that the prompt's `output` reads."""
    form = f"<answer>{answer}</answer>" if prompt.tagged else answer
    return f"{reasoning.strip()}\n{form}" if reasoning.strip() else form
