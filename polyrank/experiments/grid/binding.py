"""What everything in a grid's work folder depends on: told when it is made, compared ever after.

Seeds, losses and students are left out: a cell's folder names them, and a grid may grow by them.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from polyrank.base import load_base
from polyrank.collections.files import writing
from polyrank.collections.records import Collection
from polyrank.errors import DataError, UsageError
from polyrank.experiments import store
from polyrank.experiments.grid.specification import Grid, Teaching, Transfer
from polyrank.experiments.grid.tasks import Tasks
from polyrank.experiments.hashes import documents_hash, judgements_hash, queries_hash
from polyrank.training.examples.rows import existing, read_rows
from polyrank.training.examples.teachers import identity_of
from polyrank.training.loop.steps import digest

RECORD = "grid.json"
MADE = ("teachers", "transfers", "backbones", "cells")  # folders of what a grid makes


def bind(grid: Grid, tasks: Tasks, work: Path) -> None:
    """Tell what a new work folder is of, or check that an old one is of the same.

    Raises:
        UsageError: the folder is of another grid; every difference is named.
        DataError: data that cannot be read; it binds nothing.
    """
    path = work / RECORD
    if path.is_file():
        store.check(work, _read(path, work), binding(grid, tasks))
        return
    if made := [name for name in MADE if (work / name).exists()]:
        raise UsageError(
            f"{work} holds {', '.join(made)}, and no {RECORD} says what they were made of.\n"
            f"Start anew after:  rm -r {work}\nor keep it, and give another --work."
        )
    for queries, passages in grid.rows():
        read_rows(queries, passages)
    with writing(path) as file:
        json.dump({"format": store.FORMAT, **binding(grid, tasks)}, file, indent=1)


def _read(path: Path, work: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DataError(path, None, f"no JSON ({error}); start anew after: rm -r {work}") from None


def binding(grid: Grid, tasks: Tasks) -> dict[str, Any]:
    """Settings by their names, files and texts by their hashes."""
    facts = cache(base_facts)
    return {
        "data": _taught(grid.teaching, facts),
        "transfers": {transfer.name: _parts(transfer) for transfer in grid.transfers},
        "backbones": {
            b.name: {"base": b.base, "random": b.random, **facts(b.base)} for b in grid.backbones
        },
        "train": dict(grid.train),
        "evaluate": {
            "source": grid.collection.source,
            "queries": grid.collection.queries,
            "depth": grid.depth,
            "measure": grid.measure,
            "pairs": {name: _texts(texts) for name, texts in tasks.texts.items()},
        },
    }


def _taught(teaching: Teaching, facts: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """What is learned from; of the base only where it mines or serves teachers."""
    return {
        **asdict(teaching),
        **_hashes(teaching.queries, teaching.passages),
        "base facts": facts(teaching.base) if teaching.prepares else None,
        "teacher weights": {name: identity_of(name, teaching.base) for name in teaching.teachers},
    }


def base_facts(name: str) -> dict[str, Any]:
    """What training depends on of a base, whatever its name: hashes of its weights and vocabulary,
    and how it reads texts.

    Raises:
        ModuleError: it is missing or cannot be read.
    """
    base = load_base(name)
    card = base.card
    return {
        "weights": base.fingerprint.weights,
        "vocabulary": base.fingerprint.vocabulary,
        "prefixes": [card.query_prefix, card.passage_prefix],
        "pooling": card.pooling,
        "length": card.length,
        "vectors": card.vectors,
    }


def _parts(transfer: Transfer) -> dict[str, Any]:
    """By number, so that a difference is told of its part."""
    return {
        f"part {number}": {
            **_hashes(part.queries, part.passages),
            "language": part.language,
            "share": part.share,
        }
        for number, part in enumerate(transfer.parts, 1)
    }


def _hashes(queries: Path | None, passages: Path | None) -> dict[str, str | None]:
    return {"queries": _content(queries), "passages": _content(passages)}


def _content(path: Path | None) -> str | None:
    """The hash of a file or folder; a data set of the Hub is known by its name."""
    if path is None:
        return None
    files = existing(path)
    return digest(*files) if files else str(path)


def _texts(texts: Collection) -> dict[str, str]:
    return {
        "queries": queries_hash(texts.queries.values()),
        "documents": documents_hash(texts.documents.values()),
        "judgements": judgements_hash(texts.qrels),
    }
