"""The parts that systems are made of: searches and scorers, each loaded once."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from polyrank.base import Base, load_base
from polyrank.collections.records import Collection, Document, Query, Run
from polyrank.collections.trec import read_run
from polyrank.errors import DataError, ModuleError
from polyrank.experiments.modules import folders, ranking_folder, values_in
from polyrank.experiments.specification import System, Task, filled, slug
from polyrank.modules.kinds import DEFAULT_KIND, KINDS
from polyrank.modules.multi_view import is_multi_view
from polyrank.rerankers.base import Reranker
from polyrank.rerankers.llm.scorers import SCORERS
from polyrank.rerankers.load import RerankerSpec, load_reranker

_SCORING = (
    "rerank", "base", "ranking", "ranking_kind", "routing", "fallback", "max_length",
    "query_length", "precision", "model",
)  # fmt: skip
_ASKING = ("rerank", "model", "scorer", "prompt", "window", "step", "engine", "precision")
_LIST = ("over", "depth")  # what a listwise reranker sees depends on these, too
_SEARCHING = {
    "bm25": ("search", "analysis"),
    "dense": ("search", "base", "max_length"),
    "modular": ("search", "base", "language_kind", "fallback", "max_length"),
    "late": ("search", "base", "ranking", "ranking_kind", "routing", "fallback", "max_length",
             "query_length", "precision"),
    "run": ("search", "run"),
}  # fmt: skip


def settings_of(system: System) -> dict[str, Any]:
    """What a system's scores depend on, besides weights and texts."""
    if system.search:
        names: tuple[str, ...] = _SEARCHING[system.search]
    else:
        names = _ASKING if system.rerank == "llm" else _SCORING
        names += _LIST if listwise(system) else ()
    if system.translate != System.translate:
        names += ("translate", "translator")
    return {name: getattr(system, name) for name in names}


def listwise(system: System) -> bool:
    """Whether a document's score depends on the other candidates."""
    if system.rerank == "llm":
        return not SCORERS[system.scorer or "label"].pointwise
    return of_views(system)


def of_views(system: System) -> bool:
    """Whether a system reranks by a multi-view module, as far as that is here to look at."""
    if system.rerank not in KINDS:
        return False
    with suppress(ModuleError):
        return is_multi_view(ranking_folder(system))
    return False


def prompt_hash(system: System) -> dict[str, str]:
    """Of what a language model is asked, for what its scores depend on; nothing of others."""
    if system.rerank != "llm":
        return {}
    from polyrank.rerankers.llm.prompt import load_prompt

    asked = load_prompt(system.prompt or SCORERS[system.scorer or "label"].prompt)
    return {"prompt": asked.hash()}


def digest(value: Mapping[str, Any]) -> str:
    """Ten hex digits that tell settings apart."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:10]


def scorer_name(system: System) -> str:
    """The folder of a reranker's scores: systems of equal settings share it."""
    parts = [system.rerank, Path(system.ranking or system.model or "").name, system.routing]
    key = {**settings_of(system), "zoo": system.zoo}
    return f"{slug('-'.join(part for part in parts if part))}-{digest(key)}"


class Stages:
    """Loads bases, rerankers and indexes when they are first needed.

    Of indexes the last one of each search is kept, so go through the pairs of a collection by the
    language of their documents.
    """

    def __init__(self, indexes: Path) -> None:
        self.indexes = indexes
        self._bases: dict[str, Base] = {}
        self._rerankers: dict[str, Reranker] = {}
        self._late: dict[str, Any] = {}
        self._engines: dict[tuple[str | None, ...], Any] = {}  # of language models
        self._searches: dict[str, tuple[str, Any]] = {}  # system → index's key, index

    def base(self, name: str) -> Base:
        """A base, loaded once."""
        if name not in self._bases:
            self._bases[name] = load_base(name)
        return self._bases[name]

    def fingerprint(self, system: System) -> str | None:
        """Of a system's base; of its vocabulary alone for BM25 over subwords; None for one without
        a base."""
        if system.search == "bm25" and system.analysis == "subwords":
            return f"vocabulary {self.base(system.base).fingerprint.vocabulary}"
        if system.search in ("bm25", "run") or system.is_standalone:
            return None
        if system.is_late and folders_are_base(system):
            return None  # the checkpoint is the base, and its files are bound
        return str(self.base(system.base).fingerprint)

    def parameters(self, system: System, task: Task) -> dict[str, int]:
        """Weights that run for a pair of this task, and those of them that lie in modules.

        A mask's values are weights of the base's, so they are counted in modules alone.
        """
        modules = {path: values_in(path) for path in folders(system, task)}
        stored = sum(modules.values())
        if system.is_standalone or _whole(system.rerank):
            return {"run": stored, "modules": stored}
        if system.search in ("bm25", "run"):
            return {"run": 0, "modules": 0}
        if system.is_late and folders_are_base(system):
            return {"run": stored, "modules": stored}
        base = sum(p.numel() for p in self.base(system.base).model.parameters())
        if system.is_late and _whole(system.ranking_kind):
            return {"run": stored, "modules": stored}
        kinds = {path: KINDS.get(path.parent.name) for path in modules}
        added = sum(
            count
            for path, count in modules.items()
            if (kind := kinds[path]) is None or kind.acts != "weights"
        )
        return {"run": base + added, "modules": stored}

    # ------------------------------------------------------------------------------ rerankers

    def reranker(self, system: System) -> Reranker:
        """What ranks the candidates of a reranking system."""
        name = scorer_name(system)
        if name not in self._rerankers:
            self._rerankers[name] = (
                self._late_interaction(system)
                if system.rerank == "late"
                else load_reranker(self._spec(system))
            )
            if system.rerank == "llm":  # scorers of one model share it
                engine = getattr(self._rerankers[name], "engine", None)
                self._engines.setdefault(_engine_of(system), engine)
        return self._rerankers[name]

    def _spec(self, system: System) -> RerankerSpec:
        spec = RerankerSpec(max_length=system.max_length, precision=system.precision)
        if system.rerank == "model":
            return replace(spec, model=system.model or "")
        if system.rerank == "llm":
            asked = {"prompt": system.prompt, "window": system.window, "step": system.step}
            running = self._engines.get(_engine_of(system))
            where = {"engine": running} if running else {"engine_url": system.engine}
            options = {**asked, "scorer": system.scorer, **where}
            return replace(spec, type="llm", model=system.model or "", options=options)
        late = system.is_late
        kind = (system.ranking_kind if late else system.rerank) or DEFAULT_KIND
        return replace(
            spec,
            type="late-interaction" if late else "multi-view" if of_views(system) else "modular",
            base=system.base if late and folders_are_base(system) else self.base(system.base),
            ranking=system.ranking,
            kind=kind,
            ranking_kind=None if late else system.ranking_kind,
            routing=system.routing,
            fallback=system.fallback,
            query_length=system.query_length,
            zoo=system.zoo,
        )

    def _late_interaction(self, system: System) -> Any:
        """One model for the systems that search by it and those that rerank by it."""
        key = digest({**settings_of(system), "search": None, "rerank": None, "zoo": system.zoo})
        if key not in self._late:
            self._late[key] = load_reranker(self._spec(system))
        return self._late[key]

    # ------------------------------------------------------------------------------ searches

    def search(
        self, system: System, task: Task, texts: Collection, bound: Mapping[str, Any]
    ) -> Any:
        """What searches all documents of a task: an object with `search(queries, depth)`.

        Args:
            bound: what the index depends on; it is built anew for another one.
        """
        if system.search == "run":
            return RunFile(run_path(system, task))
        key = digest(bound)
        kept = self._searches.get(system.name)
        if kept is None or kept[0] != key:
            self._searches[system.name] = (key, self._index(system, task, texts, key))
        return self._searches[system.name][1]

    def _index(self, system: System, task: Task, texts: Collection, key: str) -> Any:
        documents: list[Document] = list(texts.documents.values())
        if system.search == "bm25":
            from polyrank.index.lexical import BM25

            return BM25(documents, analysis=system.analysis, base=system.base)
        if system.search == "modular":
            return self._modular(system, documents)
        folder = self.indexes / f"{system.search}.{task.documents}.{key}"
        if system.search == "dense":
            from polyrank.index.dense import Dense

            base = self.base(system.base)
            if folder.exists():
                return Dense.load(folder, base)
            length = system.max_length
            return Dense.build(documents, folder, base, max_length=length, resume=True)
        from polyrank.index.multivector import MultiVectorIndex

        model = self._late_interaction(system)
        if folder.exists():
            return MultiVectorIndex(folder, model)
        return MultiVectorIndex.build(folder, documents, model, resume=True)

    def _modular(self, system: System, documents: list[Document]) -> Any:
        """Dense under language modules; it is kept in memory, and encoded anew by the next call."""
        from polyrank.index.modular_dense import ModularDense

        return ModularDense(
            documents,
            self.base(system.base),
            language_kind=system.language_kind or DEFAULT_KIND,
            fallback=system.fallback,
            zoo=system.zoo,
            max_length=system.max_length,
        )


def _engine_of(system: System) -> tuple[str | None, ...]:
    return system.model, system.precision, system.engine


def _whole(kind: str | None) -> bool:
    """Whether a ranking module of this kind is a model in the base's place."""
    return kind in KINDS and KINDS[kind].acts == "model"


class RunFile:
    """A run of another system, read from a file."""

    def __init__(self, path: Path) -> None:
        self.path, self.run = path, read_run(path)

    def search(self, queries: list[Query], depth: int = 100) -> Run:
        """The queries' documents; a query that the file lacks has none."""
        return {query.id: self.run.get(query.id, [])[:depth] for query in queries}


def run_path(system: System, task: Task) -> Path:
    """The run file of a task."""
    values = {
        "collection": task.collection.name,
        "queries": task.queries,
        "documents": task.documents,
    }
    return Path(filled(system.run or "", values))


def check_candidates(run: Run, texts: Collection, whose: Path | str) -> None:
    """Refuse a run with documents that the collection lacks.

    Raises:
        DataError: naming the first of them.
    """
    for hits in run.values():
        for hit in hits:
            if hit.document_id not in texts.documents:
                reason = (
                    f"query {hit.query_id} has document {hit.document_id}, which the collection "
                    f"'{texts.name}' lacks; give a run of this collection"
                )
                raise DataError(whose, None, reason)


def folders_are_base(system: System) -> bool:
    """Whether a late-interaction system is a checkpoint of its own, base included."""
    from polyrank.late_interaction.checkpoints import is_checkpoint

    return is_checkpoint(system.ranking or "")
