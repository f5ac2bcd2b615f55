"""polyrank rerank: order the candidates of a first stage anew."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError
from polyrank.progress import note, say

from . import checks, first_stages, loading, options, rerankers, translating
from .options import Analysis, Fallback, FirstStage, Kind, Translation
from .ray_workers import asks_for_ray

if TYPE_CHECKING:
    from polyrank.collections.records import Collection, Document, Run
    from polyrank.composition.saved import SavedComposition
    from polyrank.rerankers.base import Ranking, Request
    from polyrank.rerankers.load import RerankerSpec


class Missing(Enum):
    error = "error"
    skip = "skip"


# What a typed query with its passages has no use for.
FOR_RUNS = (
    "collection", "queries", "documents", "split", "run", "first-stage", "retriever", "analysis",
    "translate", "translator", "memory", "missing-judged", "missing", "exclude-self", "limit",
    "tag", "ray", "ray-workers",
)  # fmt: skip


def rerank(
    context: typer.Context,
    collection: options.CollectionName = None,
    queries: options.QueriesFile = None,
    documents: options.DocumentsFile = None,
    split: options.Split = None,
    query_language: options.QueryLanguage = None,
    document_language: options.DocumentLanguage = None,
    run: Annotated[
        Path | None, typer.Option(help="The first stage: a TREC run, or JSON lines in .jsonl.")
    ] = None,
    first_stage: Annotated[
        FirstStage | None, typer.Option(help="Or let polyrank search first.")
    ] = None,
    retriever: options.Retriever = None,
    depth: Annotated[
        int | None,
        typer.Option(min=1, help="Candidates per query; else 100 searched, or all of --run."),
    ] = None,
    query: Annotated[str | None, typer.Option(help="One query, with --passages.")] = None,
    passages: Annotated[
        Path | None, typer.Option(help="A passage per line, or .jsonl / .tsv documents.")
    ] = None,
    output: Annotated[
        Path, typer.Option(help="TREC, or JSON lines in .jsonl; '-' is standard output.")
    ] = Path("-"),
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue an --output that was interrupted.")
    ] = False,
    translate: options.Translate = Translation.none,
    translator: options.TranslatorName = None,
    memory: options.Memory = None,
    missing_judged: options.MissingJudged = options.Missing.error,
    exclude_self: options.ExcludeSelf = False,
    missing: Annotated[
        Missing, typer.Option(help="Candidates that the collection lacks: stop, or skip and count.")
    ] = Missing.error,
    tag: Annotated[str, typer.Option(help="Last column of the TREC output.")] = "polyrank",
    composition: Annotated[
        Path | None,
        typer.Option(help="A file of 'polyrank compose': it says languages, modules and routing."),
    ] = None,
    model: options.Model = None,
    scorer: options.Scorer = None,
    prompt: options.PromptName = None,
    window: options.Window = None,
    step: options.Step = None,
    engine: options.EngineURL = None,
    scorer_option: options.ScorerOption = None,
    base: options.Base = DEFAULT_BASE,
    ranking: options.RankingOrNone = None,
    kind: options.KindOption = Kind.adapter,
    ranking_kind: options.RankingKindOption = None,
    routing: options.RoutingOption = None,
    fallback: options.FallbackOption = Fallback.error,
    interpolate: options.Interpolate = None,
    normalise: options.NormaliseOption = None,
    max_length: options.MaxLength = 256,
    limit: options.Limit = None,
    seed: options.Seed = 0,
    device: options.Device = None,
    precision: options.Precision = None,
    analysis: options.AnalysisOption = Analysis.stems,
    ray: options.Ray = None,
    ray_workers: options.RayWorkers = None,
    as_json: options.AsJson = False,
) -> None:
    """Rerank the candidates of a first stage with a composition of modules.

    Each query is written when it is scored, so a long run that is stopped goes on with --resume.
    With --composition the modules are those of the file, with the same weights as then. With
    --model there are no modules: one cross-encoder scores, such as one of 'polyrank distill'. With
    --ray several processes or machines score, and the output is the same. --interpolate mixes the
    scores with the first stage's, which often ranks better than either.

    \b
    Examples:
      polyrank rerank --collection ntrex --query-language tr --document-language en \\
          --first-stage dense --depth 10 --limit 20 --output tr-en.trec
      printf 'Water boils at 100 degrees.\\nThe river is long.\\n' > passages.txt
      polyrank rerank --query "Su kaç derecede kaynar?" --passages passages.txt \\
          --query-language tr --document-language en
    """
    from polyrank.rerankers.load import RerankerSpec
    from polyrank.runs.resume import check_resumable

    if model is not None:
        checks.not_beside(context, "model", ("composition", *options.WITH_MODEL))
    modules = rerankers.module_options(base, ranking, kind, ranking_kind, routing, fallback)
    saved = None
    if composition is not None:
        checks.not_beside(
            context, "composition", ("ranking", "kind", "ranking-kind", "routing", "fallback")
        )
        saved, modules = _planned(composition, modules, checks.is_given(context, "base"))
        query_language = query_language or saved.composition.query_language
        document_language = document_language or saved.composition.document_language
    spec = RerankerSpec(
        model=model,
        composition=saved,
        **modules,
        max_length=max_length,
        device=device,
        precision=precision,
        seed=seed,
        options=rerankers.scorer_options(
            context, scorer and scorer.value, prompt, window, step, engine, scorer_option
        ),
    )
    mixing = checks.normalisation(interpolate, normalise)
    if query is not None or passages is not None:
        _check_typed(context, query, passages)
        listed = loading.read_passages(passages or Path(), document_language)
        return _rank_typed(spec, query or "", query_language, listed, depth, as_json)

    if run is None and first_stage is None:
        raise UsageError(
            "say what is reranked: --run FILE, or --first-stage to search first; for a question "
            "of your own --query TEXT with --passages FILE"
        )
    checks.one_of(run=run, first_stage=first_stage)
    if run is not None:
        checks.of_no_use(context, "--run", ("analysis",))
    if first_stage is not None:
        first_stages.check_of_use(context, first_stage)
    if retriever is not None and run is not None:
        raise UsageError("--retriever searches; give --first-stage in place of --run")
    retrieving = first_stages.retriever_of(retriever, first_stage)
    translating.check(translate.value, translator, memory)
    checks.writable(output, run, queries, documents)
    check_resumable(output, resume)
    texts = loading.load(
        collection, queries, documents, query_language, document_language, split,
        missing_judged.value,
    )  # fmt: skip
    texts = translating.with_options(texts, translate.value, translator, memory, collection, split)
    search = partial(
        first_stages.search_first,
        texts, first_stage or FirstStage.dense, str(spec.base), (depth or 100) + exclude_self,
        limit, device, analysis, precision, retriever=retrieving,
    )  # fmt: skip
    # The memory is not among them: its rows are this translator's own, so none changes a text.
    asked = {
        "split": split,
        "query-language": query_language,
        "document-language": document_language,
        "first-stage": first_stage and first_stage.value,
        "analysis": first_stage and analysis.value,
        "json": as_json,
        **({"translate": translate.value} if translate is not Translation.none else {}),
        **({"translator": translator} if translator is not None else {}),
        **({"retriever": str(retriever)} if retriever is not None else {}),
    }
    written: dict[str, Any] = {
        "resume": resume,
        "missing": missing.value,
        "depth": depth or (100 if exclude_self and first_stage else None),
        "limit": limit,
        "exclude_self": exclude_self,
        "tag": tag,
        "as_json": as_json,
        "interpolate": interpolate,
        "normalise": mixing,
    }
    address = ray if asks_for_ray(ray, ray_workers) else None
    _rerank_run(spec, texts, run or search, output, asked, written, (address, ray_workers))


def _rerank_run(
    spec: RerankerSpec,
    texts: Collection,
    first: Path | Callable[[], Run],
    output: Path,
    asked: dict[str, Any],
    written: dict[str, Any],
    ray: tuple[str | None, int | None],
) -> None:
    """Rerank a run and write it as it comes.

    Args:
        first: the run, or the search that makes one.
        asked: options that scores depend on, beyond those in the spec.
        written: options of `rerank_stream`.
        ray: address and workers.
    """
    from polyrank.rerankers.load import load_reranker, with_settled
    from polyrank.runs.rerank import rerank_stream
    from polyrank.scale_out.reranking import scaled_out

    reranker = load_reranker(spec)  # before the search, so that what is wrong is said first
    spec = with_settled(spec, reranker)
    if not isinstance(first, Path):
        rerankers.check_languages(reranker, texts, written["limit"])
    settings = {**rerankers.settings_of(spec, reranker), **asked}
    with (
        _candidates(first, output, written["resume"]) as candidates,
        scaled_out(spec, reranker, *ray) as scaled,
    ):
        summary = rerank_stream(scaled, texts, candidates, output, settings=settings, **written)
    rerankers.report(summary.notes)
    rerankers.tell_cut(summary.notes, summary.candidates)
    note(str(summary))


def _planned(
    composition: Path, modules: dict[str, Any], base_given: bool
) -> tuple[SavedComposition, dict[str, Any]]:
    """A saved composition, and what it says in place of the options of modules."""
    from polyrank.composition.saved import read_composition

    saved = read_composition(composition)
    plan = saved.composition
    planned = {
        "base": modules["base"] if base_given else saved.base,
        "ranking": plan.ranking or "",
        "kind": plan.kind,
        "ranking_kind": plan.ranking_kind,
        "routing": plan.routing,
    }
    return saved, {**modules, **planned}


def _check_typed(context: typer.Context, query: str | None, passages: Path | None) -> None:
    """Refuse options that do not go with a typed query and a file of passages."""
    if query is None or passages is None:
        raise UsageError("--query and --passages go together")
    checks.typed("--query", query)
    checks.of_no_use(context, "--query and --passages", FOR_RUNS)
    if str(context.params["output"]) != "-" or context.params["resume"]:
        raise UsageError("--query with --passages writes to standard output")
    if checks.is_given(context, "interpolate"):
        raise UsageError("--interpolate mixes with a first stage, which --passages has not")


def _rank_typed(
    spec: RerankerSpec,
    query: str,
    query_language: str | None,
    documents: list[Document],
    depth: int | None,
    as_json: bool,
) -> None:
    """Rank passages for a typed query, and show them."""
    from polyrank.collections.texts import as_queries
    from polyrank.rerankers.base import Request
    from polyrank.rerankers.load import load_reranker

    (asked,) = as_queries([query], query_language)
    request = Request(asked, tuple(documents))
    (ranking,) = load_reranker(spec).rank_all([request])
    rerankers.report(ranking.notes)
    _show(ranking, request, depth, as_json)


@contextmanager
def _candidates(
    first: Path | Callable[[], Run], output: Path, resume: bool
) -> Iterator[Path | Run]:
    """The run that was given, or what a search finds, which --resume does not repeat."""
    from polyrank.runs.resume import first_stage_file, kept_first_stage

    if isinstance(first, Path):
        yield first
    elif str(output) == "-":
        yield first()
    else:
        with kept_first_stage(output, resume, first) as (found, again):
            if again:
                note(f"the first stage is that of {first_stage_file(output)}; nothing was searched")
            yield found


def _show(ranking: Ranking, request: Request, depth: int | None, as_json: bool) -> None:
    texts = {document.id: document.text for document in request.documents}
    for rank, hit in enumerate(ranking.hits[:depth], start=1):
        text = texts[hit.document_id]
        if as_json:
            row = {"rank": rank, "document_id": hit.document_id, "score": hit.score, "text": text}
            more = ranking.details.get(hit.document_id, {})
            print(json.dumps({**row, **more}, ensure_ascii=False))
        else:
            say(rank, f"{hit.score:.4f}", hit.document_id, text, sep="\t")
