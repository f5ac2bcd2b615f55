"""polyrank evaluate: measures of a run, and a paired test against another."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.errors import UsageError

from .options import AsJson

if TYPE_CHECKING:
    from polyrank.collections.records import Judgement

COMMA = r",(?![^()]*\))"  # not those inside AP(rel=2,cutoff=5)


def evaluate(
    run: Annotated[Path, typer.Argument(help="The run: TREC, or .jsonl.")],
    qrels: Annotated[Path | None, typer.Argument(help="Relevance judgements, TREC or TSV.")] = None,
    collection: Annotated[
        str | None, typer.Option(help="A collection whose judgements are taken.")
    ] = None,
    measures: Annotated[str, typer.Option(help="Measures, separated by commas.")] = "nDCG@10,AP,RR",
    baseline: Annotated[
        Path | None, typer.Option(help="A second run, to test the first against, query by query.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Evaluate a run; with --baseline, a paired test of the difference.

    \b
    Examples (the first two write the runs that the third compares):
      polyrank search --collection ntrex --query-language tr --document-language en \\
          --first-stage bm25 --no-rerank --output bm25.trec
      polyrank search --collection ntrex --query-language tr --document-language en \\
          --no-rerank --output dense.trec
      polyrank evaluate dense.trec --collection ntrex --baseline bm25.trec
    """
    if (qrels is None) == (collection is None):
        raise UsageError("give the judgements: a QRELS file, or --collection NAME")
    from polyrank.collections.trec import read_qrels, read_run
    from polyrank.evaluation import evaluate as measured

    report = measured(
        read_run(run),
        read_qrels(qrels) if qrels is not None else _judgements(str(collection)),
        [name.strip() for name in re.split(COMMA, measures) if name.strip()],
        baseline=read_run(baseline) if baseline is not None else None,
    )
    print(report.json() if as_json else report.text())


def _judgements(collection: str) -> list[Judgement]:
    """The judgements of a bundled collection hold for every pair of languages; one is loaded."""
    from polyrank.collections.load import load_collection

    language = "en" if collection in ("xquad", "ntrex") else None
    return load_collection(collection, queries=language, documents=language).qrels
