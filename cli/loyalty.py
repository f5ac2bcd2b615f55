"""polyrank loyalty: how a student's run agrees with its teacher's."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.collections.id_policies import ON_MISSING

from . import checks, loading, options
from .choices import Choice


class Unshared(Choice, names=ON_MISSING):
    """What happens to queries and candidates of one run alone."""


def loyalty(
    context: typer.Context,
    student: Annotated[Path, typer.Argument(help="The student's run: TREC, or .jsonl.")],
    teacher: Annotated[Path, typer.Argument(help="The teacher's, of the same candidates.")],
    collection: options.CollectionName = None,
    queries: options.QueriesFile = None,
    documents: options.DocumentsFile = None,
    split: options.Split = None,
    query_language: options.QueryLanguage = None,
    document_language: options.DocumentLanguage = None,
    missing: Annotated[
        Unshared, typer.Option(help="What only one run has: stop, or leave out and count.")
    ] = Unshared.error,
    as_json: options.AsJson = False,
) -> None:
    """Compare a student with its teacher over the same candidates, whatever is right.

    label: the same candidate first. probability: 1 - root of the Jensen-Shannon divergence of the
    softmax over the candidates. regression: Pearson. tau: Kendall's tau-b. All are means over
    queries; with a collection also by the language of queries and of documents.

    \b
    Examples (the first three write the runs that the last compares):
      polyrank search --collection ntrex --query-language tr --document-language en \\
          --first-stage dense --depth 5 --limit 10 --no-rerank --output first.trec
      polyrank rerank --collection ntrex --query-language tr --document-language en \\
          --run first.trec --output adapter.trec
      polyrank rerank --collection ntrex --query-language tr --document-language en \\
          --run first.trec --kind mask --output mask.trec
      polyrank loyalty mask.trec adapter.trec
    """
    from polyrank.collections.trec import read_run
    from polyrank.evaluation.loyalty import loyalty as compared

    texts = None
    if any(given is not None for given in (collection, queries, documents, split)):
        texts = loading.load(
            collection, queries, documents, query_language, document_language, split
        )
    else:
        checks.of_no_use(context, "no --collection", ("query-language", "document-language"))
    report = compared(
        read_run(student),
        read_run(teacher),
        texts.queries if texts else None,
        texts.documents if texts else None,
        missing.value,
    )
    print(report.json() if as_json else report)
