"""polyrank train late-interaction."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.training.examples.judged import JudgedRows
from polyrank.training.kinds import kinds_for
from polyrank.training.kinds.contract import LATE_INTERACTION
from polyrank.training.late_interaction.recipe import TokenSettings, recipes
from polyrank.training.loop.sparsity import PLAIN, Sparsity

from ..options import Base, Seed
from . import options
from .of_use import check_of_use
from .output import command_line, how_to_use, not_there, tell


def late_interaction(
    context: typer.Context,
    queries: options.Rows,
    output: options.Output,
    passages: options.Passages = None,
    rows: options.RowsForm = JudgedRows.form,
    query_texts: options.QueryTexts = None,
    columns: options.Columns = None,
    base: Base = DEFAULT_BASE,
    recipe: Annotated[
        str,
        typer.Option(
            **options.choice(recipes()),
            help="What moves: a ranking module, or all shared weights (a full model).",
        ),
    ] = TokenSettings.recipe,
    kind: Annotated[
        str | None,
        typer.Option(
            **options.choice(kinds_for(LATE_INTERACTION)),
            help="Of modular: an adapter (default) or a mask; colbert-xm is full.",
        ),
    ] = None,
    source: options.Source = JudgedRows.source,
    over: Annotated[
        str | None,
        typer.Option(
            help="Language module beneath: a name or folder; '' for none. Not for an XMOD."
        ),
    ] = None,
    loss: options.Loss = TokenSettings.loss,
    teacher: options.Teacher = None,
    teacher_scale: options.TeacherScale = JudgedRows.scale,
    steps: options.Steps = TokenSettings.steps,
    batch_queries: options.BatchQueries = TokenSettings.batch_queries,
    negatives: options.Negatives = TokenSettings.negatives,
    chunk: Annotated[
        int,
        typer.Option(min=0, help="Texts encoded at a time, for large batches; 0 for all at once."),
    ] = TokenSettings.chunk,
    dim: Annotated[int, typer.Option(min=8, help="Width of a token vector.")] = TokenSettings.dim,
    query_length: Annotated[
        int, typer.Option(min=8, help="Tokens of a query.")
    ] = TokenSettings.query_length,
    document_length: Annotated[
        int, typer.Option(min=8, help="Tokens of a document.")
    ] = TokenSettings.document_length,
    train_length: Annotated[
        int, typer.Option(min=8, help="Tokens of a document that are read in training.")
    ] = TokenSettings.train_length,
    augment_to: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Fill shorter queries up with mask tokens, 0 for never; else to 32, but never "
            "over a base whose vectors are for retrieval.",
        ),
    ] = None,
    attend: Annotated[
        bool, typer.Option("--attend", help="Let the other tokens attend to the mask tokens.")
    ] = False,
    rate: options.RankingRate = None,
    reduction: options.Reduction = TokenSettings.reduction,
    k: options.K = None,
    full_steps: options.FullSteps = None,
    l1: options.L1 = PLAIN.l1,
    freeze_norms: options.FreezeNorms = PLAIN.freeze_norms,
    candidates: options.Candidates = PLAIN.candidates,
    iterations: options.Iterations = PLAIN.iterations,
    mine: options.Mine = TokenSettings.mine,
    average: Annotated[
        int, typer.Option(min=1, help="Snapshots of the last steps to average, 10 steps apart.")
    ] = TokenSettings.average,
    sources: options.Sources = None,
    seed: Seed = TokenSettings.seed,
    resume: options.Resume = False,
) -> None:
    """Train late interaction (ColBERT) once, in one language, for all that have a module.

    \b
    Example (a toy of two questions; real ones have thousands; add --kind mask for a mask):
      printf '%s\\n' '{"_id":"p1","text":"Ice melts at 0 degrees."}' \\
          '{"_id":"p2","text":"Stars are far away."}' > passages.jsonl
      printf '%s\\n' '{"_id":"q1","text":"When does ice melt?","pos":"p1"}' \\
          '{"_id":"q2","text":"How far are stars?","pos":"p2"}' > queries.jsonl
      polyrank train late-interaction --queries queries.jsonl --passages passages.jsonl \\
          --steps 3 --batch-queries 2 --output modules/toy-li
    """
    from polyrank.training.late_interaction.train_late_interaction import train_late_interaction

    usual, *_ = recipes()[recipe]
    check_of_use(context, kind if kind in recipes()[recipe] else usual, LATE_INTERACTION)
    not_there(output, resume)
    card = train_late_interaction(
        base,
        queries,
        passages,
        output,
        recipe=recipe,
        kind=kind,
        sparsity=Sparsity(k, full_steps, l1, freeze_norms, candidates, iterations),
        source=source,
        over=over,
        loss=loss,
        teacher=teacher,
        teacher_scale=teacher_scale,
        steps=steps,
        batch_queries=batch_queries,
        negatives=negatives,
        chunk=chunk,
        dim=dim,
        query_length=query_length,
        document_length=document_length,
        train_length=train_length,
        augment_to=augment_to,
        attend=attend,
        rate=rate,
        reduction=reduction,
        mine=mine,
        average=average,
        seed=seed,
        resume=resume,
        data=options.sources_of(sources),
        command=command_line(),
        rows=rows,
        query_texts=query_texts,
        columns=options.columns_of(columns),
    )
    tell(f"wrote {output}: {json.dumps(dict(card.recipe))}", how_to_use(output, card))
