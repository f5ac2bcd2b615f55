"""Run what is missing of a grid, cell by cell, and measure each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from polyrank.collections.files import writing
from polyrank.collections.load import load_collection
from polyrank.collections.records import Collection, Run
from polyrank.experiments.grid.specification import Backbone, Cell, Grid, Teaching, Transfer
from polyrank.experiments.grid.students import STUDENTS
from polyrank.experiments.grid.transfers import mixed
from polyrank.experiments.sampling import spread
from polyrank.experiments.specification import slug

SCORES = "teacher-scores.jsonl"  # the one file that every cell learns from
Values = dict[str, float]  # pair of languages → value
Rows = tuple[Path, Path | None]  # of training, and their passages


def run_grid(grid: Grid, work: Path, tell: Callable[[str], None] = print) -> dict[Cell, Values]:
    """Train and measure every cell; what is in the work folder already is not done again.

    Raises:
        UsageError, DataError: options or data that do not fit; a work folder of another grid.
    """
    taught = {
        transfer: teacher_scores(*_teaching_of(grid, transfer, work))
        for transfer in grid.transfers or (None,)
    }
    found: dict[Cell, Values] = {}
    tasks = _Tasks(grid)
    cells = grid.cells()
    for number, cell in enumerate(cells, 1):
        done = work / "cells" / cell.folder / "values.json"
        settings = {"train": dict(grid.train), "depth": grid.depth, "measure": grid.measure,
                    "pairs": [task.name for task in grid.tasks()]}  # fmt: skip
        values = _kept(done, settings)
        if values is None:
            values = _trained_and_measured(grid, cell, taught[cell.transfer], work, tasks)
            with writing(done) as file:
                json.dump({"settings": settings, "values": values}, file, indent=1)
        found[cell] = values
        shown = ", ".join(f"{pair} {value:.3f}" for pair, value in values.items())
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
    teaches and nothing is mined.

    Teachers score once for all cells; what is mined and scored stays in the work folder.
    """
    assert teaching.queries is not None
    if not teaching.teachers and not teaching.mine:
        return teaching.queries, teaching.passages
    path = work / SCORES
    if not path.is_file():
        from polyrank.base import load_base
        from polyrank.training.examples.judged import JudgedRows
        from polyrank.training.examples.negatives import write_examples

        judged = JudgedRows(
            teaching.queries, teaching.passages, source=teaching.source, mine=teaching.mine,
            teachers=teaching.teachers, scale=teaching.scale,
        )  # fmt: skip
        read, documents = judged.read(scored=False)
        folder = work / "teachers"
        folder.mkdir(parents=True, exist_ok=True)
        count = teaching.questions or len(read)
        made = judged.prepared(read, documents, load_base(teaching.base), folder, count, seed=13)
        write_examples(path, made)
    return path, teaching.passages


def _kept(path: Path, settings: dict[str, Any]) -> Values | None:
    """A cell's values, if it was made with these settings."""
    if not path.is_file():
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    values: Values = record["values"]
    return values if record["settings"] == settings else None


def _trained_and_measured(grid: Grid, cell: Cell, rows: Rows, work: Path, tasks: _Tasks) -> Values:
    from polyrank.rerankers.base import rerank_run
    from polyrank.rerankers.load import load_reranker

    base = start_of(cell.backbone, work)
    module = work / "cells" / cell.folder / "module"
    if not module.exists():
        train = STUDENTS[cell.student]
        options = {**grid.train, "source": grid.teaching.source}
        train(base, *rows, module, cell.loss, cell.seed, options)
    reranker = load_reranker(module, base=base, routing="none")
    values = {}
    for name, (texts, first) in tasks.each():
        run = rerank_run(reranker, texts, first, progress=False).run
        values[name] = tasks.value(run, texts)
    return values


def start_of(backbone: Backbone, work: Path) -> str:
    """The base of a backbone: its own, or one like it with new random weights, made once."""
    if not backbone.random:
        return backbone.base
    folder = work / "backbones" / slug(backbone.name) / "base"
    if not (folder / "config.json").is_file():
        import torch
        from transformers import AutoModel

        from polyrank.base import load_base

        like = load_base(backbone.base)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            AutoModel.from_config(like.model.config).save_pretrained(folder)
        like.tokenizer.save_pretrained(folder)
    return str(folder)


class _Tasks:
    """The pairs that are measured, with BM25's candidates; the same for every cell."""

    def __init__(self, grid: Grid) -> None:
        self.grid = grid
        self._made: dict[str, tuple[Collection, Run]] = {}

    def each(self) -> list[tuple[str, tuple[Collection, Run]]]:
        """Name, texts and candidates of each pair."""
        from polyrank.index.lexical import BM25

        for task in self.grid.tasks():
            if task.name in self._made:
                continue
            source = task.collection.source_of(task.queries, task.documents)
            whole = load_collection(source, queries=task.queries, documents=task.documents)
            texts = spread(whole, task.collection.queries, task.place)
            index = BM25(list(texts.documents.values()))
            self._made[task.name] = texts, index.search(texts.queries.values(), self.grid.depth)
        return list(self._made.items())

    def value(self, run: Run, texts: Collection) -> float:
        """The mean of the measure."""
        from polyrank.evaluation import evaluate

        per_query = evaluate(run, texts.qrels, [self.grid.measure]).per_query
        values = list(per_query[self.grid.measure].values())
        return sum(values) / len(values)
