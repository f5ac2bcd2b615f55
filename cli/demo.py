"""polyrank demo: what each part adds, on bundled questions, in three minutes on two cores."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError
from polyrank.progress import note

from . import loading, options, rerankers, show
from .options import Fallback

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from polyrank.collections.records import Collection, Run, ScoredDocument

MEASURES = ("nDCG@10", "AP", "RR")
DENSE, MODULAR = "dense, the base alone", "dense, with language modules"
LATE, COMPOSITION = "late interaction, the base alone", "composition (language + ranking)"


def demo(
    collection: Annotated[str, typer.Option(help="A bundled collection.")] = "afriqa",
    query_language: options.QueryLanguage = "rw",
    document_language: options.DocumentLanguage = "en",
    count: Annotated[int, typer.Option("--queries", min=2, help="How many queries.")] = 60,
    pool: Annotated[int, typer.Option(min=2, help="How many passages are searched.")] = 300,
    depth: Annotated[int, typer.Option(min=2, help="Candidates that are reranked.")] = 50,
    base: options.Base = DEFAULT_BASE,
    max_length: options.MaxLength = 160,
    device: options.Device = None,
    fallback: options.FallbackOption = Fallback.error,
) -> None:
    """Questions in a language without judgements: what each part of a composition finds.

    The questions are spread over the collection, AfriQA's over those that no module was trained on;
    the passages are theirs and others of the collection.

    \b
    Example:
      polyrank demo --query-language ig --document-language en --queries 20 --pool 100
    """
    started = time.monotonic()
    texts = pooled(spread(_load(collection, query_language, document_language), count), pool)
    note(f"{texts!r}, {depth} candidates each")
    runs = _runs(texts, base, depth, max_length, device, fallback)

    from rich.console import Console

    console = Console(highlight=False)
    console.print()
    console.print(_table(texts, runs))
    console.print(_verdict(texts, runs))
    console.print()
    _before_and_after(console, texts, runs)
    note(f"done in {time.monotonic() - started:.0f} s")


def spread(texts: Collection, count: int) -> Collection:
    """`count` queries, evenly spread over the collection, with their judgements."""
    ids = list(texts.queries)
    step = max(1, len(ids) // count)
    kept = set(ids[::step][:count])
    return replace(
        texts,
        queries={i: query for i, query in texts.queries.items() if i in kept},
        qrels=[judgement for judgement in texts.qrels if judgement.query_id in kept],
    )


def pooled(texts: Collection, count: int) -> Collection:
    """The relevant documents, and others evenly spread, `count` in all or as many as relevant."""
    relevant = {judgement.document_id for judgement in texts.relevant()}
    others = [i for i in texts.documents if i not in relevant]
    wanted = max(0, count - len(relevant))
    step = max(1, len(others) // max(1, wanted))
    kept = relevant | set(others[::step][:wanted])
    return replace(texts, documents={i: text for i, text in texts.documents.items() if i in kept})


def _load(collection: str, query_language: str | None, document_language: str | None) -> Collection:
    from polyrank.data.training import is_measured

    if query_language is None or document_language is None:
        raise UsageError("the demo needs --query-language and --document-language")
    texts = loading.load(collection, None, None, query_language, document_language)
    if texts.name != "afriqa":
        return texts
    kept = {name: query for name, query in texts.queries.items() if is_measured(name)}
    return replace(texts, queries=kept, qrels=[j for j in texts.qrels if j.query_id in kept])


def _runs(
    texts: Collection,
    base: str,
    depth: int,
    max_length: int,
    device: str | None,
    fallback: Fallback,
) -> dict[str, Run]:
    """Every system's run, the weakest first."""
    from polyrank.index.dense import Dense
    from polyrank.index.lexical import BM25
    from polyrank.index.modular_dense import ModularDense
    from polyrank.rerankers.base import rerank_run
    from polyrank.rerankers.load import load_reranker

    documents, queries = list(texts.documents.values()), list(texts.queries.values())
    runs: dict[str, Run] = {"BM25": BM25(documents).search(queries, depth)}
    dense = Dense(documents, base=base, max_length=max_length, device=device)
    runs[DENSE] = dense.search(queries, depth)
    modular = ModularDense(
        documents, base, fallback=fallback.value, device=device, max_length=max_length
    )
    runs[MODULAR] = modular.search(queries, depth)
    for name, ranking, routing, first in (
        (LATE, "none", "none", DENSE),
        (COMPOSITION, None, "split", MODULAR),
    ):
        note(f"scoring: {name}")
        reranker = load_reranker(
            base,
            ranking=ranking,
            routing=routing,
            fallback=fallback.value,
            max_length=max_length,
            device=device,
            keep=rerankers.KEPT,
            seed=0,
        )
        reranked = rerank_run(reranker, texts, runs[first])
        runs[name] = reranked.run
        rerankers.report(reranked.notes)
    return runs


def _table(texts: Collection, runs: dict[str, Run]) -> Table:
    from rich.table import Table

    from polyrank.evaluation import evaluate

    first = next(iter(texts.queries.values()))
    document = next(iter(texts.documents.values()))
    table = Table(
        title=f"{texts.name}, {first.language} queries over {document.language} passages "
        f"({len(texts.queries)} queries)"
    )
    table.add_column("system")
    for measure in MEASURES:
        table.add_column(measure, justify="right")
    for name, run in runs.items():
        report = evaluate(run, texts.qrels, MEASURES)
        table.add_row(name, *(f"{report[measure]:.3f}" for measure in MEASURES))
    return table


def _verdict(texts: Collection, runs: dict[str, Run]) -> str:
    """The paired test of the composition against dense retrieval with the base, in words."""
    from polyrank.evaluation import evaluate

    report = evaluate(runs[COMPOSITION], texts.qrels, MEASURES, baseline=runs[DENSE])
    parts = [
        f"{measure} {c.difference:+.3f} (p = {c.p_value:.3f}; better for {c.better} queries, "
        f"worse for {c.worse})"
        for measure, c in report.comparison.items()
    ]
    return (
        "Composition against dense retrieval with the base alone, paired randomisation test:\n  "
        + ("\n  ".join(parts))
    )


def _before_and_after(console: Console, texts: Collection, runs: dict[str, Run]) -> None:
    """The query whose relevant passage rises most, with its top passages before and after."""
    relevant: dict[str, frozenset[str]] = {}
    for judgement in texts.relevant():
        query_id = judgement.query_id
        relevant[query_id] = relevant.get(query_id, frozenset()) | {judgement.document_id}
    before, after = runs[DENSE], runs[COMPOSITION]

    def rise(query_id: str) -> tuple[int, int]:
        wanted = relevant.get(query_id, frozenset())
        old, new = _rank(before.get(query_id, []), wanted), _rank(after.get(query_id, []), wanted)
        return (old - new, -new)

    chosen = max(texts.queries, key=rise)
    query, wanted = texts.queries[chosen], relevant.get(chosen, frozenset())
    console.print("The query whose relevant passage rises most:")
    for title, run in (("Before: dense", before), ("After: composition", after)):
        console.print(f"{title} (* is the relevant passage)", style="underline")
        show.ranking(console, query, run[chosen][:3], texts.documents, wanted)
        rank = _rank(run[chosen], wanted)
        console.print(f" the relevant passage is at rank {rank}\n")


def _rank(hits: Sequence[ScoredDocument], wanted: frozenset[str]) -> int:
    """Rank of the first relevant passage; one past the end when there is none."""
    found = (rank for rank, hit in enumerate(hits, start=1) if hit.document_id in wanted)
    return next(found, len(hits) + 1)
