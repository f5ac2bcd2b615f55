"""Examples ready to train on: with mined negatives, and with teachers' scores where those teach."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch

from polyrank.base import Base, load_base
from polyrank.collections.records import Document
from polyrank.errors import DataError
from polyrank.machine import fast_bf16
from polyrank.progress import note
from polyrank.training.examples.negatives import (
    Example,
    mine_negatives,
    read_examples,
    write_examples,
)
from polyrank.training.examples.teachers import scored_by


def prepared(
    examples: list[Example],
    documents: dict[str, Document],
    base: Base | None,
    work: Path,
    mine: int,
    queries: Path,
    teachers: Sequence[str] = (),
    source: str = "en",
    zoo: str | Path | None = None,
    scale: str = "raw",
) -> list[Example]:
    """The examples with negatives and teachers' scores; both kept in `work` for a resumed run.

    Teachers score anew what has scores already, which is counted and said.
    """
    mined, scored = work / "examples.jsonl", work / "scored.jsonl"
    if teachers and scored.is_file():
        return read_examples(scored)
    if not mined.is_file():
        replaced = sum(example.teacher is not None for example in examples) if teachers else 0
        if replaced:
            note(f"the scores in {replaced} rows are replaced by the teacher's")
            examples = [replace(example, teacher=None) for example in examples]
        write_examples(mined, with_negatives(examples, documents, base, mine, queries))
    if not teachers or base is None:
        return read_examples(mined)
    write_examples(
        scored,
        scored_by(teachers, read_examples(mined), documents, base, work, source, zoo, scale),
    )
    return read_examples(scored)


def with_negatives(
    examples: list[Example],
    documents: dict[str, Document],
    base: Base | None,
    mine: int,
    source: Path,
) -> list[Example]:
    """The examples with mined negatives; those that still have none are left out and counted."""
    if mine and base is not None:
        fast = load_base(base.folder, torch.bfloat16) if fast_bf16() else base
        if spoken := getattr(base.model.config, "default_language", None):  # of an XMOD
            fast.model.set_default_language(spoken)
        examples = mine_negatives(examples, documents, fast, each=mine)
    usable = [example for example in examples if example.negatives]
    if not usable:
        raise DataError(source, None, "no example has a negative; give 'neg', or mine some")
    if len(usable) < len(examples):
        note(f"{len(examples) - len(usable)} examples without a negative were left out")
    return usable
