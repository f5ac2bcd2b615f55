"""polyrank train late-interaction."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.progress import note

from ..options import Base, Kind, Seed
from . import options
from .of_use import check_of_use
from .output import command_line, how_to_use, not_there


class Recipe(Enum):
    modular = "modular"
    colbert_xm = "colbert-xm"


def late_interaction(
    context: typer.Context,
    queries: options.Rows,
    output: options.Output,
    passages: options.Passages = None,
    rows: options.RowsForm = options.Form.auto,
    query_texts: options.QueryTexts = None,
    columns: options.Columns = None,
    base: Base = DEFAULT_BASE,
    recipe: Annotated[
        Recipe,
        typer.Option(help="What moves: a ranking module, or all shared weights (a full model)."),
    ] = Recipe.modular,
    kind: Annotated[
        Kind | None,
        typer.Option(help="Of modular: an adapter (default) or a mask; colbert-xm is full."),
    ] = None,
    source: options.Source = "en",
    over: Annotated[
        str | None,
        typer.Option(
            help="Language module beneath: a name or folder; '' for none. Not for an XMOD."
        ),
    ] = None,
    loss: options.Loss = "contrastive",
    teacher: options.Teacher = None,
    teacher_scale: options.TeacherScale = options.Scale.raw,
    steps: options.Steps = 350,
    batch_queries: options.BatchQueries = 32,
    negatives: options.Negatives = 1,
    chunk: Annotated[
        int,
        typer.Option(min=0, help="Texts encoded at a time, for large batches; 0 for all at once."),
    ] = 0,
    dim: Annotated[int, typer.Option(min=8, help="Width of a token vector.")] = 128,
    query_length: Annotated[int, typer.Option(min=8, help="Tokens of a query.")] = 64,
    document_length: Annotated[int, typer.Option(min=8, help="Tokens of a document.")] = 256,
    train_length: Annotated[
        int, typer.Option(min=8, help="Tokens of a document that are read in training.")
    ] = 128,
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
    reduction: options.Reduction = 2,
    k: options.K = None,
    full_steps: options.FullSteps = None,
    l1: options.L1 = 0.0,
    freeze_norms: options.FreezeNorms = False,
    candidates: options.Candidate = options.Candidates.all,
    iterations: options.Iterations = 1,
    mine: options.Mine = 4,
    average: Annotated[
        int, typer.Option(min=1, help="Snapshots of the last steps to average, 10 steps apart.")
    ] = 1,
    sources: options.Sources = None,
    seed: Seed = 13,
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
    from polyrank.training.loop.lottery_ticket import Sparsity

    modular = recipe is Recipe.modular
    check_of_use(context, (kind or Kind.adapter).value if modular else recipe.value)
    not_there(output, resume)
    card = train_late_interaction(
        base,
        queries,
        passages,
        output,
        recipe=recipe.value,
        kind=kind and kind.value,
        sparsity=Sparsity(k, full_steps, l1, freeze_norms, candidates.value, iterations),
        source=source,
        over=over,
        loss=loss,
        teacher=teacher,
        teacher_scale=teacher_scale.value,
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
        rows=rows.value,
        query_texts=query_texts,
        columns=options.columns_of(columns),
    )
    note(f"wrote {output}: {json.dumps(dict(card.recipe))}")
    note(how_to_use(output, card))
