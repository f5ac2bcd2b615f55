"""What an experiment is: collections by language pair, systems, groups, comparisons. Values."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polyrank.base import DEFAULT_BASE
from polyrank.modules.kinds import KINDS

SEARCHES = ("bm25", "dense", "modular", "late", "run")
RERANKS = (*KINDS, "late", "model", "llm")
NORMALISATIONS = ("min-max", "z-score")
CHOSEN = "chosen"  # instead of a weight: the best one on the development collection
WEIGHTS = tuple(step / 10 for step in range(11))  # that are tried there


@dataclass(frozen=True)
class Collection:
    """A collection in its pairs of languages.

    Attributes:
        name: in the report.
        source: what `load_collection` takes; `{queries}` and `{documents}` stand for languages.
        pairs: (query language, document language), in the order of the file.
        queries: sampled for each pair; None for all.
        parallel: whether a query id names the same topic in every language, so that it is one
            observation, and each pair gets a sample of its own.
        spelling: how `source` spells a language, where not by its tag.
        split: of a BEIR folder, or of a collection that has several; None for its own choice.
        licence: where the collection does not say.
        get: how to come by it, for whoever lacks it.
        line: in the file.
    """

    name: str
    source: str
    pairs: tuple[tuple[str, str], ...]
    queries: int | None = None
    parallel: bool = False
    spelling: tuple[tuple[str, str], ...] = ()
    split: str | None = None
    licence: str = ""
    get: str = ""
    line: int = 0

    def source_of(self, queries: str, documents: str) -> str:
        """The name to load for a pair of languages."""
        spelt = dict(self.spelling)
        pair = {"queries": queries, "documents": documents}
        return filled(self.source, {key: spelt.get(tag, tag) for key, tag in pair.items()})


@dataclass(frozen=True)
class Task:
    """One collection in one pair of languages; `place` counts the pairs, for their samples."""

    collection: Collection
    queries: str
    documents: str
    place: int = 0

    @property
    def pair(self) -> str:
        return f"{self.queries}→{self.documents}"

    @property
    def name(self) -> str:
        return f"{self.collection.name} {self.pair}"

    @property
    def file(self) -> str:
        """A name for its files."""
        return f"{slug(self.collection.name)}.{self.queries}.{self.documents}"


@dataclass(frozen=True)
class Group:
    """A column of the table: pairs of languages that are averaged.

    Attributes:
        collections: that it takes pairs of.
        languages: one of the pair's is among these; None for any.
        without: neither of the pair's is among these.
        queries, documents: the pair's language on that side is among these; None for any.
        queries_after, queries_until: only questions whose date is later than that day, or not
            later; None for all. A model knows less of what came after its training.
    """

    name: str
    collections: tuple[str, ...]
    languages: tuple[str, ...] | None = None
    without: tuple[str, ...] = ()
    queries: tuple[str, ...] | None = None
    documents: tuple[str, ...] | None = None
    queries_after: str | None = None
    queries_until: str | None = None

    @property
    def dated(self) -> bool:
        """Whether it takes questions by their date."""
        return self.queries_after is not None or self.queries_until is not None

    def takes(self, date: str | None) -> bool:
        """Whether a question of that date is in the group; where it counts, none is without."""
        if not self.dated:
            return True
        assert date is not None
        return (self.queries_after is None or date > self.queries_after) and (
            self.queries_until is None or date <= self.queries_until
        )

    def __contains__(self, task: Task) -> bool:
        pair = {task.queries, task.documents}
        return (
            task.collection.name in self.collections
            and (self.languages is None or bool(pair & set(self.languages)))
            and not pair & set(self.without)
            and (self.queries is None or task.queries in self.queries)
            and (self.documents is None or task.documents in self.documents)
        )


@dataclass(frozen=True)
class Interpolation:
    """(1 − weight) · first stage + weight · reranker, each normalised over a query's candidates.

    Attributes:
        weight: of the reranker, from 0 to 1; `CHOSEN` for the best on the development collection.
        normalise: 'min-max' or 'z-score', as `polyrank.runs.fusion` has them.
    """

    weight: float | str = 0.5
    normalise: str = "min-max"


@dataclass(frozen=True)
class System:
    """A row of the table. Either it searches all documents, or it reranks what `over` found.

    Attributes:
        search: 'bm25', 'dense', 'modular' (dense, each text under its language's module), 'late',
            or 'run' for run files; None for a reranker.
        rerank: a kind of module, 'late', 'model' for a standalone checkpoint, or 'llm'.
        base, ranking, ranking_kind, routing, fallback, zoo, max_length, query_length, precision: as
            of `Reranker` and `LateInteraction`.
        language_kind: of the language modules of a modular search, 'adapter' or 'mask'.
        analysis: of BM25.
        run: of run files, with {collection}, {queries} and {documents}.
        model: folder of the standalone checkpoint, or of a language model; with `engine` its name.
        scorer, prompt, window, step, engine: of a language model, as of `load_llm_reranker`.
        translate: what is translated before it is searched or reranked: a preset of
            `polyrank.translation.presets`. A reranker's is its own, not that of `over`.
        translator: of it, as `load_translator` takes it.
        over: the system whose candidates are reranked.
        depth: how many of them.
        interpolate: with the scores of `over`.
        keep_rest: whether candidates beyond `depth` follow in the order of `over`.
        optional: whether it may be left out where its modules are missing.
        train: the command that makes what is missing.
        only: names of the groups it is measured on; None for all.
        family: the name as the file has it, before its lists were multiplied out.
        line: in the file.
    """

    name: str
    search: str | None = None
    rerank: str | None = None
    base: str = DEFAULT_BASE
    ranking: str | None = None
    ranking_kind: str | None = None
    routing: str | None = None
    fallback: str = "error"
    zoo: str | None = None
    max_length: int = 256
    query_length: int | None = None
    language_kind: str | None = None
    precision: str = "fp32"
    analysis: str = "stems"
    run: str | None = None
    model: str | None = None
    scorer: str | None = None
    prompt: str | None = None
    window: int | None = None
    step: int | None = None
    engine: str | None = None
    translate: str = "none"
    translator: str | None = None
    over: str | None = None
    depth: int = 100
    interpolate: Interpolation | None = None
    keep_rest: bool = False
    optional: bool = False
    train: str | None = None
    only: tuple[str, ...] | None = None
    family: str = ""
    line: int = 0

    def spoken(self, task: Task) -> tuple[str, str]:
        """The languages of queries and documents as the system reads them."""
        read: dict[str, tuple[str, str]] = {
            "query": (task.documents, task.documents),
            "gold": (task.documents, task.documents),
            "document": (task.queries, task.queries),
        }
        return read.get(self.translate, (task.queries, task.documents))

    @property
    def is_standalone(self) -> bool:
        """Whether it reranks by a model that has no base and no modules."""
        return self.rerank in ("model", "llm")

    @property
    def is_late(self) -> bool:
        return "late" in (self.search, self.rerank)


@dataclass(frozen=True)
class Comparison:
    """Two systems that are tested against each other, in some groups or in all."""

    system: str
    baseline: str
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Specification:
    """All of an experiment's file; see the class of each part.

    Attributes:
        path: of the file.
        about: what it is for, in the report.
        seed: of the tests and intervals.
        measures: names of `ir_measures`; the first is the one that is shown and tested.
        cut: documents of each ranking that are measured; None for all.
        search_depth: documents that a search finds.
        development: where weights are chosen.
        heat_maps: systems that are drawn by pair of languages.
    """

    path: Path
    title: str
    about: str
    seed: int
    measures: tuple[str, ...]
    cut: int | None
    search_depth: int
    collections: tuple[Collection, ...]
    development: Collection | None
    groups: tuple[Group, ...]
    systems: tuple[System, ...]
    comparisons: tuple[Comparison, ...]
    heat_maps: tuple[str, ...]

    def tasks(self) -> list[Task]:
        """Every pair of every collection."""
        pairs = [(c, pair) for c in self.collections for pair in c.pairs]
        return [Task(c, *pair, place) for place, (c, pair) in enumerate(pairs)]

    def development_tasks(self) -> list[Task]:
        """The pairs in which weights are chosen."""
        if self.development is None:
            return []
        return [Task(self.development, *p, i) for i, p in enumerate(self.development.pairs)]

    def system(self, name: str) -> System:
        return next(system for system in self.systems if system.name == name)

    def measured(self, system: System, task: Task) -> bool:
        """Whether a system has a cell in a pair."""
        return system.only is None or any(
            task in group for group in self.groups if group.name in system.only
        )

    def shown(self, system: System, group: Group) -> bool:
        """Whether a system has a value in a group."""
        return system.only is None or group.name in system.only


def slug(name: str) -> str:
    """A name as the name of a file: letters, digits, dots and hyphens.

    >>> slug("adapters, split")
    'adapters-split'
    """
    return re.sub(r"[^\w.]+", "-", name.lower()).strip("-.") or "x"


def filled(template: str, values: Mapping[str, str]) -> str:
    """A template with its {names} filled in; other braces are left alone."""
    for key, value in values.items():
        template = template.replace("{" + key + "}", value)
    return template
