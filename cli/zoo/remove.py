"""polyrank zoo remove."""

from __future__ import annotations

from typing import Annotated

import typer

from polyrank.progress import say

from .warned import warnings_as_notes


def remove_(
    name: Annotated[str, typer.Argument(help="owner/repository[/path][@revision] or a full name.")],
) -> None:
    """Take a pulled module out of polyrank's cache; prints what was removed.

    Without @revision every revision of it goes. Bundled modules and other folders are left alone,
    and so is the Hugging Face cache with the download ('hf cache delete' clears that).

    \b
    Example (of a module that was pulled):
      polyrank zoo remove org/e5-small-ky
    """
    from polyrank.zoo import remove

    with warnings_as_notes():
        removed = remove(name)
    for one, held in removed:
        say("removed", one, f"{held // 1000} kB", one.folder, sep="\t")
