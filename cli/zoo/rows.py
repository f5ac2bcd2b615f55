"""A module as a row, for people and for machines."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polyrank.zoo.find import ZooEntry


def size_of(entry: ZooEntry) -> int:
    """Bytes of the module's folder."""
    return sum(path.stat().st_size for path in entry.path.iterdir() if path.is_file())


def as_row(entry: ZooEntry) -> dict[str, Any]:
    """The entry in plain types."""
    card: dict[str, Any] = json.loads(json.dumps(asdict(entry.card)))
    return {
        **card,
        "name": entry.name,
        "folder": str(entry.path),
        "bytes": size_of(entry),
        "source": entry.source,
        "origin": entry.origin,
    }
