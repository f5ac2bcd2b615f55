"""Options that several of these verbs share, and what is read by them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.errors import UsageError

from ..choices import Choice

if TYPE_CHECKING:
    from polyrank.summaries.articles import Article
    from polyrank.summaries.row_stream import Streamed


class Units(Choice, names=("clause", "sentence")):
    """What a plan chooses from."""


ArticlesFile = Annotated[
    Path | None,
    typer.Option("--documents", help="JSON lines: _id, text; reference, language if known."),
]
CollectionName = Annotated[
    str | None,
    typer.Option(
        "--collection",
        help="Or a collection: queries stand for summaries of their one relevant document.",
    ),
]
Language = Annotated[
    str | None, typer.Option(help="Of articles and summaries, such as en; needed for --collection.")
]
UnitsOption = Annotated[Units, typer.Option("--units", help="What a plan chooses from.")]
CandidatesFile = Annotated[
    Path, typer.Argument(metavar="CANDIDATES", help="A file of 'summaries candidates'.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on after an interrupted run.")]
Rows = Annotated[Path, typer.Option(help="JSON lines; '-' is standard output.")]
Limit = Annotated[int | None, typer.Option(help="Only the first so many articles.", min=1)]
Asked = Annotated[
    int,
    typer.Option(
        "--question-units",
        min=0,
        help="What a reranker is asked: the first so many units of the article; 0 for all of it.",
    ),
]
LengthPenalty = Annotated[
    float,
    typer.Option(min=0, help="Of the score: log-probabilities over the length to this power."),
]


def articles(
    documents: Path | None, collection: str | None, language: str | None, limit: int | None
) -> Callable[[], Iterator[Article]]:
    """What is summarised: gives the same articles whenever it is called.

    Raises:
        UsageError: neither or both, or a collection without a language.
    """
    from polyrank.languages.tags import normalise
    from polyrank.summaries.articles import articles_of, read_articles

    if (documents is None) == (collection is None):
        raise UsageError("give --documents or --collection")
    tag = normalise(language) if language else None
    if documents is not None:
        return lambda: islice(read_articles(documents, tag), limit)
    if tag is None:
        raise UsageError("--collection needs --language, which its texts are read in")
    held = tuple(articles_of(str(collection), tag, limit))
    return lambda: iter(held)


def earlier(made: Streamed) -> str:
    """What an earlier run had left, as the end of a sentence."""
    return f"; {made.resumed:,} of these articles were already there" if made.resumed else ""
