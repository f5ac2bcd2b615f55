"""The first stage that a verb searches itself."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from polyrank.base import cache_root
from polyrank.errors import UsageError
from polyrank.index.first_stages import FIRST_STAGES, default_first_stage
from polyrank.progress import note

from . import checks
from .options import Analysis, FirstStage
from .rerankers import report

if TYPE_CHECKING:
    from polyrank.collections.records import Collection, Query, Run
    from polyrank.index.vector_cache import Cached
    from polyrank.rerankers.llm.decompose import Decomposer


def chosen(stage: FirstStage | None, base: str, texts: Collection) -> FirstStage:
    """The stage that was asked for, else the one that is best for these texts; told where modules
    stay away."""
    if stage is not None:
        return stage
    languages = {query.language for query in texts.queries.values()}
    languages |= {document.language for document in texts.documents.values()}
    found = default_first_stage(base, languages)
    if found == "dense" and default_first_stage(base) != found:
        note(
            "the first stage is dense, as not all languages have a module; --first-stage modular "
            "takes those that there are"
        )
    return FirstStage(found)


def check_of_use(context: typer.Context, stage: FirstStage) -> None:
    """Refuse options of BM25 for a stage that has none.

    Raises:
        UsageError: it names them.
    """
    if "bm25" not in FIRST_STAGES[stage.value]:
        checks.of_no_use(context, f"--first-stage {stage.value}", ("analysis",))


def retriever_of(folder: Path | None, stage: FirstStage | None) -> tuple[str, str] | None:
    """A dot-product module's folder and kind."""
    if folder is None:
        return None
    if stage is FirstStage.bm25:
        raise UsageError("--retriever makes vectors; use --first-stage dense, modular or fused")
    from polyrank.modules.card import read_card

    # Whole: a bare word would mean a module of the zoo.
    return str(folder.resolve()), read_card(folder, verify=False).kind


def search_first(
    collection: Collection,
    stage: FirstStage,
    base: str,
    depth: int,
    limit: int | None,
    device: str | None = None,
    analysis: Analysis = Analysis.stems,
    precision: str | None = None,
    keep: bool = False,
    decomposer: Decomposer | None = None,
    retriever: tuple[str, str] | None = None,
) -> Run:
    """The first stage's candidates for the first `limit` queries; how BM25 read them, on stderr.

    Args:
        keep: whether document vectors stay in the cache for the next call.
        decomposer: whose sub-questions are searched for too; then it is said how much of the
            evidence the union holds.
        retriever: folder and kind of a dot-product module, whose vectors are taken in place of the
            base's own.
    """
    from polyrank.index.dense import Dense
    from polyrank.index.lexical import BM25
    from polyrank.index.modular_dense import ModularDense
    from polyrank.pipeline import Fusion

    queries = list(collection.queries.values())[:limit]
    documents = list(collection.documents.values())

    def encoding(vectors: Callable[..., Any]) -> Any:
        return vectors(
            documents,
            base=base,
            device=device,
            precision=precision,
            keep=cache_root() / "vectors" if keep else None,
        )

    def vectors_of(plain: Callable[..., Any], routing: str) -> Any:
        """The retriever's, where there is one."""
        if retriever is None:
            return encoding(plain)
        folder, kind = retriever
        return encoding(partial(ModularDense, ranking=folder, ranking_kind=kind, routing=routing))

    made: dict[str, Callable[[], Any]] = {
        "bm25": lambda: BM25(documents, analysis=analysis.value, base=base),
        "dense": lambda: vectors_of(Dense, "none"),
        "modular": lambda: vectors_of(ModularDense, "split"),
    }
    retrievers = [made[name]() for name in FIRST_STAGES[stage.value]]
    for one in retrievers:
        if isinstance(one, BM25):
            note(repr(one))
        _tell_cached(getattr(one, "cached", None))
    found = retrievers[0] if len(retrievers) == 1 else Fusion(retrievers)
    if decomposer is None:
        run: Run = found.search(queries, depth)
    else:
        run = _decomposed(found, decomposer, queries, depth, collection)
    for one in retrievers:
        report(one)
    return run


def _tell_cached(cached: Cached | None) -> None:
    """Where document vectors are kept, how large they are, and how to do without."""
    if cached is not None:
        what = "are kept in" if cached.encoded else "were not encoded again: they are in"
        size = f"{cached.bytes / 1e6:,.1f} MB"
        note(f"the document vectors {what} {cached.folder} ({size}; --no-cache keeps none)")


def _decomposed(
    retriever: Any,
    decomposer: Decomposer,
    queries: list[Query],
    depth: int,
    collection: Collection,
) -> Run:
    """The union of what the questions and their sub-questions find; both coverages, on stderr."""
    from polyrank.evaluation.coverage import coverage
    from polyrank.pipeline import FanOut, matches

    decomposer.prepare(queries)
    union = FanOut(retriever, decomposer).search(queries, depth)
    report(decomposer)
    parts = sum(len(decomposer(query)) for query in queries)
    note(f"{parts} sub-questions of {len(queries)} questions")
    if collection.qrels:
        note(f"candidates hold {coverage(union, collection.qrels)} questions")
        alone = matches(retriever, queries, depth)
        note(f"by the questions alone: {coverage(alone, collection.qrels)}")
    return union
