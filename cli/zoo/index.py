"""polyrank zoo index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.errors import ModuleError, UsageError
from polyrank.progress import note


def index_(
    folder: Annotated[
        Path | None, typer.Argument(help="A zoo's folder, with BASE/ROLE/KIND/NAME; else bundled.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 2 when a file is out of date.")
    ] = False,
) -> None:
    """Write a zoo's index.json and the README of each module anew, from the cards.

    \b
    Example:
      polyrank zoo index --check
    """
    from polyrank.base import bundled_zoo
    from polyrank.zoo import stale, write_index

    root = folder or bundled_zoo()
    if root is None:
        raise UsageError("polyrank is not installed, so nothing is bundled; give a zoo's folder")
    changed = stale(root) if check else write_index(root)
    for path in changed:
        print(path)
    if check and changed:
        again = f"polyrank zoo index {folder}" if folder else "polyrank zoo index"
        raise ModuleError(f"{len(changed)} files are out of date.\nWrite them anew:  {again}")
    if changed:
        note(f"{len(changed)} files were written")
    else:
        print(f"{root} is up to date")
