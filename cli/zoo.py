"""polyrank zoo: which modules there are."""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from enum import Enum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import AsJson, Kind, note

if TYPE_CHECKING:
    from polyrank.modules.search import ZooEntry

app = typer.Typer(
    no_args_is_help=True,
    rich_markup_mode=None,
    help="List the modules at hand, and what each was made of.",
)


class Role(Enum):
    language = "language"
    ranking = "ranking"


@app.command("list")
def list_(
    base: Annotated[str | None, typer.Option(help="Only modules for this base.")] = None,
    role: Annotated[Role | None, typer.Option(help="Only modules of this role.")] = None,
    kind: Annotated[Kind | None, typer.Option(help="Only modules of this kind.")] = None,
    language: Annotated[str | None, typer.Option(help="Only modules of this language.")] = None,
    as_json: AsJson = False,
) -> None:
    """List modules: name, language, kilobytes, and what they were trained on, between tabs.

    Folders in $POLYRANK_ZOO come before what is bundled.

    \b
    Examples:
      polyrank zoo list
      polyrank zoo list --role language --language kir --json
    """
    from polyrank.languages import normalise
    from polyrank.zoo import list_modules

    tag = normalise(language) if language else None
    with warnings.catch_warnings(record=True) as skipped:
        warnings.simplefilter("always")
        entries = list_modules(base, role and role.value, kind and kind.value, tag)
    for warning in skipped:
        note(str(warning.message))
    if as_json:
        print(json.dumps([as_row(entry) for entry in entries], ensure_ascii=False, indent=2))
        return
    for entry in entries:
        data = ", ".join(source.name for source in entry.card.data)
        print(f"{entry.name}\t{entry.card.language}\t{size_of(entry) // 1000}\t{data}")
    if not entries:
        note("no module fits; 'polyrank train --help' says how to make one")


@app.command("info")
def info_(
    name: Annotated[str, typer.Argument(help="A full name such as mini/ranking/adapter/squad.")],
    as_json: AsJson = False,
) -> None:
    """Show a module's card, after checking its files against it.

    \b
    Example:
      polyrank zoo info mini/ranking/adapter/squad
    """
    from polyrank.zoo import info

    entry = info(name)
    if as_json:
        print(json.dumps(as_row(entry), ensure_ascii=False, indent=2))
        return
    rows = as_row(entry)
    for key in ("recipe", "figures"):
        for detail, value in rows.pop(key).items():
            rows[f"{key}: {detail}"] = value
    for source in rows.pop("data"):
        rows[f"data: {source['name']}"] = f"{source['lines']} lines, {source['licence']}"
    rows.pop("files")
    width = max(map(len, rows))
    for key, value in rows.items():
        if value is not None:
            print(f"{key.ljust(width)}  {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def size_of(entry: ZooEntry) -> int:
    """Bytes of the module's folder."""
    return sum(path.stat().st_size for path in entry.path.iterdir() if path.is_file())


def as_row(entry: ZooEntry) -> dict[str, Any]:
    """The entry in plain types."""
    card: dict[str, Any] = json.loads(json.dumps(asdict(entry.card)))
    return {**card, "name": entry.name, "folder": str(entry.path), "bytes": size_of(entry)}
