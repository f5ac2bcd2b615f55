"""polyrank train ranking."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.kinds.adapter import RANKING_REDUCTION
from polyrank.training.loop.sparsity import PLAIN, Sparsity
from polyrank.training.ranking.architectures import (
    ARCHITECTURES,
    DEFAULT_ARCHITECTURE,
    ORTHOGONALITY,
    VIEWS,
)
from polyrank.training.ranking.recipe import RankingRecipe

from ..options import Base, Half, Seed
from . import options
from .of_use import check_of_use
from .output import command_line, how_to_use, not_there, tell


def ranking(
    context: typer.Context,
    queries: options.Rows,
    output: options.Output,
    passages: options.Passages = None,
    rows: options.RowsForm = JudgedRows.form,
    query_texts: options.QueryTexts = None,
    columns: options.Columns = None,
    base: Base = DEFAULT_BASE,
    kind: options.RankingKind = RankingRecipe.kind,
    source: options.Source = JudgedRows.source,
    over: Annotated[
        str | None, typer.Option(help="Language module beneath: a name or folder; '' for none.")
    ] = None,
    architecture: Annotated[
        str,
        typer.Option(
            **options.choice(ARCHITECTURES),
            help="A logit a pair (cross-encoder); vectors of view tokens, scored by anchors of the "
            "whole list (multi-view); texts read one by one, with a vector each (dot-product) or "
            "one a token (kernel-pooling).",
        ),
    ] = DEFAULT_ARCHITECTURE,
    views: Annotated[
        int | None, typer.Option(min=1, help=f"Multi-view: view tokens; else {VIEWS}.")
    ] = None,
    orthogonality: Annotated[
        float | None,
        typer.Option(
            min=0, help=f"Multi-view: weight of keeping anchors apart; else {ORTHOGONALITY:g}."
        ),
    ] = None,
    loss: Annotated[
        str | None,
        typer.Option(
            help="A loss, or a weighted sum such as infonce+0.5*margin_mse or kl(temperature=2); "
            "'polyrank train losses' lists them. Else infonce, at temperature 0.8 for multi-view; "
            "contrastive where texts are read one by one."
        ),
    ] = None,
    teacher: options.Teacher = None,
    teacher_scale: options.TeacherScale = JudgedRows.scale,
    steps: options.Steps = RankingRecipe.steps,
    batch_queries: options.BatchQueries = RankingRecipe.batch_queries,
    negatives: options.Negatives = RankingRecipe.negatives,
    length: Annotated[
        int, typer.Option(min=16, help="Tokens a pair, or a text read by itself.")
    ] = RankingRecipe.length,
    rate: options.RankingRate = None,
    reduction: options.Reduction = RANKING_REDUCTION,
    k: options.K = None,
    full_steps: options.FullSteps = None,
    l1: options.L1 = PLAIN.l1,
    freeze_norms: options.FreezeNorms = PLAIN.freeze_norms,
    candidates: options.Candidates = PLAIN.candidates,
    iterations: options.Iterations = PLAIN.iterations,
    mine: options.Mine = JudgedRows.mine,
    half: Half = False,
    prefixes: Annotated[
        bool | None,
        typer.Option(
            "--prefixes/--no-prefixes",
            help="Put the base's prefixes before questions and passages; else where it has some.",
        ),
    ] = None,
    sources: options.Sources = None,
    seed: Seed = RankingRecipe.seed,
    resume: options.Resume = False,
) -> None:
    """Train a ranking module once, in one language, on top of that language's module.

    \b
    Example (a toy of two questions; real ones have thousands):
      printf '%s\\n' '{"_id":"p1","text":"Ice melts at 0 degrees."}' \\
          '{"_id":"p2","text":"Stars are far away."}' > passages.jsonl
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?","pos":"p1"}' \\
          '{"_id":"q2","text":"How far are stars?","pos":"p2"}' > queries.jsonl
      polyrank train ranking --queries queries.jsonl --passages passages.jsonl --steps 3 \\
          --output modules/toy
      polyrank train ranking --queries queries.jsonl --passages passages.jsonl --steps 3 \\
          --architecture multi-view --output modules/toy-views
      polyrank train ranking --queries queries.jsonl --passages passages.jsonl --steps 3 \\
          --architecture dot-product --output modules/toy-dot
      polyrank search --query "When does ice melt?" --documents passages.jsonl --no-rerank \\
          --query-language en --document-language en --retriever modules/toy-dot
    """
    from polyrank.training.ranking.train_ranking import train_ranking_module

    check_of_use(context, kind, ARCHITECTURES[architecture].role)
    not_there(output, resume)
    card = train_ranking_module(
        base,
        queries,
        passages,
        output,
        kind=kind,
        source=source,
        over=over,
        loss=loss,
        teacher=teacher,
        teacher_scale=teacher_scale,
        steps=steps,
        batch_queries=batch_queries,
        negatives=negatives,
        length=length,
        rate=rate,
        reduction=reduction,
        sparsity=Sparsity(k, full_steps, l1, freeze_norms, candidates, iterations),
        mine=mine,
        seed=seed,
        resume=resume,
        data=options.sources_of(sources),
        command=command_line(),
        rows=rows,
        query_texts=query_texts,
        columns=options.columns_of(columns),
        half=half,
        prefixes=prefixes,
        architecture=architecture,
        views=views,
        orthogonality=orthogonality,
    )
    tell(f"wrote {output}: {json.dumps(dict(card.recipe))}", how_to_use(output, card))
