"""polyrank compare: several runs against one, tested and corrected."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.errors import UsageError

from . import checks
from .judged import By, Judged, Measures, Missing, asks_for_languages, split_measures, truth
from .options import (
    AsJson,
    DocumentLanguage,
    DocumentsFile,
    QueriesFile,
    QueryLanguage,
    Seed,
    Split,
)


def compare(
    context: typer.Context,
    runs: Annotated[list[Path], typer.Argument(help="Two runs or more: TREC, or .jsonl.")],
    qrels: Annotated[Path | None, typer.Option(help="Relevance judgements, TREC or TSV.")] = None,
    collection: Judged = None,
    queries: QueriesFile = None,
    documents: DocumentsFile = None,
    split: Split = None,
    query_language: QueryLanguage = None,
    document_language: DocumentLanguage = None,
    baseline: Annotated[
        Path | None, typer.Option(help="The run to compare with; else the first.")
    ] = None,
    measures: Measures = "nDCG@10,AP,RR",
    by: By = "all",
    unit: Annotated[
        str,
        typer.Option(
            help="What counts as one observation: a topic, averaged over the languages it is asked "
            "in, or each query."
        ),
    ] = "topic",
    test: Annotated[str, typer.Option(help="randomisation, or t.")] = "randomisation",
    correction: Annotated[
        str, typer.Option(help="Over all tests of the table: holm, bonferroni, or none.")
    ] = "holm",
    missing: Missing = "refuse",
    resamples: Annotated[int, typer.Option(help="Of test and interval.", min=1)] = 10_000,
    seed: Seed = 13,
    as_latex: Annotated[bool, typer.Option("--latex", help="Write a LaTeX table.")] = False,
    as_json: AsJson = False,
) -> None:
    """Test runs against a baseline, query by query, on one or more measures.

    The same topic in several languages is not an independent observation, so it is averaged over
    them first (--unit query does not). With --by, every language or pair is tested by itself. Runs
    over different queries are refused: an arm that never ran would score 0 and look significantly
    worse.

    \b
    Examples (the first two write the runs):
      polyrank search --collection ntrex --query-language tr --document-language en \\
          --first-stage bm25 --no-rerank --output bm25.trec
      polyrank search --collection ntrex --query-language tr --document-language en \\
          --no-rerank --output dense.trec
      polyrank compare bm25.trec dense.trec --collection ntrex --measures nDCG@10,RR
      polyrank compare bm25.trec dense.trec --collection ntrex --test t --latex
    """
    from polyrank.collections.trec import read_run
    from polyrank.evaluation import Settings
    from polyrank.evaluation import compare as compared

    if as_latex and as_json:
        raise UsageError("give --latex or --json, not both")
    settings = Settings(by, unit, test, correction, missing, resamples=resamples, seed=seed)
    if qrels is not None and not asks_for_languages(split_measures(measures), by):
        checks.of_no_use(
            context,
            "--qrels, unless --by or a measure asks for languages",
            ("documents", "query-language", "document-language"),
        )
        if unit == "query":
            checks.of_no_use(context, "--qrels and --unit query", ("queries",))
    paths = list(runs)
    if baseline is not None and baseline not in paths:
        paths.insert(0, baseline)
    if len(set(paths)) < len(paths):
        raise UsageError("the same run is given twice")
    stems = [path.name.removesuffix(".gz").rsplit(".", 1)[0] for path in paths]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in paths]
    ranked = {name: read_run(path) for name, path in zip(names, paths, strict=True)}
    known = truth(
        list(ranked.values()),
        qrels,
        collection,
        queries,
        documents,
        query_language,
        document_language,
        split,
    )
    reference = names[paths.index(baseline)] if baseline is not None else names[0]
    found = compared(
        ranked,
        known.qrels,
        split_measures(measures),
        reference,
        collection=known.pool,
        settings=settings,
    )
    print(found.json() if as_json else found.latex() if as_latex else found.text())
