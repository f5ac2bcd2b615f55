"""polyrank alignment: which language needs a module most."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polyrank.base import DEFAULT_BASE
from polyrank.errors import DataError, UsageError

from .options import AsJson, Base, Kind, KindOption

if TYPE_CHECKING:
    from polyrank.evaluation.alignment import Pairs


def alignment(
    base: Base = DEFAULT_BASE,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Lines of: language, text, English, between tabs; else bundled NTREX."),
    ] = None,
    languages: Annotated[
        str | None,
        typer.Option(help="Only these, separated by commas; else those that have a module."),
    ] = None,
    kind: KindOption = Kind.adapter,
    pooling: Annotated[
        str, typer.Option(help="Of a text's tokens: mean, first, or last.")
    ] = "mean",
    limit: Annotated[int, typer.Option(help="At most this many pairs a language.", min=2)] = 1000,
    zoo: Annotated[str | None, typer.Option(help="A folder of modules to search first.")] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how a base aligns languages with English, with and without their modules.

    The language that needs a module most comes first: the one whose texts find their English
    counterpart least often. Means over layers; --json has every layer.

    \b
    Examples (headlines of NTREX and their English originals):
      polyrank alignment
      polyrank alignment --languages ky,am --limit 40 --json
    """
    from polyrank.base import load_base
    from polyrank.evaluation.alignment import alignment as measured

    asked = None
    if languages is not None:
        from polyrank.languages.tags import normalise

        asked = [normalise(tag) for tag in languages.split(",") if tag.strip()]
        if not asked:
            raise UsageError("--languages is empty; leave it out, or give some:  ky,tr")
    found = _read(pairs, asked) if pairs else _ntrex(base, asked, kind.value, zoo)
    kept = {language: rows[:limit] for language, rows in found.items()}
    result = measured(load_base(base), kept, kind.value, pooling, zoo=zoo)
    print(result.json() if as_json else result)


def _read(path: Path, asked: list[str] | None) -> Pairs:
    from polyrank.collections.files import numbered_lines
    from polyrank.languages.tags import normalise

    found: dict[str, list[tuple[str, str]]] = {}
    for number, line in numbered_lines(path):
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != 3 or not all(cells):
            raise DataError(path, number, "not three cells between tabs: language, text, English")
        tag = normalise(cells[0])
        if asked is None or tag in asked:
            found.setdefault(tag, []).append((cells[1], cells[2]))
    if absent := [tag for tag in asked or [] if tag not in found]:
        raise UsageError(f"{path} has no pairs in {', '.join(absent)}")
    return found


def _ntrex(base: str, asked: list[str] | None, kind: str, zoo: str | None) -> Pairs:
    from polyrank.collections.bundled import bundled_languages
    from polyrank.collections.load import load_collection
    from polyrank.zoo.find import list_modules

    there = [tag for tag in bundled_languages("ntrex") if tag != "en"]
    if asked is None:
        name = load_name(base)
        modules = {entry.card.language for entry in list_modules(name, "language", kind, zoo=zoo)}
        asked = [tag for tag in there if tag in modules] or there
    if absent := [tag for tag in asked if tag not in there]:
        raise UsageError(f"NTREX is not bundled in {', '.join(absent)}; give --pairs FILE")
    english = load_collection("ntrex", "en", "en").queries
    return {
        tag: [
            (query.text, english[i].text)
            for i, query in load_collection("ntrex", tag, tag).queries.items()
        ]
        for tag in asked
    }


def load_name(base: str) -> str:
    """Under which name a base's modules are filed: a folder's as `load_base` says it."""
    from polyrank.base import expanded

    if not expanded(base).is_dir():
        return base
    from polyrank.base import load_base

    return load_base(base).name
