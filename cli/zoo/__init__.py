"""polyrank zoo: which modules there are, and bringing them in and out; a file for each verb."""

from __future__ import annotations

from ..verb import App
from . import index, info, listing, pull, push, remove, transfer, verify

app = App(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List, fetch, check and publish modules.",
)
app.command("list")(listing.list_)
app.command("info")(info.info_)
app.command("pull")(pull.pull_)
app.command("push")(push.push_)
app.command("remove")(remove.remove_)
app.command("verify")(verify.verify_)
app.command("index")(index.index_)
app.command("import", short_help="Bring in a module of another project.")(transfer.import_)
app.command("export", short_help="Write a module for another project.")(transfer.export)
