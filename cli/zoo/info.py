"""polyrank zoo info."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from polyrank.progress import say

from ..options import AsJson
from .rows import as_row


def info_(
    name: Annotated[
        str,
        typer.Argument(
            help="A full name such as e5-small/ranking/adapter/squad, a folder, or pulled."
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Show a module's card, after checking its files against it.

    \b
    Example:
      polyrank zoo info e5-small/ranking/adapter/squad
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
        counted = "" if source["lines"] is None else f"{source['lines']} lines, "
        rows[f"data: {source['name']}"] = f"{counted}{source['licence']}"
    rows.pop("files")
    width = max(map(len, rows))
    for key, value in rows.items():
        if value is not None:
            say(f"{key.ljust(width)}  {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(inner)}" for key, inner in value.items())
    return f"{value:.4f}" if isinstance(value, float) else str(value)
