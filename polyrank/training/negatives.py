"""Hard negatives: passages that rank high for a question and do not answer it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from polyrank.base import Base
from polyrank.collections.files import numbered_lines, writing
from polyrank.collections.records import Document, Query
from polyrank.errors import DataError


@dataclass(frozen=True)
class Example:
    """A question, its answering passages, and passages that do not answer it.

    `teacher` holds a cross-encoder's scores of (positive, negatives...) when there are some.
    """

    query: Query
    positives: tuple[str, ...]
    negatives: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    teacher: tuple[float, ...] | None = None


def read_examples(path: str | Path) -> list[Example]:
    """JSON lines of `_id`, `text`, `pos` (one id or several), optionally `neg`, `answers`, and the
    teacher's `pos_score` with `neg_scores`.

    Raises:
        DataError: a line that is no such object, with its number.
    """
    examples = []
    for number, line in numbered_lines(path):
        try:
            row = json.loads(line)
            positives = row["pos"] if isinstance(row["pos"], list) else [row["pos"]]
            teacher = (row["pos_score"], *row["neg_scores"]) if "neg_scores" in row else None
            if teacher is not None and len(teacher) != 1 + len(row["neg"]):
                raise ValueError(f"{len(row['neg'])} negatives but {len(teacher) - 1} scores")
            examples.append(
                Example(
                    Query(str(row["_id"]), row["text"]),
                    tuple(map(str, positives)),
                    tuple(map(str, row.get("neg", ()))),
                    tuple(row.get("answers", ())),
                    teacher,
                )
            )
        except (ValueError, KeyError, TypeError) as error:
            raise DataError(
                path, number, f"no ranking example ({error!r}); expected _id, text, pos"
            ) from error
    return examples


def mine_negatives(
    examples: Sequence[Example],
    passages: dict[str, Document],
    base: Base,
    each: int = 4,
    depth: int = 20,
    length: int = 96,
) -> list[Example]:
    """Adds the best-ranked wrong passages of BM25 and of the base's pooled vectors.

    A passage that contains an answer string is no negative. Questions that already have teacher
    scores keep their negatives, as new ones would have none.

    Args:
        each: negatives from either source.
        depth: how far down its ranking a source is read.
        length: tokens of a passage that the base reads.
    """
    from polyrank.index.dense import Dense
    from polyrank.index.lexical import BM25

    wanted = [example for example in examples if example.teacher is None]
    queries = [example.query for example in wanted]
    documents = list(passages.values())
    runs = [
        BM25(documents).search(queries, depth),
        Dense(documents, base=base, max_length=length).search(queries, depth),
    ]
    mined = {}
    for example in wanted:
        chosen = dict.fromkeys(example.negatives)
        for run in runs:
            hits = [hit.document_id for hit in run.get(example.query.id, [])]
            chosen.update(
                dict.fromkeys([i for i in hits if _is_wrong(example, passages[i])][:each])
            )
        mined[example.query.id] = replace(example, negatives=tuple(chosen))
    return [mined.get(example.query.id, example) for example in examples]


def _is_wrong(example: Example, passage: Document) -> bool:
    text = passage.text.lower()
    return passage.id not in example.positives and not any(
        answer.lower() in text for answer in example.answers
    )


def write_examples(path: str | Path, examples: Sequence[Example]) -> None:
    """The form that `read_examples` reads."""
    with writing(path) as file:
        for example in examples:
            row: dict[str, Any] = {
                "_id": example.query.id,
                "text": example.query.text,
                "pos": list(example.positives),
                "neg": list(example.negatives),
                "answers": list(example.answers),
            }
            if example.teacher is not None:
                row |= {"pos_score": example.teacher[0], "neg_scores": list(example.teacher[1:])}
            file.write(json.dumps(row, ensure_ascii=False) + "\n")


def sample(examples: Sequence[Example], count: int, seed: int) -> list[Example]:
    """`count` examples in a seeded order; all of them when there are fewer."""
    order = np.random.default_rng(seed).permutation(len(examples))
    return [examples[i] for i in order[:count]]
