"""polyrank collections: which collections there are, and how to get them."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.progress import note

from .options import AsJson

if TYPE_CHECKING:
    from polyrank.collections.cards import CollectionCard

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List collections, and show one: languages, sizes, licence, how to get it.",
)


class Source(Enum):
    bundled = "bundled"
    irds = "irds"
    clef = "clef"
    hf = "hf"
    beir = "beir"


@app.command("list")
def list_(
    language: Annotated[
        str | None, typer.Option(help="Only those with queries or documents in it, such as ky.")
    ] = None,
    source: Annotated[Source | None, typer.Option(help="Only those from there.")] = None,
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
        print(
            card.name, card.source, _few(card.queries), _few(card.documents), sizes,
            size(card.download), card.licence, sep="\t",
        )  # fmt: skip
    if not cards:
        note("no collection fits; 'polyrank collections list' shows all")


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
    from polyrank.collections.catalogue import collection_card

    card = collection_card("FOLDER" if Path(name).is_dir() else name)
    folder = Path(name.removeprefix("clef:")).is_dir() and card.source in ("beir", "clef")
    counted = _at_hand(name, card, folder)
    if as_json:
        print(json.dumps({**asdict(card), "counted": counted}, ensure_ascii=False, indent=2))
        return
    print(f"{name}: {card.title}")
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
        "example": card.example.replace(" FOLDER", f" {name}"),
        "at hand": json.dumps(counted, ensure_ascii=False) if counted else "",
    }
    for key, value in rows.items():
        if value:
            print(f"  {key:<10} {value}")


def _at_hand(name: str, card: CollectionCard, folder: bool) -> dict[str, Any] | None:
    """Counts of what needs no fetching: a bundled collection's files, or a folder's."""
    from polyrank.collections.load import load_collection

    if card.source == "bundled":
        from polyrank.collections.bundled import count_bundled

        return count_bundled(name)
    if folder:
        loaded = load_collection(name)
        asked = {q.language for q in loaded.queries.values() if q.language}
        found = {d.language for d in loaded.documents.values() if d.language}
        return {
            "queries": len(loaded.queries),
            "documents": len(loaded.documents),
            "judgements": len(loaded.qrels),
            "query languages": sorted(asked),
            "document languages": sorted(found),
            "notes": list(loaded.notes),
        }
    return None


def _count(number: int | None) -> str:
    return "?" if number is None else f"{number:,}"


def _few(tags: tuple[str, ...]) -> str:
    return f"{len(tags)} languages" if len(tags) > 12 else " ".join(tags) or "?"


def size(download: int | None) -> str:
    """Bytes in words."""
    if download is None:
        return "size not known"
    return f"{download / 1e9:.1f} GB" if download >= 1e9 else f"{download / 1e6:.1f} MB"
