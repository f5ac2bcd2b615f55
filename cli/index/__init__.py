"""polyrank index: multi-vector indexes of documents in any languages; a file for each verb."""

from __future__ import annotations

from ..verb import App
from . import add, build, compact, delete, export, fidelity, info, verify

app = App(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="Build, change and check multi-vector indexes; polyrank search --index searches them.",
)
app.command("build")(build.build)
app.command("add")(add.add)
app.command("delete")(delete.delete)
app.command("compact")(compact.compact)
app.command("info")(info.info)
app.command("verify")(verify.verify)
app.command("fidelity")(fidelity.fidelity)
app.command("export")(export.export)
