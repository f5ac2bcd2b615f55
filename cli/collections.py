"""polyrank collections: which collections there are, and how to get them."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from polyrank.collections.catalogue import SOURCES
from polyrank.progress import note, say

from .choices import Choice
from .options import AsJson
from .verb import App

app = App(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List collections, and show one: languages, sizes, licence, how to get it.",
)


class SourceName(Choice, names=SOURCES):
    """Where collections come from."""


@app.command("list")
def list_(
    language: Annotated[
        str | None, typer.Option(help="Only those with queries or documents in it, such as ky.")
    ] = None,
    source: Annotated[SourceName | None, typer.Option(help="Only those from there.")] = None,
    as_json: AsJson = False,
) -> None:
    """List collections: name, source, languages of queries and documents, sizes, download, licence.

    Columns stand between tabs. A word in capitals in a name is to be filled in. What is not
    bundled is fetched when it is first used.

    \b
    Examples:
      polyrank collections list --source bundled
      polyrank collections list --language ky --json
    """
    from polyrank.collections.catalogue import list_collections

    cards = list_collections(language, source and source.value)
    if as_json:
        print(json.dumps([asdict(card) for card in cards], ensure_ascii=False, indent=2))
        return
    for card in cards:
        sizes = f"{_count(card.sizes[0])} queries, {_count(card.sizes[1])} documents"
        say(
            card.name, card.source, _few(card.queries), _few(card.documents), sizes,
            size(card.download), card.licence, sep="\t",
        )  # fmt: skip
    if not cards:
        note("no collection matches; 'polyrank collections list' shows all")


@app.command("info")
def info(
    name: Annotated[
        str, typer.Argument(help="A name of the list, irds:ID, clef:FOLDER, or a folder.")
    ],
    as_json: AsJson = False,
) -> None:
    """Show a collection: languages, sizes, licence, where from, how to get it, an example.

    What is bundled or stands in a folder is counted; nothing is fetched.

    \b
    Examples:
      polyrank collections info afriqa
      polyrank collections info irds:miracl/sw/dev --json
    """
    from polyrank.collections.catalogue import collection_card, source_named

    card = collection_card(name)
    source = source_named(card.source)
    counted, needs = source.counts(name), source.needs(name, ())
    if as_json:
        missing = [asdict(need) for need in needs]
        record = {**asdict(card), "counted": counted, "missing": missing}
        print(json.dumps(record, ensure_ascii=False, indent=2))
        return
    say(f"{name}: {card.title}")
    rows = {
        "queries": f"{_count(card.sizes[0])} in {', '.join(card.queries) or '?'}",
        "documents": f"{_count(card.sizes[1])} in {', '.join(card.documents) or '?'}",
        "split": card.split,
        "licence": card.licence,
        "use": card.use,
        "reference": card.reference,
        "from": card.url,
        "download": size(card.download),
        "get": card.get,
        "missing": "; ".join(f"{n.what}: {n.remedy}" for n in needs if not n.fetched),
        "example": card.example,
        "at hand": json.dumps(counted, ensure_ascii=False) if counted else "",
    }
    for key, value in rows.items():
        if value:
            say(f"  {key:<10} {value}")


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _few(tags: tuple[str, ...]) -> str:
    return f"{len(tags)} languages" if len(tags) > 12 else " ".join(tags) or "?"


def size(download: int | None) -> str:
    """Bytes in words."""
    if download is None:
        return "size not known"
    return f"{download / 1e9:.1f} GB" if download >= 1e9 else f"{download / 1e6:.1f} MB"
