"""polyrank view: one run or two as a page to look at, in one file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.errors import UsageError
from polyrank.progress import note, track

from . import checks
from .judged import Judged, Measures, Missing, split_measures, truth
from .options import (
    Device,
    DocumentLanguage,
    DocumentsFile,
    QueriesFile,
    QueryLanguage,
    Seed,
    Split,
)

if TYPE_CHECKING:
    from polyrank.collections.records import Run
    from polyrank.evaluation.looking import Texts


def view(
    context: typer.Context,
    runs: Annotated[list[Path], typer.Argument(help="One run or two: TREC, or .jsonl.")],
    output: Annotated[
        Path, typer.Option(help="Where to: .html, or .json for 'polyrank serve --page'.")
    ],
    qrels: Annotated[Path | None, typer.Option(help="Relevance judgements, TREC or TSV.")] = None,
    collection: Judged = None,
    queries: QueriesFile = None,
    documents: DocumentsFile = None,
    split: Split = None,
    query_language: QueryLanguage = None,
    document_language: DocumentLanguage = None,
    measures: Measures = "nDCG@10,AP,RR",
    missing: Missing = "refuse",
    depth: Annotated[int, typer.Option(min=1, help="Documents of each run.")] = 20,
    limit: Annotated[
        int, typer.Option(min=1, help="Queries that are shown: those that differ most.")
    ] = 500,
    explain: Annotated[
        int,
        typer.Option(min=0, help="Of each query, explain so many documents of the last run."),
    ] = 0,
    model: Annotated[
        str | None,
        typer.Option(
            help="With --explain: what explains, best a late-interaction model; else the default."
        ),
    ] = None,
    device: Device = None,
    seed: Seed = 13,
) -> None:
    """Write one run, or two side by side, as a page that any browser opens without a server.

    Queries are ordered by the difference of a measure or by τ-AP, judgements are coloured, and
    means are told by language with their intervals. With --explain opened passages show which of
    their words answer which words of the question.

    \b
    Examples (the first two write the runs):
      polyrank search --collection ntrex --query-language tr --document-language en \\
          --first-stage bm25 --no-rerank --output bm25.trec
      polyrank search --collection ntrex --query-language tr --document-language en \\
          --no-rerank --output dense.trec
      polyrank view bm25.trec dense.trec --collection ntrex --output diff.html
      polyrank view bm25.trec dense.trec --collection ntrex --limit 5 --explain 1 --output why.html
    """
    if output.suffix not in (".html", ".json"):
        raise UsageError(f"--output: '{output}' ends neither in .html nor in .json")
    if model is not None and not explain:
        raise UsageError("--model goes with --explain N, which says how many documents to explain")
    if not explain:
        checks.of_no_use(context, "--explain 0", ("device",))
    if explain > depth:
        raise UsageError(f"--explain {explain}: only {depth} documents are shown; see --depth")
    if len(runs) > 2 or len(set(runs)) < len(runs):
        raise UsageError("give one run, or two different ones")
    from polyrank.collections.trec import read_run
    from polyrank.evaluation.looking import looked_at

    stems = [path.name.removesuffix(".gz").rsplit(".", 1)[0] for path in runs]
    names = stems if len(set(stems)) == len(stems) else [str(path) for path in runs]
    ranked = {name: read_run(path) for name, path in zip(names, runs, strict=True)}
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
    texts = known.texts
    assert texts is not None  # `truth` always tells them
    found = looked_at(
        ranked,
        known.qrels,
        texts,
        split_measures(measures),
        pool=known.pool,
        depth=depth,
        limit=limit,
        missing=missing,
        seed=seed,
    )
    if explain:
        found["explanations"] = _explained(found, ranked[names[-1]], texts, explain,
                                           model, device)  # fmt: skip
    _write(found, output)
    if found["query_count"] > limit:
        note(f"{limit} of {found['query_count']} queries are in the file; --limit says how many")


def _explained(
    found: Mapping[str, Any],
    run: Run,
    texts: Texts,
    count: int,
    model: str | None,
    device: str | None,
) -> dict[str, dict[str, Any]]:
    """Query → document → why it is where it is; of documents and queries that have texts."""
    from polyrank.base import DEFAULT_BASE
    from polyrank.rerankers.load import load_reranker
    from polyrank.server.explaining import explanation
    from polyrank.server.models import Served

    served = Served("", load_reranker(model or DEFAULT_BASE, fallback="none", device=device))
    explained: dict[str, dict[str, Any]] = {}
    for shown in track(found["queries"], "explaining"):
        query = texts.queries.get(shown["id"])
        for hit in run.get(shown["id"], [])[:count]:
            document = texts.documents.get(hit.document_id)
            if query is not None and document is not None:
                own = explained.setdefault(query.id, {})
                own[document.id] = explanation(served, query, document, 0)
    return explained


def _write(found: Mapping[str, Any], output: Path) -> None:
    from polyrank.collections.files import writing
    from polyrank.server.page import html

    title = f"{' and '.join(found['runs'])} · {found['collection']}"
    text = (
        json.dumps(found, ensure_ascii=False, allow_nan=False)
        if output.suffix == ".json"
        else html({"live": False, "comparison": found}, title)
    )
    with writing(output) as file:
        file.write(text)
