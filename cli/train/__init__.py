"""polyrank train: heads of bases, language modules, ranking modules; a file for each verb."""

from __future__ import annotations

from ..verb import App
from . import grid, head, labels, language, late_interaction, llm, losses, ranking

app = App(
    help="Train a language module, a ranking module, or a masked-language head. On several GPUs: "
    "torchrun --no-python --nproc-per-node 2 polyrank train ...; each takes its share of a batch.",
    no_args_is_help=True,
)
app.command("head")(head.head)
app.command("language")(language.language)
app.command("ranking")(ranking.ranking)
app.command("late-interaction")(late_interaction.late_interaction)
app.command("llm")(llm.llm)
app.command("grid")(grid.grid)
app.command("losses")(losses.losses)
app.command("labels")(labels.labels)
