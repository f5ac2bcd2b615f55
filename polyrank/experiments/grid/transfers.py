"""Rows of several languages as one file of rows: what a transfer is learned from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyrank.collections.files import writing
from polyrank.collections.records import Document
from polyrank.training.examples.negatives import Example, write_examples
from polyrank.training.examples.rows import read_rows

if TYPE_CHECKING:
    from polyrank.experiments.grid.specification import Part

SEED = 13


def mixed(parts: Sequence[Part], folder: Path) -> tuple[Path, Path]:
    """Write the rows and the passages of all parts, ids behind the number of their part.

    Rows and passages say their language, that of the part unless they say another.

    Of a part whose share is below 1 the first rows of a seeded order are taken, at least one; a
    smaller share is within a larger one.

    Raises:
        DataError: a malformed row, or one whose passages are absent.
    """
    rows, passages = folder / "rows.jsonl", folder / "passages.jsonl"
    folder.mkdir(parents=True, exist_ok=True)
    examples: list[Example] = []
    with writing(passages) as file:
        for number, part in enumerate(parts, 1):
            read, documents = read_rows(part.queries, part.passages, language=part.language)
            chosen = shared(read, part.share)
            examples += [_named(example, f"{number}.", part.language) for example in chosen]
            for document in documents.values():
                file.write(passage_line(replace(document, id=f"{number}.{document.id}")))
    write_examples(rows, examples)
    return rows, passages


def passage_line(document: Document) -> str:
    """A line of a file of passages."""
    row = {"_id": document.id, "title": document.title, "text": document.text}
    if document.language is not None:
        row["language"] = document.language
    return json.dumps(row, ensure_ascii=False) + "\n"


def shared(examples: Sequence[Example], share: float) -> list[Example]:
    """A share of the examples, in their order."""
    count = max(1, round(share * len(examples)))
    chosen = np.random.default_rng(SEED).permutation(len(examples))[:count]
    return [examples[place] for place in sorted(chosen.tolist())]


def _named(example: Example, prefix: str, language: str) -> Example:
    query = example.query
    return replace(
        example,
        query=replace(query, id=prefix + query.id, language=query.language or language),
        positives=tuple(prefix + name for name in example.positives),
        negatives=tuple(prefix + name for name in example.negatives),
    )
