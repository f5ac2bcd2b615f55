"""polyrank mcp: rerank, search and explain as tools for language models."""

from __future__ import annotations

from typing import Annotated

import typer

from polyrank.base import DEFAULT_BASE

from . import options
from .options import Fallback


def mcp(
    model: Annotated[
        str, typer.Option(help="What ranks, as in 'polyrank serve --model'.")
    ] = DEFAULT_BASE,
    index: Annotated[
        list[str] | None,
        typer.Option(metavar="[NAME=]FOLDER", help="An index to search in; several times."),
    ] = None,
    fallback: options.FallbackOption = Fallback.none,
    max_length: options.MaxLength = 256,
    device: options.Device = None,
    precision: options.Precision = None,
) -> None:
    """Answer language models by the Model Context Protocol, on standard input and output.

    Their programs start this command; it ends when they close its input.

    \b
    Examples, as commands in the settings of such a program:
      polyrank mcp
      polyrank mcp --model models/en-sw --index articles
    """
    from polyrank.neighbours.mcp import server
    from polyrank.server.models import Shelf, named_folders, named_specs

    shelf = Shelf()
    (spec,) = named_specs([model]).values()
    reranker = shelf.reranker(
        spec, fallback=fallback.value, max_length=max_length, device=device, precision=precision
    )
    folders = named_folders(index or [])
    server(reranker, {name: shelf.index(one, device) for name, one in folders.items()}).run()
