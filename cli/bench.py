"""polyrank bench: a distilled model beside its teacher."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.progress import note

from . import checks, first_stages, loading, options
from .options import Analysis, Fallback, FirstStage


def bench(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="A folder of 'polyrank distill'.")],
    collection: options.CollectionName = None,
    queries: options.QueriesFile = None,
    documents: options.DocumentsFile = None,
    split: options.Split = None,
    query_language: options.QueryLanguage = None,
    document_language: options.DocumentLanguage = None,
    run: Annotated[
        Path | None, typer.Option(help="The candidates: a TREC run, or JSON lines in .jsonl.")
    ] = None,
    first_stage: Annotated[
        FirstStage | None,
        typer.Option(
            help=f"Without --run: what finds the candidates; {options.FIRST_STAGE_DEFAULT}."
        ),
    ] = None,
    base: Annotated[
        str | None,
        typer.Option(help="The base (Hub id, folder), where it is elsewhere than the card says."),
    ] = None,
    depth: Annotated[int, typer.Option(min=1, help="Candidates per query.")] = 10,
    limit: options.Limit = None,
    ranking: Annotated[
        str | None, typer.Option(help="The teacher's ranking module; else that of the card.")
    ] = None,
    teacher: Annotated[
        str | None,
        typer.Option(help="Of a model that learned from several cross-encoders: only this one."),
    ] = None,
    fallback: options.FallbackOption = Fallback.error,
    measure: Annotated[
        str, typer.Option(help="Of quality, where the collection has judgements.")
    ] = "nDCG@10",
    passes: Annotated[int, typer.Option(min=1, help="Timed passes, the rerankers in turn.")] = 3,
    max_length: options.MaxLength = 256,
    device: options.Device = None,
    seed: options.Seed = 0,
    as_json: options.AsJson = False,
) -> None:
    """Measure a distilled model beside its teacher: size, speed, quality and loyalty.

    Three rerank the same candidates: the teacher, the teacher over the model's vocabulary, and the
    model. Of several teachers 'teacher' is the mean that the model learned, and each stands beside
    it. MB on disk are weights and tokenizers as they are stored, those in memory the weights as
    they compute. What is timed wants a quiet machine.

    \b
    Example (of a toy, which learned for three steps):
      for l in en sw; do python -c "import polyrank as pr; [print(d.text) for d in \\
          pr.load_collection('ntrex', queries='$l', documents='$l').documents.values()]" > $l.txt
      done
      printf '%s\\n' '{"query":"When does ice melt?","pos":["Ice melts at 0 degrees."]}' \\
          '{"query":"How far are stars?","pos":["Stars are far away."]}' > rows.jsonl
      polyrank distill --source en --target sw --source-text en.txt --target-text sw.txt \\
          --queries rows.jsonl --general-steps 3 --steps 3 --output models/en-sw
      polyrank bench models/en-sw --collection ntrex --query-language sw --document-language en \\
          --depth 5 --limit 10
    """
    if run is not None:
        checks.not_beside(context, "run", ["first-stage"])
    if collection is None:
        checks.of_no_use(context, "texts without judgements", ("measure",))
    import torch

    from polyrank.evaluation.contenders import TEACHER, contenders
    from polyrank.evaluation.side_by_side import Named, side_by_side
    from polyrank.rerankers.distilled_folder import verify
    from polyrank.rerankers.mean import MeanReranker

    card = verify(model) if model.is_dir() else None
    if card and card["recipe"].get("ranking", {}).get("teacher", {}).get("cross-encoders"):
        checks.of_no_use(context, "a model that learned from cross-encoders", ("fallback",))
    torch.manual_seed(seed)
    texts = loading.load(collection, queries, documents, query_language, document_language, split)
    beside = contenders(model, base, ranking, fallback.value, max_length, device, teacher=teacher)
    if isinstance(mean := beside[0].reranker, MeanReranker):
        names = ", ".join(member.name for member in mean.members)
        note(f"'{TEACHER}' is the mean ({mean.scale}) of {names}; --teacher takes one of them")
    if run is not None:
        from polyrank.collections.trec import read_run

        found = {i: hits[:depth] for i, hits in list(read_run(run).items())[:limit]}
    else:
        stage_base = base or str((card or {})["base"])
        found = first_stages.search_first(
            texts,
            first_stages.chosen(first_stage, stage_base, texts),
            stage_base,
            depth,
            limit,
            device,
            Analysis.stems,
        )
    named = [Named(one.name, one.reranker, one.parameters, one.megabytes) for one in beside]
    report = side_by_side(named, texts, found, TEACHER, measure, passes)
    for one in beside:
        for line in one.reranker.notes.lines():
            note(f"{one.name}: {line}")
    print(report.json() if as_json else report)
