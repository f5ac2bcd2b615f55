"""polyrank index export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.progress import note

from .options import Folder


def export(
    folder: Folder,
    output: Annotated[Path, typer.Option(help="The folder to write.")],
) -> None:
    """Write a residual index in the layout of fast-plaid and PyLate.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages sw --codec residual-4
      polyrank index export articles --output plaid/articles
    """
    from polyrank.index.multivector import MultiVectorIndex
    from polyrank.index.multivector.export import export_fast_plaid

    done = export_fast_plaid(MultiVectorIndex(folder).snapshot, output)
    left_out = f"; {done.empty} without text left out" if done.empty else ""
    note(f"wrote {output}: {done.documents} documents, {done.tokens} token vectors{left_out}")
    note("not carried over: which model made it, and languages as a filter (documents.jsonl)")
