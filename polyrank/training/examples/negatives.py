"""Hard negatives: passages that rank high for a question and do not answer it."""

from __future__ import annotations

import json
import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from polyrank.base import Base
from polyrank.collections.conversation import query_text
from polyrank.collections.files import lacking, numbered_lines, parse_json, writing
from polyrank.collections.records import Document, Query
from polyrank.errors import DataError, LanguageError
from polyrank.languages.tags import normalise

TEXTS = ("reasoning", "pseudo_answer", "contribution", "evidence")


@dataclass(frozen=True)
class Example:
    """A question, its answering passages, and passages that do not answer it.

    `teacher` holds a teacher's scores of `candidates`, (positives..., negatives...), when there are
    some. `texts` holds what a language model is to write, by the names in `TEXTS`: one text, or one
    for each passage that has one.
    """

    query: Query
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    teacher: tuple[float, ...] | None = None
    texts: Mapping[str, str | Mapping[str, str]] = field(default_factory=dict)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The positives, then the negatives."""
        return (*self.positives, *self.negatives)

    def scores(self, positive: str, chosen: Iterable[int]) -> list[float]:
        """The teacher's scores of a positive, and of the negatives at these places."""
        if self.teacher is None:
            raise ValueError("this example has no teacher scores")
        negatives = self.teacher[len(self.positives) :]
        return [self.teacher[self.positives.index(positive)], *(negatives[c] for c in chosen)]


def read_examples(
    path: str | Path, passages: Container[str] | None = None, teacher: bool = False
) -> list[Example]:
    """JSON lines of `_id`, `text`, `pos` (one id or several), optionally `neg`, `answers`, the
    teacher's `pos_score` (or `pos_scores`, one for each) with `neg_scores`, and what `TEXTS` names.
    In place of `text` a row may have `turns`, see `polyrank.collections.conversation`. A row in
    another language than the others names it, `language`: teachers score it under that.

    Args:
        passages: ids that there are; None to trust the file.
        teacher: whether every line must have teacher scores.

    Raises:
        DataError: a line that is not such an object, repeats an id, names a passage that is absent,
            or lacks the scores, with its number.
    """
    examples: dict[str, Example] = {}
    for number, line in numbered_lines(path):
        try:
            example = _example(parse_json(line))
        except (ValueError, KeyError, TypeError, LanguageError) as error:
            raise DataError(
                path, number, f"no ranking example: {lacking(error)}; expected _id, text, pos"
            ) from error
        if example.query.id in examples:
            raise DataError(path, number, f"the id '{example.query.id}' stands on two lines")
        if teacher and example.teacher is None:
            raise DataError(
                path, number, "the loss needs 'pos_score' and 'neg_scores', or a --teacher"
            )
        if passages is not None:
            named = (*example.positives, *example.negatives)
            absent = [i for i in named if i not in passages]
            if absent:
                raise DataError(path, number, f"'{absent[0]}' is not among the passages")
        examples[example.query.id] = example
    return list(examples.values())


def _example(row: dict[str, Any]) -> Example:
    """One line; ValueError says what is wrong with it."""
    positives, negatives, answers = (_several(row.get(key)) for key in ("pos", "neg", "answers"))
    if not positives:
        raise ValueError("'pos' is missing or empty")
    scores = None
    if "neg_scores" in row:
        first = row["pos_scores"] if "pos_scores" in row else [row["pos_score"]]
        scores = checked_scores((*first, *row["neg_scores"]), len(positives), len(negatives))
    language = row.get("language")
    query = Query(str(row["_id"]), query_text(row), normalise(str(language)) if language else None)
    said = tuple(answer for answer in answers if answer.strip())
    return Example(query, positives, negatives, said, scores, _texts(row))


def _texts(row: dict[str, Any]) -> dict[str, str | dict[str, str]]:
    """What a language model is to write; ValueError for what is no text."""
    texts: dict[str, str | dict[str, str]] = {}
    for name in TEXTS:
        value = row.get(name)
        each = list(value.values()) if isinstance(value, dict) else [value]
        if value is None:
            continue
        if not all(isinstance(text, str) for text in each):
            raise ValueError(f"'{name}' must be a text, or an object from passage id to text")
        texts[name] = value
    return texts


def checked_scores(values: Iterable[Any], positives: int, negatives: int) -> tuple[float, ...]:
    """Teacher scores as numbers; ValueError when one is not finite, or not one for each."""
    scores = tuple(map(float, values))
    if len(scores) != positives + negatives:
        raise ValueError(
            f"{positives} positives and {negatives} negatives have {len(scores)} scores; "
            "a score for each is expected"
        )
    if not all(map(math.isfinite, scores)):
        raise ValueError("a score is not finite")
    return scores


def _several(value: Any) -> tuple[str, ...]:
    """One string, or a list of them."""
    if value is None:
        return ()
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


def mine_negatives(
    examples: Sequence[Example],
    passages: dict[str, Document],
    base: Base,
    each: int = 4,
    depth: int = 20,
    length: int = 96,
) -> list[Example]:
    """Adds the best-ranked wrong passages of BM25 and of the base's pooled vectors.

    A passage that contains an answer string is not a negative. Questions that already have teacher
    scores keep their negatives, as new ones would have none.

    Args:
        each: negatives from either source.
        depth: how far down its ranking a source is read.
        length: tokens of a passage that the base reads.
    """
    from polyrank.index.dense import Dense
    from polyrank.index.lexical import BM25

    wanted = [example for example in examples if example.teacher is None]
    if not wanted:
        return list(examples)
    queries = [example.query for example in wanted]
    documents = list(passages.values())
    runs = [
        BM25(documents, analysis="words").search(queries, depth),
        Dense(documents, base=base, max_length=length).search(queries, depth),
    ]
    mined = {}
    for example in wanted:
        chosen = dict.fromkeys(example.negatives)
        for run in runs:
            hits = [hit.document_id for hit in run.get(example.query.id, [])]
            chosen.update(dict.fromkeys([i for i in hits if is_wrong(example, passages[i])][:each]))
        mined[example.query.id] = replace(example, negatives=tuple(chosen))
    return [mined.get(example.query.id, example) for example in examples]


def is_wrong(example: Example, passage: Document) -> bool:
    """Whether a passage answers nothing: it is not a positive, and holds none of the answers."""
    text = passage.text.lower()
    return passage.id not in example.positives and not any(
        answer.lower() in text for answer in example.answers
    )


def write_examples(path: str | Path, examples: Sequence[Example]) -> None:
    """The form that `read_examples` reads."""
    with writing(path) as file:
        for example in examples:
            file.write(json.dumps(row_of(example), ensure_ascii=False) + "\n")


def row_of(example: Example) -> dict[str, Any]:
    """An example as a row."""
    row: dict[str, Any] = {
        "_id": example.query.id,
        "text": example.query.text,
        "pos": list(example.positives),
        "neg": list(example.negatives),
        "answers": list(example.answers),
    }
    if example.teacher is not None:
        count = len(example.positives)
        scores = list(example.teacher)
        row |= {"pos_scores": scores[:count], "neg_scores": scores[count:]}
    if example.query.language is not None:
        row["language"] = example.query.language
    return row | dict(example.texts)


def sample(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """`count` examples in a seeded order; all of them when there are fewer."""
    order = np.random.default_rng(seed).permutation(len(examples))
    return [examples[i] for i in order[:count]]
