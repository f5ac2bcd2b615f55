"""The pairs of languages that a grid measures: the same texts and candidates for every cell."""

from __future__ import annotations

from functools import cached_property

from polyrank.collections.load import load_collection
from polyrank.collections.records import Collection, Run
from polyrank.experiments.grid.specification import Grid
from polyrank.experiments.sampling import spread
from polyrank.experiments.specification import Task
from polyrank.index.lexical import BM25
from polyrank.rerankers.base import Reranker, rerank_run


class Tasks:
    """Read when they are first asked for, and kept.

    Attributes:
        texts: name of a pair → its documents, sampled questions and judgements.
        candidates: name of a pair → BM25's best of each question.
    """

    def __init__(self, grid: Grid) -> None:
        self.grid = grid

    @cached_property
    def texts(self) -> dict[str, Collection]:
        return {task.name: _texts(task) for task in self.grid.tasks()}

    @cached_property
    def candidates(self) -> dict[str, Run]:
        found = {}
        for name, texts in self.texts.items():
            index = BM25(list(texts.documents.values()))
            found[name] = index.search(texts.queries.values(), self.grid.depth)
        return found

    def measured(self, reranker: Reranker) -> dict[str, float]:
        """Name of a pair → the mean of the grid's measure."""
        return {name: self._value(reranker, name) for name in self.texts}

    def before(self) -> dict[str, float]:
        """The same of BM25's own order."""
        return {name: self._mean(run, name) for name, run in self.candidates.items()}

    def _value(self, reranker: Reranker, name: str) -> float:
        texts = self.texts[name]
        run = rerank_run(reranker, texts, self.candidates[name], progress=False).run
        return self._mean(run, name)

    def _mean(self, run: Run, name: str) -> float:
        from polyrank.evaluation import evaluate

        measure = self.grid.measure
        found = evaluate(run, self.texts[name].qrels, [measure]).per_query[measure]
        return sum(found.values()) / len(found)


def _texts(task: Task) -> Collection:
    source = task.collection.source_of(task.queries, task.documents)
    whole = load_collection(source, queries=task.queries, documents=task.documents)
    return spread(whole, task.collection.queries, task.place)
