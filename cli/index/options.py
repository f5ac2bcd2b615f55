"""Options that verbs over an index share, and what is made from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from polyrank.index.multivector import Pruning


Folder = Annotated[Path, typer.Argument(help="The folder of the index.", show_default=False)]
Languages = Annotated[
    str | None, typer.Option(help="Only documents in these languages, such as ky,sw.")
]
Base = Annotated[str | None, typer.Option(help="The base, where it is not where the index says.")]
Ranking = Annotated[
    str | None, typer.Option(help="The late-interaction module, likewise: a name or a folder.")
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Encode by the workers of this Ray cluster; 'local' starts some here.",
    ),
]
Probe = Annotated[
    int | None,
    typer.Option(min=1, help="Centroids looked at for a query token; without it, all documents."),
]
Candidates = Annotated[
    int, typer.Option(min=1, help="With --probe: documents that are scored in full.")
]


def pruning_of(probe: int | None, candidates: int) -> Pruning | None:
    from polyrank.index.multivector import Pruning

    return None if probe is None else Pruning(probe, candidates)


def split(languages: str | None) -> list[str] | None:
    """Languages between commas."""
    return None if languages is None else [tag.strip() for tag in languages.split(",")]
