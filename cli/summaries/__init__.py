"""polyrank summaries: candidate summaries from content plans; a file for each verb."""

from __future__ import annotations

from ..verb import App, Training
from . import candidates, evaluate, ranking_rows, rerank, train_plan

app = App(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Make candidate summaries from content plans, rerank and measure them.",
)
app.command("candidates", short_help="Make candidate summaries of articles.")(candidates.candidates)
app.command("rerank", short_help="Put candidates into another order.")(rerank.rerank)
app.command("evaluate", short_help="Measure candidates by ROUGE, and how different they are.")(
    evaluate.evaluate
)
app.command("train-plan", cls=Training, short_help="Train a model that plans summaries.")(
    train_plan.train_plan
)
app.command("ranking-rows", short_help="Write rows that teach a module to rank candidates.")(
    ranking_rows.ranking_rows
)
