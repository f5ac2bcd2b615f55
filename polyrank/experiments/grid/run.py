"""Run what is missing of a grid, cell by cell, and measure each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from polyrank.collections.files import writing
from polyrank.experiments.grid.binding import bind
from polyrank.experiments.grid.specification import Backbone, Cell, Grid, Teaching, Transfer
from polyrank.experiments.grid.students import STUDENTS
from polyrank.experiments.grid.tasks import Tasks
from polyrank.experiments.grid.transfers import mixed, passage_line
from polyrank.experiments.specification import slug
from polyrank.locks import locked
from polyrank.modules.folder import new_folder
from polyrank.rerankers.load import load_reranker
from polyrank.training.examples.judged import JudgedRows

if TYPE_CHECKING:
    from polyrank.collections.records import Document
    from polyrank.training.examples.negatives import Example

SCORES = "teacher-scores.jsonl"  # the one file that every cell learns from
CHOSEN = "chosen-rows.jsonl"  # the same where nobody teaches and only some rows are taken
CARRIED = "carried-passages.jsonl"  # of rows that carry their texts
SEED = 13
Values = dict[str, float]  # pair of languages → value
Rows = tuple[Path, Path | None]  # of training, and their passages


def run_grid(grid: Grid, work: Path, tell: Callable[[str], None] = print) -> dict[Cell, Values]:
    """Train and measure every cell; what is in the work folder already is not done again.

    Raises:
        UsageError, DataError: options or data that do not fit; a work folder of another grid, or
            one in which another process writes.
    """
    with locked(work, inside=True):
        tasks = Tasks(grid)
        bind(grid, tasks, work)
        taught = {
            transfer: teacher_scores(*_teaching_of(grid, transfer, work))
            for transfer in grid.transfers or (None,)
        }
        found: dict[Cell, Values] = {}
        cells = grid.cells()
        for number, cell in enumerate(cells, 1):
            found[cell] = _values(grid, cell, taught[cell.transfer], work, tasks)
            shown = ", ".join(f"{pair} {value:.3f}" for pair, value in found[cell].items())
            tell(f"{number}/{len(cells)} {cell.folder}: {shown}")
    return found


def _teaching_of(grid: Grid, transfer: Transfer | None, work: Path) -> tuple[Teaching, Path]:
    """What a transfer's cells learn from, and the folder of its teacher scores."""
    if transfer is None:
        return grid.teaching, work
    folder = work / "transfers" / slug(transfer.name)
    queries, passages = mixed(transfer.parts, folder)
    return replace(grid.teaching, queries=queries, passages=passages), folder


def teacher_scores(teaching: Teaching, work: Path) -> Rows:
    """The file of rows with teacher scores, and their passages; the rows as they are where nobody
    teaches, nothing is mined and all are taken.

    Teachers score once for all cells; what is chosen, mined and scored stays in the work folder.
    """
    assert teaching.queries is not None
    if not teaching.prepares and teaching.questions is None:
        return teaching.queries, teaching.passages
    path = work / (SCORES if teaching.prepares else CHOSEN)
    passages = teaching.passages or work / CARRIED
    if not path.is_file():
        from polyrank.training.examples.negatives import sample, write_examples

        judged = JudgedRows(
            teaching.queries, teaching.passages, source=teaching.source, mine=teaching.mine,
            teachers=teaching.teachers, scale=teaching.scale,
        )  # fmt: skip
        read, documents = judged.read(scored=False)
        count = teaching.questions or len(read)
        if teaching.prepares:
            made = _prepared(teaching, judged, read, documents, work / "teachers", count)
        else:
            made = sample(read, count, SEED)
        if teaching.passages is None:
            with writing(passages) as file:
                file.writelines(map(passage_line, documents.values()))
        write_examples(path, made)
    return path, passages


def _prepared(
    teaching: Teaching,
    judged: JudgedRows,
    read: list[Example],
    documents: dict[str, Document],
    folder: Path,
    count: int,
) -> list[Example]:
    from polyrank.base import load_base

    folder.mkdir(parents=True, exist_ok=True)
    return judged.prepared(read, documents, load_base(teaching.base), folder, count, SEED)


def _values(grid: Grid, cell: Cell, rows: Rows, work: Path, tasks: Tasks) -> Values:
    """What a cell measures, kept beside its module."""
    path = work / "cells" / cell.folder / "values.json"
    if path.is_file():
        kept: Values = json.loads(path.read_text(encoding="utf-8"))
        return kept
    base, module = start_of(cell.backbone, work), path.with_name("module")
    if not module.exists():
        options = {**grid.train, "source": grid.teaching.source}
        STUDENTS[cell.student].train(base, *rows, module, cell.loss, cell.seed, options)
    values = tasks.measured(load_reranker(module, base=base, routing="none"))
    with writing(path) as file:
        json.dump(values, file, indent=1)
    return values


def start_of(backbone: Backbone, work: Path) -> str:
    """The base of a backbone: its own, or one like it with new random weights, made once."""
    if not backbone.random:
        return backbone.base
    folder = work / "backbones" / slug(backbone.name) / "base"
    if not folder.exists():
        with new_folder(folder) as made:
            _write_random(backbone.base, made)
    return str(folder)


def _write_random(base: str, folder: Path) -> None:
    """Weights are new; texts are prefixed, cut and pooled as those of the base."""
    import torch
    from transformers import AutoModel

    from polyrank.base import load_base
    from polyrank.base.card import write_base_card

    like = load_base(base)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        AutoModel.from_config(like.model.config).save_pretrained(folder)
    like.tokenizer.save_pretrained(folder)
    write_base_card(replace(like.card, fingerprint=None, stored=None), folder)
