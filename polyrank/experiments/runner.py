"""Run what is missing of an experiment, pair by pair, and measure every cell."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from polyrank.collections.load import load_collection
from polyrank.collections.records import Collection, Run, ScoredDocument, ranked
from polyrank.collections.trec import write_run
from polyrank.errors import DataError
from polyrank.evaluation import evaluate
from polyrank.experiments import store
from polyrank.experiments.hashes import documents_hash, queries_hash
from polyrank.experiments.modules import fingerprints
from polyrank.experiments.sampling import spread
from polyrank.experiments.specification import (
    CHOSEN,
    WEIGHTS,
    Specification,
    System,
    Task,
    slug,
)
from polyrank.experiments.stages import (
    Stages,
    check_candidates,
    digest,
    listwise,
    prompt_hash,
    run_path,
    scorer_name,
    settings_of,
)
from polyrank.modules.card import sha256
from polyrank.rerankers.base import Request, Reranker, request_of
from polyrank.runs.fusion import interpolate
from polyrank.runs.resume import candidates_hash
from polyrank.translation.kept import Kept
from polyrank.translation.presets import with_gold, with_translations
from polyrank.translation.translator import load_translator

PerQuery = dict[str, dict[str, float]]  # measure → query → value


@dataclass(frozen=True)
class Cell:
    """What one system did in one pair of languages.

    Attributes:
        per_query: measure → query → value.
        uncovered: judged queries without a ranking; they count 0.
        milliseconds: wall-clock time of a query: its search, and scoring its candidates.
        parameters: weights that ran, and those in modules.
        usage: calls and tokens of a language model, for a query.
    """

    per_query: PerQuery
    uncovered: int
    milliseconds: float
    parameters: Mapping[str, int]
    usage: Mapping[str, float] = field(default_factory=dict)


@dataclass
class Found:
    """Everything that was measured.

    Attributes:
        cells: system → task → cell.
        dates: task → query → date, where a group asks for it.
        texts: task → what its collection held: documents, queries, licence.
        weights: system → the weight that was chosen for it, and the value at each that was tried.
    """

    cells: dict[str, dict[Task, Cell]] = field(default_factory=dict)
    texts: dict[Task, dict[str, Any]] = field(default_factory=dict)
    dates: dict[Task, dict[str, str | None]] = field(default_factory=dict)
    weights: dict[str, dict[str, Any]] = field(default_factory=dict)


class Runner:
    """Makes runs and scores, or reads them from the work folder.

    Args:
        specification: of the experiment.
        systems: those to run, in its order, each after the one it is over.
        work: the folder.
        limit: at most so many queries a pair, to try things out.
    """

    def __init__(
        self,
        specification: Specification,
        systems: Iterable[System],
        work: Path,
        limit: int | None = None,
    ) -> None:
        self.specification, self.systems = specification, list(systems)
        self.work, self.limit = work, limit
        self.stages = Stages(work / "indexes")
        self.weights: dict[str, float] = {}
        self._translators: dict[str, Kept] = {}
        self._loaded: tuple[Any, Collection, str] | None = None

    def run(self, tell: Callable[[str], None] = print) -> Found:
        """Every cell, the finished ones from the work folder.

        Args:
            tell: is given a line for every pair of languages that is done.
        """
        found = Found(cells={system.name: {} for system in self.systems})
        self._choose(found)
        tasks = self.specification.tasks()
        # By language of the documents, so that each index is opened once; samples keep their place.
        places = {c.name: place for place, c in enumerate(self.specification.collections)}
        order = sorted(tasks, key=lambda t: (places[t.collection.name], t.documents, t.place))
        for number, task in enumerate(order, 1):
            pair = Pair(self, task)
            cells = {s.name: pair.cell(s) for s in self._of(task)}
            for name, cell in cells.items():
                found.cells[name][task] = cell
            found.texts[task] = pair.described()
            found.dates[task] = pair.dates()
            shown = ", ".join(f"{name} {self._first(cell):.3f}" for name, cell in cells.items())
            tell(f"{number}/{len(order)} {task.name}: {shown}")
        for name, translator in self._translators.items():
            for line in translator.notebook.notes.lines():
                tell(f"{name}: {line}")
        return found

    def _of(self, task: Task) -> list[System]:
        return [s for s in self.systems if self.specification.measured(s, task)]

    def _first(self, cell: Cell) -> float:
        return mean(cell.per_query[self.specification.measures[0]].values())

    def _choose(self, found: Found) -> None:
        """Choose weights on the development collection: the lowest of the best."""
        wanted = [s for s in self.systems if s.interpolate and s.interpolate.weight == CHOSEN]
        if not wanted:
            return
        pairs = [Pair(self, task) for task in self.specification.development_tasks()]
        first = self.specification.measures[0]
        for system in wanted:
            tried = {}
            for weight in WEIGHTS:
                values = [
                    mean(self.measure(pair.weighted(system, weight), pair.texts)[0][first].values())
                    for pair in pairs
                ]
                tried[weight] = mean(values)
            best = max(tried, key=lambda weight: (round(tried[weight], 6), -weight))
            self.weights[system.name] = best
            values_of = {str(weight): round(value, 4) for weight, value in tried.items()}
            found.weights[system.name] = {"weight": best, "tried": values_of}

    def translated(self, system: System, task: Task, texts: Collection) -> Collection:
        """A task's texts as a system has them translated; translations are kept in the folder."""
        if system.translator is None:
            source = task.collection.source_of(task.documents, task.documents)
            return with_gold(texts, source, task.collection.split)
        if system.translator not in self._translators:
            file = f"{slug(system.translator)}-{digest({'translator': system.translator})}.jsonl"
            made, path = load_translator(system.translator), self.work / "translations" / file
            self._translators[system.translator] = Kept(made, path, system.translator)
        return with_translations(texts, system.translate, self._translators[system.translator])

    def measure(self, run: Run, texts: Collection) -> tuple[PerQuery, int]:
        """Values over the best `cut` documents, and how many queries have no ranking."""
        cut = {query: hits[: self.specification.cut] for query, hits in run.items() if hits}
        measures = list(self.specification.measures)
        if not cut:  # a search that found nothing at all
            return {m: dict.fromkeys(texts.queries, 0.0) for m in measures}, len(texts.queries)
        report = evaluate(cut, texts.qrels, measures)
        return dict(report.per_query), len(report.missing)

    def load(self, task: Task) -> tuple[Collection, str]:
        """The collection of a task, whole, and the hash of its documents; the last one is kept."""
        key = (task.collection.source_of(task.queries, task.documents), task.queries,
               task.documents, task.collection.split)  # fmt: skip
        if self._loaded is None or self._loaded[0] != key:
            self._loaded = None  # let go of the last one before the next is read
            texts = load_collection(
                key[0], queries=task.queries, documents=task.documents, split=key[3]
            )
            self._loaded = (key, texts, documents_hash(texts.documents.values()))
        return self._loaded[1:]


class Pair:
    """One pair of languages of one collection: its texts, and the runs that were made of them."""

    def __init__(self, runner: Runner, task: Task) -> None:
        self.runner, self.task = runner, task
        whole, documents = runner.load(task)
        counts = (task.collection.queries, runner.limit)
        count = min((c for c in counts if c is not None), default=None)
        self.texts = spread(whole, count, task.place)
        self.in_all = len(whole.queries)
        if not self.texts.queries:
            raise DataError(
                runner.specification.path,
                task.collection.line,
                f"no query of {task.name} has a judgement; check the source {whole.name!r}",
            )
        queries = queries_hash(self.texts.queries.values())
        self.hashes = {"queries": queries, "documents": documents}
        self._translated: dict[tuple[str, str | None], tuple[Collection, dict[str, str]]] = {}
        self._runs: dict[str, Run] = {}
        self._seconds: dict[str, float] = {}  # of a query
        self._usage: dict[str, dict[str, float]] = {}  # of a query

    def dates(self) -> dict[str, str | None]:
        """Query → date.

        Raises:
            DataError: a group takes questions by their date, and some have none.
        """
        dates = {query.id: query.date for query in self.texts.queries.values()}
        without = [query for query, date in dates.items() if date is None]
        groups = self.runner.specification.groups
        if without and any(self.task in group and group.dated for group in groups):
            raise DataError(
                self.runner.specification.path, self.task.collection.line,
                f"{len(without)} questions of {self.task.name} have no date, e.g. '{without[0]}', "
                "but a group takes them by their date; give each query a field 'date'",
            )  # fmt: skip
        return dates

    def described(self) -> dict[str, Any]:
        texts = self.texts
        return {
            "documents": len(texts.documents),
            "queries": len(texts.queries),
            "queries in all": self.in_all,
            "licence": texts.licence or self.task.collection.licence,
        }

    def cell(self, system: System) -> Cell:
        """Run a system, keep its run, and measure it."""
        run = self.run_of(system)
        write_run(run, self._path("runs", slug(system.name), ".trec"))
        values, uncovered = self.runner.measure(run, self.texts)
        seconds = self._seconds[system.name]
        parameters = self.runner.stages.parameters(system, self.task)
        usage = self._usage.get(system.name, {})
        return Cell(values, uncovered, 1000 * seconds, parameters, usage)

    def _path(self, kind: str, name: str, suffix: str) -> Path:
        return self.runner.work / kind / name / f"{self.task.file}{suffix}"

    def _bound(self, system: System) -> dict[str, Any]:
        """What the system's scores in this pair depend on."""
        return {
            "settings": settings_of(system),
            "base": self.runner.stages.fingerprint(system),
            "modules": fingerprints(system, self.task),
            **prompt_hash(system),
            **self._texts_of(system)[1],
        }

    def _texts_of(self, system: System) -> tuple[Collection, dict[str, str]]:
        """The texts as a system has them translated, and their hashes."""
        key = (system.translate, system.translator)
        if system.translate == System.translate:
            return self.texts, self.hashes
        if key not in self._translated:
            self._translated.clear()  # one set of translated documents is held at a time
            texts = self.runner.translated(system, self.task, self.texts)
            queries = queries_hash(texts.queries.values())
            documents = self.hashes["documents"]
            if texts.documents is not self.texts.documents:
                documents = documents_hash(texts.documents.values())
            self._translated[key] = (texts, {"queries": queries, "documents": documents})
        return self._translated[key]

    def run_of(self, system: System) -> Run:
        """A system's run, made once."""
        if system.name not in self._runs:
            if system.search is not None:
                self._runs[system.name] = self._search(system)
            else:
                weight = self.runner.weights.get(system.name)
                self._runs[system.name] = self.weighted(system, weight)
        return self._runs[system.name]

    # ------------------------------------------------------------------------------ searches

    def _search(self, system: System) -> Run:
        path = self._path("searches", slug(system.name), ".trec")
        depth = self.runner.specification.search_depth
        bound: dict[str, Any] = {**self._bound(system), "depth": depth}
        if system.search == "run":
            bound["file"] = sha256(run_path(system, self.task))
        kept = store.read_search(path, bound)
        if kept is None:
            kept = self._searched(system, path, bound, depth)
        run, self._seconds[system.name] = kept
        return run

    def _searched(
        self, system: System, path: Path, bound: dict[str, Any], depth: int
    ) -> tuple[Run, float]:
        # Documents meet no module of a query's language, so all query languages share an index.
        _, spoken = system.spoken(self.task)
        documents = Task(self.task.collection, spoken, spoken)
        of_index = {
            "settings": bound["settings"],
            "base": bound["base"],
            "modules": fingerprints(system, documents),
            "documents": bound["documents"],
        }
        texts, _ = self._texts_of(system)
        index = self.runner.stages.search(system, self.task, texts, of_index)
        queries = list(texts.queries.values())
        index.search(queries[:1], 1)  # reads the modules, so that their time is not a query's
        started = time.perf_counter()
        run: Run = index.search(queries, depth)
        seconds = (time.perf_counter() - started) / len(queries)
        if system.search == "run":
            check_candidates(run, self.texts, run_path(system, self.task))
            seconds = 0.0  # nobody knows what it took
        return store.write_search(path, bound, run, seconds), seconds

    # ------------------------------------------------------------------------------ reranking

    def weighted(self, system: System, weight: float | None = None) -> Run:
        """A reranker's run, interpolated with the first stage where that is asked for.

        Args:
            weight: instead of the system's own.
        """
        over = self.runner.specification.system(system.over or "")
        first = self.run_of(over)
        top = {query: hits[: system.depth] for query, hits in first.items()}
        scores = self._scored(system, top)
        run: Run = {
            query: ranked(replace(hit, score=scores.values[query][hit.document_id]) for hit in hits)
            for query, hits in top.items()
        }
        candidates = sum(map(len, top.values())) / max(1, len(self.texts.queries))
        per_pair = scores.seconds / scores.pairs if scores.pairs else 0.0
        self._seconds[system.name] = self._seconds[over.name] + candidates * per_pair
        if scores.pairs:
            shares = {name: value / scores.pairs for name, value in scores.usage.items()}
            self._usage[system.name] = {k: candidates * v for k, v in shares.items()}
        if system.interpolate is not None:
            w = system.interpolate.weight if weight is None else weight
            assert not isinstance(w, str)
            run = interpolate(top, run, w, system.interpolate.normalise)
        return with_rest(run, first) if system.keep_rest else run

    def _scored(self, system: System, top: Run) -> store.Scores:
        """The scores of all candidates, those that are missing made now, query by query.

        A reranker that looks at a whole list ranks the whole list again where one score is missing.
        """
        path = self._path("scores", scorer_name(system), ".jsonl")
        bound = self._bound(system)
        if listwise(system):  # its scores depend on the whole list, in its order
            bound["candidates"] = candidates_hash(
                (query, [(hit.document_id, hit.score) for hit in hits])
                for query, hits in top.items()
            )
        scores = store.open_scores(path, bound)
        lacking = {
            query: [h for h in hits if h.document_id not in scores.values.get(query, {})]
            for query, hits in top.items()
        }
        if not any(lacking.values()):
            return scores
        reranker = self.runner.stages.reranker(system)
        pointwise = getattr(reranker, "pointwise", False)
        texts, _ = self._texts_of(system)
        requests = [
            request_of(texts.queries[query], hits if pointwise else top[query], texts.documents)
            for query, hits in lacking.items()
            if hits
        ]
        _first_candidate(reranker, requests[0])  # reads modules: their time is not a query's
        for request in requests:
            started = time.perf_counter()
            (ranking,) = reranker.rank_all([request])
            seconds = time.perf_counter() - started
            values = {hit.document_id: hit.score for hit in ranking.hits}
            scores.add({ranking.query_id: values}, seconds, _usage(reranker, ranking.query_id))
        return scores


def _usage(reranker: Reranker, query_id: str) -> dict[str, float]:
    """What a language model took for a query; nothing of other rerankers."""
    usage = getattr(reranker, "costs", {}).get(query_id)
    if usage is None:
        return {}
    return {"calls": usage.calls, "tokens": usage.prompt_tokens + usage.generated_tokens}


def _first_candidate(reranker: Reranker, request: Request) -> None:
    """Rank one candidate, so that what is loaded on first use is loaded."""
    first = request.first_stage and request.first_stage[:1]
    for _ in reranker.rank_all([Request(request.query, request.documents[:1], first)]):
        pass


def with_rest(run: Run, first: Run) -> Run:
    """A run with the first stage's other documents below it, in their order."""
    whole: Run = {}
    for query, hits in run.items():
        there = {hit.document_id for hit in hits}
        lowest = min((hit.score for hit in hits), default=0.0)
        rest = [hit for hit in first[query] if hit.document_id not in there]
        whole[query] = [
            *hits,
            *(
                ScoredDocument(query, hit.document_id, lowest - place)
                for place, hit in enumerate(rest, 1)
            ),
        ]
    return whole


def mean(values: Iterable[float]) -> float:
    """Of one value or more."""
    listed = list(values)
    return sum(listed) / len(listed)
