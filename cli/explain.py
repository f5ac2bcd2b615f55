"""polyrank explain: which parts of a passage answer which parts of a query."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError
from polyrank.progress import say

from . import checks, loading, options, rerankers
from .options import Fallback, Kind

if TYPE_CHECKING:
    from polyrank.evaluation.explain import Explanation


def explain(
    context: typer.Context,
    query: Annotated[str, typer.Option(help="The query.")],
    passage: Annotated[
        list[str] | None, typer.Option(help="A passage; several times for several.")
    ] = None,
    passages: Annotated[
        Path | None, typer.Option(help="Or a passage per line, or .jsonl / .tsv documents.")
    ] = None,
    query_language: options.QueryLanguage = None,
    document_language: options.DocumentLanguage = None,
    top: Annotated[int, typer.Option(min=1, help="Passages explained: the best so many.")] = 3,
    model: options.Model = None,
    base: options.Base = DEFAULT_BASE,
    ranking: options.RankingOrNone = None,
    kind: options.KindOption = Kind.adapter,
    ranking_kind: options.RankingKindOption = None,
    routing: options.RoutingOption = None,
    fallback: options.FallbackOption = Fallback.error,
    max_length: options.MaxLength = 256,
    device: options.Device = None,
    precision: options.Precision = None,
    as_json: options.AsJson = False,
) -> None:
    """Show what in a passage answers a query.

    Late interaction: each word of the query with the word of the passage that is most like it, and
    their similarity. A cross-encoder: how much its score falls without each sentence.

    \b
    Examples:
      polyrank explain --query "Su kaç derecede kaynar?" --query-language tr \\
          --passage "Water boils at 100 degrees." --document-language en
      polyrank explain --query "Su kaç derecede kaynar?" --query-language tr --ranking squad \\
          --passage "The river is long. Water boils at 100 degrees." --document-language en
    """
    checks.typed("--query", query)
    checks.one_of(passage=passage, passages=passages)
    if model is not None:
        checks.not_beside(context, "model", options.WITH_MODEL)
        checks.of_no_use(context, "--model", ("base",))
    checks.modules_of_use(context, routing)
    from polyrank.collections.records import Document
    from polyrank.evaluation.explain import explain as explained
    from polyrank.rerankers.load import RerankerSpec, load_reranker

    if passages is not None:
        documents = loading.read_passages(passages, document_language)
    else:
        documents = [
            Document(str(number), text) for number, text in enumerate(passage or (), start=1)
        ]
    if not documents:
        raise UsageError("there is no passage to explain")
    spec = RerankerSpec(
        model=model,
        **rerankers.module_options(base, ranking, kind, ranking_kind, routing, fallback),
        max_length=max_length,
        device=device,
        precision=precision,
    )
    reranker = load_reranker(spec)
    found = explained(reranker, query, documents, query_language, document_language)
    best = sorted(found, key=lambda one: (-one.score, one.document.id))[:top]
    rerankers.report(reranker)
    for explanation in best:
        if as_json:
            print(json.dumps(explanation.record(), ensure_ascii=False))
        else:
            _show(explanation)


def _show(explanation: Explanation) -> None:
    """The score, then a line for each match or sentence: how much, and the words."""
    record = explanation.record()
    language = record["document_language"]
    say(f"{explanation.document.id}{f' [{language}]' if language else ''}\t{explanation.score:.3f}")
    for match in record["matches"]:
        asked, found = match["query_text"] or "·", match["document_text"] or "·"
        say(f"{match['similarity']:+.3f}\t{asked}\t{found}")
    for one in record["contributions"]:
        say(f"{one['difference']:+.3f}\t{' '.join(one['document_text'].split())}")
