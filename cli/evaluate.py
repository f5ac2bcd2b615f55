"""polyrank evaluate: measures of a run, and a paired test against another."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import typer

from polyrank.errors import UsageError

from .options import AsJson

COMMA = r",(?![^()]*\))"  # not those inside AP(rel=2,cutoff=5)


def evaluate(
    run: Annotated[Path, typer.Argument(help="The run: TREC, or .jsonl.")],
    qrels: Annotated[Path | None, typer.Argument(help="Relevance judgements, TREC or TSV.")] = None,
    collection: Annotated[
        str | None, typer.Option(help="A collection whose judgements are taken.")
    ] = None,
    query_language: Annotated[
        str | None, typer.Option(help="With --collection: as the run was made with.")
    ] = None,
    document_language: Annotated[
        str | None, typer.Option(help="With --collection: as the run was made with.")
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="With --collection: which of its judgements.")
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
    from polyrank.collections.load import load_judgements
    from polyrank.collections.trec import read_qrels, read_run
    from polyrank.evaluation import evaluate as measured

    report = measured(
        read_run(run),
        read_qrels(qrels)
        if qrels is not None
        else load_judgements(str(collection), query_language, document_language, split),
        [name.strip() for name in re.split(COMMA, measures) if name.strip()],
        baseline=read_run(baseline) if baseline is not None else None,
    )
    print(report.json() if as_json else report.text())
