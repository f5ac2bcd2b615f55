"""polyrank zoo pull."""

from __future__ import annotations

from typing import Annotated

import typer

from polyrank.progress import note, say

from .rows import size_of
from .warned import warnings_as_notes


def pull_(
    names: Annotated[
        list[str], typer.Argument(help="owner/repository[/path][@revision]", metavar="NAME...")
    ],
    base: Annotated[
        str | None, typer.Option(help="Refuse modules that were made for another base than this.")
    ] = None,
) -> None:
    """Fetch modules from the Hugging Face Hub; prints the folder of each.

    Every file is checked against the module's own list before it can be found. A pulled language
    module is found by its language; a ranking module by its name, or as
    --ranking owner/repository[/path][@revision], which also pulls it when it was not pulled before.
    A download that breaks off goes on where it stopped. $HF_TOKEN, $HF_ENDPOINT, $HF_HOME and
    $HF_HUB_OFFLINE are those of the Hub's own client. Modules lie in $POLYRANK_CACHE, by default
    ~/.cache/polyrank.

    \b
    Examples (with the names of your repositories):
      polyrank zoo pull org/e5-small-ky
      polyrank zoo pull org/zoo/language/adapter/ky@v1 --base e5-small
    """
    from polyrank.zoo import pull

    for name in names:
        with warnings_as_notes():
            entry = pull(name, base)
        note(f"{name} is {entry.name}, {size_of(entry) // 1000} kB, from {entry.origin}")
        say(entry.path)
