"""polyrank train: a base, its head, language modules, ranking modules; a file for each verb."""

from __future__ import annotations

import typer

from . import base, head, labels, language, late_interaction, losses, ranking

app = typer.Typer(
    help="Train a base, its head, a language module or a ranking module.", no_args_is_help=True
)
app.command("base")(base.base)
app.command("head")(head.head)
app.command("language")(language.language)
app.command("ranking")(ranking.ranking)
app.command("late-interaction")(late_interaction.late_interaction)
app.command("losses")(losses.losses)
app.command("labels")(labels.labels)
