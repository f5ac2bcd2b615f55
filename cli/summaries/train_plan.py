"""polyrank summaries train-plan."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.training.plans.recipe import PlanRecipe

from ..options import Base, Seed
from ..train import options as training
from ..train.output import command_line, not_there, tell
from . import options
from .options import Units


def train_plan(
    output: training.Output,
    documents: options.ArticlesFile = None,
    collection: options.CollectionName = None,
    language: options.Language = None,
    base: Base = DEFAULT_BASE,
    units: options.UnitsOption = Units.clause,
    plan_units: Annotated[
        int, typer.Option(min=1, help="Units of a plan at most.")
    ] = PlanRecipe.longest,
    width: Annotated[int, typer.Option(min=1, help="Of the model.")] = PlanRecipe.inner,
    steps: training.Steps = PlanRecipe.steps,
    batch_size: Annotated[int, typer.Option(min=1, help="Articles a step.")] = (
        PlanRecipe.batch_size
    ),
    rate: Annotated[float, typer.Option(min=0, help="Peak learning rate.")] = PlanRecipe.rate,
    limit: options.Limit = None,
    sources: training.Sources = None,
    seed: Seed = PlanRecipe.seed,
    resume: training.Resume = False,
) -> None:
    """Train a model that plans summaries: it copies units of the article, one by one, to an end.

    It learns the plans that are found greedily against the references by ROUGE, over a frozen base.
    Articles without a reference, or of which no unit shares a word with it, teach nothing.

    \b
    Example (a toy; real ones have thousands of articles):
      polyrank summaries train-plan --collection afriqa --language en --limit 20 --steps 5 \\
          --output models/plan
      polyrank summaries candidates --collection ntrex --language en --limit 3 --plans 4 \\
          --plan-model models/plan --output planned.jsonl
    """
    from polyrank.installed import require
    from polyrank.training.plans.train_plan import train_plan_model

    require("summaries", "splitting texts into units, and ROUGE")
    not_there(output, resume)
    card = train_plan_model(
        list(options.articles(documents, collection, language, limit)()),
        output,
        base,
        units.value,
        plan_units,
        width,
        steps,
        batch_size,
        rate,
        seed,
        resume,
        training.sources_of(sources),
        command_line(),
    )
    tell(
        f"wrote {output}: {json.dumps(dict(card.figures))}",
        f"use it with:  polyrank summaries candidates --plan-model {output}",
    )
