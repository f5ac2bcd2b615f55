"""polyrank index delete."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polyrank.collections.id_policies import ON_MISSING
from polyrank.errors import UsageError

from .. import checks
from ..choices import Choice
from ..options import AsJson
from .change_notes import tell_change
from .options import Folder, split


class UnknownIds(Choice, names=ON_MISSING):
    """What happens to ids that the index lacks."""


def delete(
    context: typer.Context,
    folder: Folder,
    ids: Annotated[list[str] | None, typer.Argument(help="Ids of documents.")] = None,
    ids_file: Annotated[
        Path | None, typer.Option("--ids", help="A file with an id on each line.")
    ] = None,
    languages: Annotated[
        str | None, typer.Option(help="All documents in these languages, such as ky,sw.")
    ] = None,
    missing: Annotated[
        UnknownIds, typer.Option(help="Ids that the index lacks: stop, or skip them.")
    ] = UnknownIds.error,
    as_json: AsJson = False,
) -> None:
    """Delete documents; they are never found again. Their space is freed by 'index compact'.

    \b
    Example:
      polyrank index build articles --collection ntrex --languages en,sw
      polyrank index delete articles --languages sw
    """
    from polyrank.collections.files import numbered_lines
    from polyrank.index.multivector import MultiVectorIndex

    wanted = list(ids or [])
    if ids_file is not None:
        wanted += [line for _, line in numbered_lines(ids_file)]
    if not wanted and languages is None:
        raise UsageError("name documents to delete: ids, --ids FILE, or --languages")
    if ids is None and ids_file is None:
        checks.of_no_use(context, "--languages alone", ("missing",))
    change = MultiVectorIndex(folder).delete(wanted, split(languages) or (), missing.value)
    tell_change(folder, change, f"deleted {change.deleted} documents", as_json)
