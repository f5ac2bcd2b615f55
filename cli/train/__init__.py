"""polyrank train: heads of bases, language modules, ranking modules; a file for each verb."""

from __future__ import annotations

from ..verb import App, Training
from . import grid, head, labels, language, late_interaction, llm, losses, ranking

app = App(
    help="Train a language module, a ranking module, or a masked-language head. On several GPUs: "
    "torchrun --no-python --nproc-per-node 2 polyrank train ...; each takes its share of a batch.",
    no_args_is_help=True,
)
app.command("head", cls=Training)(head.head)
app.command("language", cls=Training)(language.language)
app.command("ranking", cls=Training)(ranking.ranking)
app.command("late-interaction", cls=Training)(late_interaction.late_interaction)
app.command("llm", cls=Training)(llm.llm)
app.command("grid", cls=Training)(grid.grid)
app.command("losses")(losses.losses)
app.command("labels")(labels.labels)
