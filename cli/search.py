"""polyrank search: a first stage over a collection, then a reranker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import UsageError
from polyrank.progress import note

from . import checks, first_stages, options, rerankers, searching, show, translating
from .index import options as indexes
from .index.opened import open_index
from .options import Analysis, Fallback, FirstStage, Kind, Translation
from .ray_workers import asks_for_ray

if TYPE_CHECKING:
    from polyrank.collections.records import Collection, Run
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.rerankers.base import Reranked, Reranker
    from polyrank.rerankers.load import RerankerSpec

    Details = Mapping[str, Mapping[str, Mapping[str, Any]]]


def search(
    context: typer.Context,
    collection: options.CollectionName = None,
    queries: options.QueriesFile = None,
    documents: options.DocumentsFile = None,
    split: options.Split = None,
    query: Annotated[
        str | None, typer.Option(help="One query; else all of the collection.")
    ] = None,
    query_language: options.QueryLanguage = None,
    document_language: options.DocumentLanguage = None,
    index: Annotated[
        Path | None, typer.Option(help="Search this multi-vector index; it holds the documents.")
    ] = None,
    missing_judged: options.MissingJudged = options.Missing.error,
    exclude_self: options.ExcludeSelf = False,
    languages: Annotated[
        str | None,
        typer.Option(help="With --index: only documents in these languages, such as ky,sw."),
    ] = None,
    probe: indexes.Probe = None,
    candidates: indexes.Candidates = 1024,
    index_ranking: indexes.Ranking = None,
    translate: options.Translate = Translation.none,
    translator: options.TranslatorName = None,
    memory: options.Memory = None,
    first_stage: Annotated[
        FirstStage | None,
        typer.Option(help=f"What searches; {options.FIRST_STAGE_DEFAULT}."),
    ] = None,
    retriever: options.Retriever = None,
    decompose: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="Search for sub-questions too, which this language model writes: a folder, a Hub "
            "id, or the name on a server. The union is reranked against the question.",
        ),
    ] = None,
    decompose_engine: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="With --decompose: an OpenAI-compatible server that runs it."
        ),
    ] = None,
    decompose_prompt: Annotated[
        Path | None, typer.Option(help="With --decompose: a YAML file in place of our prompt.")
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="Candidates that are reranked.")] = 50,
    rerank: Annotated[
        bool, typer.Option("--rerank/--no-rerank", help="Rerank the candidates, or leave them.")
    ] = True,
    top: Annotated[int, typer.Option(min=1, help="Passages that are shown.")] = 5,
    output: Annotated[
        Path | None, typer.Option(help="Write the whole run here: TREC, or .jsonl.")
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
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache",
            help="With --query: keep document vectors under $POLYRANK_CACHE for the next question.",
        ),
    ] = True,
    ray: options.Ray = None,
    ray_workers: options.RayWorkers = None,
    as_json: options.AsJson = False,
) -> None:
    """Search a collection and rerank what is found.

    \b
    Examples:
      polyrank search --collection xquad --document-language en --query-language tr --depth 20 \\
          --query "Amazon yağmur ormanları ne kadar büyük?"
      polyrank search --collection ntrex --query-language ru --document-language en \\
          --first-stage bm25 --no-rerank --output bm25.trec
      polyrank search --collection xquad --query-language tr --document-language en \\
          --first-stage bm25 --no-rerank --translate query --translator lexicon:ntrex \\
          --limit 20 --output translated.trec

    An index is made by 'polyrank index build', whose help shows a search over it.
    """
    mixing = checks.normalisation(interpolate, normalise)
    checks.typed("--query", query)
    checks.writable(output, queries, documents)
    translating.check(translate.value, translator, memory)
    if decompose is None and (decompose_engine or decompose_prompt):
        raise UsageError("--decompose-engine and --decompose-prompt go with --decompose MODEL")
    if query is None and checks.is_given(context, "cache"):
        raise UsageError("--cache and --no-cache go with --query: other searches keep no vectors")
    if interpolate is not None and not rerank:
        raise UsageError("--interpolate mixes in the reranker; leave out --no-rerank")
    if model is not None:
        checks.not_beside(context, "model", options.WITH_MODEL)
    address = ray if asks_for_ray(ray, ray_workers) else None
    asked_of_model = rerankers.scorer_options(
        context, scorer and scorer.value, prompt, window, step, engine, scorer_option
    )
    if output is not None:
        checks.of_no_use(context, "--output", ("as-json", "top"))
    if not rerank:
        _refuse_unscored(model, address, index)
        checks.of_no_use(context, "--no-rerank", (*options.WITH_MODEL, "max-length"))
    searched_by, retrieving = first_stage, first_stages.retriever_of(retriever, first_stage)
    spec = None
    if rerank:
        from polyrank.rerankers.load import RerankerSpec

        spec = RerankerSpec(
            model=model,
            **rerankers.module_options(base, ranking, kind, ranking_kind, routing, fallback),
            max_length=max_length,
            device=device,
            precision=precision,
            seed=seed,
            options=asked_of_model,
            keep=rerankers.KEPT if ray is None else 0,
        )
    if index is not None:
        checks.not_beside(
            context,
            "index",
            [
                "documents",
                "document-language",
                "first-stage",
                "analysis",
                "translate",
                "decompose",
                "retriever",
                "missing-judged",
                "cache",
            ],
        )
        if probe is None:
            checks.of_no_use(context, "no --probe", ("candidates",))
        given, folder = base if checks.is_given(context, "base") else None, index.absolute()

        def opened_again() -> MultiVectorIndex:
            return open_index(folder, given, index_ranking, device, precision)

        opened = open_index(index, given, index_ranking, device, precision)
        wanted = searching.asked_of(collection, queries, query, query_language, split)
        _check_ids(wanted, output)
        reranker = _loaded(spec, wanted, limit)
        where = (
            depth + exclude_self,
            indexes.split(languages),
            indexes.pruning_of(probe, candidates),
        )
        texts, found = searching.search_index(
            opened, opened_again, wanted, limit, where, (address, ray_workers)
        )
    else:
        _refuse(context, ["languages", "probe", "candidates", "index-ranking"])
        texts = searching.texts_of(
            collection, queries, documents, query, query_language, document_language, split,
            missing_judged.value,
        )  # fmt: skip
        texts = translating.with_options(
            texts, translate.value, translator, memory, collection, split
        )
        _check_ids(texts, output)
        decomposer = None
        if decompose is not None:
            from polyrank.rerankers.llm.decompose import load_decomposer

            decomposer = load_decomposer(decompose, decompose_engine, decompose_prompt)
        searched_by = first_stages.chosen(first_stage, base, texts)
        first_stages.check_of_use(context, searched_by)
        reranker = _loaded(spec, texts, limit)
        found = first_stages.search_first(
            texts,
            searched_by,
            base,
            depth + exclude_self,
            limit,
            device,
            analysis,
            precision,
            cache and query is not None,
            decomposer,
            retrieving,
        )
    if exclude_self:
        from polyrank.runs.candidates import without_self

        found = {query_id: without_self(query_id, hits)[:depth] for query_id, hits in found.items()}
    details: Details = {}
    if spec is not None and reranker is not None:
        mix = None if interpolate is None else (interpolate, mixing)
        reranked = _reranked(spec, reranker, texts, found, mix, (address, ray_workers))
        found, details = reranked.run, reranked.details
    elif index is None and searched_by is FirstStage.bm25:
        found = searching.matching(found) if output is None else found
    if output is not None:
        from polyrank.collections.trec import write_run

        write_run(found, output, details=details)
        note(f"{sum(map(len, found.values()))} candidates of {len(found)} queries")
        return
    _show(texts, found, details, top, as_json)


def _refuse_unscored(model: str | None, ray: str | None, index: Path | None) -> None:
    """Refuse options of scoring where nothing is scored."""
    if model is not None:
        raise UsageError("--model scores the candidates; leave out --no-rerank")
    if ray is not None and index is None:
        raise UsageError("--ray scores the candidates; leave out --no-rerank, or search an --index")


def _loaded(spec: RerankerSpec | None, texts: Collection, limit: int | None) -> Reranker | None:
    """The reranker; before the search, so that what is wrong is said first."""
    if spec is None:
        return None
    from polyrank.rerankers.load import load_reranker

    reranker = load_reranker(spec)
    rerankers.check_languages(reranker, texts, limit)
    return reranker


def _reranked(
    spec: RerankerSpec,
    reranker: Reranker,
    texts: Collection,
    found: Run,
    mix: tuple[float, str] | None,
    ray: tuple[str | None, int | None],
) -> Reranked:
    """The candidates in the reranker's order.

    Args:
        mix: weight and normalisation of an interpolation with the first stage.
        ray: address and workers.
    """
    from polyrank.rerankers.base import rerank_run
    from polyrank.rerankers.interpolated import Interpolated
    from polyrank.scale_out.reranking import scaled_out

    with scaled_out(spec, reranker, *ray) as scaled:
        mixed = scaled if mix is None else Interpolated(scaled, *mix)
        reranked = rerank_run(mixed, texts, found)
    rerankers.report(reranked.notes)
    rerankers.tell_cut(reranked.notes, sum(map(len, found.values())))
    return reranked


def _show(texts: Collection, run: Run, details: Details, top: int, as_json: bool) -> None:
    """The best of each query, on standard output."""
    from rich.console import Console

    console = Console(highlight=False)
    for query_id, hits in run.items():
        shown, asked = hits[:top], texts.queries[query_id]
        if as_json:
            print(show.as_json(asked, shown, texts.documents, details.get(query_id)))
        else:
            show.ranking(console, asked, shown, texts.documents)


def _check_ids(texts: Collection, output: Path | None) -> None:
    """Refuse, before the work, ids that the output cannot hold."""
    from polyrank.collections.run_lines import TREC, line_format
    from polyrank.collections.trec import check_words

    if output is not None and line_format(output) is TREC:
        check_words(*texts.queries, *texts.documents)


def _refuse(context: typer.Context, names: Sequence[str]) -> None:
    given = [f"--{name}" for name in names if checks.is_given(context, name)]
    if given:
        raise UsageError(f"{', '.join(given)} goes with --index")
