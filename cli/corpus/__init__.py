"""polyrank corpus: text for training, before it is trained on; a file for each verb."""

from __future__ import annotations

from ..verb import App
from . import clean, mix, report

app = App(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Look at plain text for training, clean it, and mix languages.",
)
app.command("report", short_help="Show what is in text files of languages.")(report.report)
app.command("clean", short_help="Write a text file without its faulty lines.")(clean.clean)
app.command("mix", short_help="Mix the text of languages at a temperature.")(mix.mix)
