"""polyrank zoo list."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from polyrank.errors import UsageError
from polyrank.progress import note, say

from ..choices import Choice
from ..options import AsJson, Kind, Role
from .rows import as_row, size_of
from .warned import warnings_as_notes

if TYPE_CHECKING:
    from polyrank.zoo.find import ZooEntry
    from polyrank.zoo.remote import RemoteModule


PLACES = ("bundled", "cached", "folder", "remote")


class Place(Choice, names=PLACES):
    """Where a module is."""


def list_(
    base: Annotated[str | None, typer.Option(help="Only modules for this base.")] = None,
    role: Annotated[Role | None, typer.Option(help="Only modules of this role.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only modules of this kind.")] = None,
    language: Annotated[str | None, typer.Option(help="Only modules of this language.")] = None,
    source: Annotated[
        Place | None,
        typer.Option(help="Only those bundled, pulled (cached), in $POLYRANK_ZOO, or on the Hub."),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option(help="With --source remote: an owner, or one owner/repository[@revision]."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """List modules: name, language, kilobytes, data, and where each is from, between tabs.

    Folders in $POLYRANK_ZOO come before what is bundled, and that before what was pulled; of
    several modules of one name the first is used, and listed. --source cached lists all that was
    pulled. --source remote asks the Hugging Face Hub, and lists what 'zoo pull' takes.

    \b
    Examples:
      polyrank zoo list
      polyrank zoo list --role language --language kir --json
    """
    from polyrank.languages.tags import normalise
    from polyrank.zoo import cached_entries, list_modules

    tag = normalise(language) if language else None
    wanted = {"base": base, "role": role and role.value, "kind": kind and kind.value}
    if where is not None and source is not Place.remote:
        raise UsageError("--where goes with --source remote")
    with warnings_as_notes():
        if source is Place.remote:
            return _list_remote(where, wanted, tag, as_json)
        entries = list_modules(**wanted, language=tag)
        every = [one for one in cached_entries() if _fits(one, wanted, tag)]
    if source is not None:
        entries = every if source is Place.cached else _from(entries, source)
    elif hidden := len(every) - len(_from(entries, Place.cached)):
        note(
            f"{hidden} pulled modules are hidden by others of the same name; "
            "'polyrank zoo list --source cached' shows them"
        )
    if as_json:
        print(json.dumps([as_row(entry) for entry in entries], ensure_ascii=False, indent=2))
        return
    for entry in entries:
        data = ", ".join(one.name for one in entry.card.data)
        size = size_of(entry) // 1000
        say(entry.name, entry.card.language, size, data, entry.origin or entry.source, sep="\t")
    if not entries and source is Place.cached:
        note("no pulled module matches; 'polyrank zoo pull --help' says how to fetch one")
    elif not entries:
        note("no module matches; 'polyrank train --help' says how to make one")


def _from(entries: list[ZooEntry], source: Place) -> list[ZooEntry]:
    return [entry for entry in entries if entry.source == source.value]


def _fits(entry: ZooEntry, wanted: dict[str, Any], language: str | None) -> bool:
    asked = {**wanted, "language": language}
    return all(value in (None, getattr(entry.card, key)) for key, value in asked.items())


def _list_remote(
    where: str | None, wanted: dict[str, Any], language: str | None, as_json: bool
) -> None:
    from polyrank.zoo import list_remote

    found = list_remote(where, **wanted, language=language)
    if as_json:
        print(json.dumps([_remote_row(one) for one in found], ensure_ascii=False, indent=2))
        return
    for one in found:
        what = one.card.full_name if one.card else "repository"
        say(one.name, ", ".join(one.languages), what, sep="\t")
    if not found:
        note("the Hub has no matching module")


def _remote_row(one: RemoteModule) -> dict[str, Any]:
    card = json.loads(json.dumps(asdict(one.card))) if one.card else {}
    return {**card, "name": one.name, "languages": list(one.languages)}
