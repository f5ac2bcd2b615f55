"""The card of what is no module but was trained for a base: a head, a plan model."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from polyrank.base import Fingerprint
from polyrank.modules.card import Data
from polyrank.typed_fields import check_types

Card = TypeVar("Card")


def write_record(card: Any, path: Path) -> None:
    """Write a card's dataclass as JSON."""
    record = json.dumps(asdict(card), indent=2, ensure_ascii=False, sort_keys=True)
    path.write_text(record + "\n", encoding="utf-8")


def read_record(path: Path, kind: type[Card], version: int) -> Card:
    """Read what `write_record` wrote.

    Args:
        kind: a dataclass with `base_fingerprint`, `data` and `format_version`.
        version: of its format.

    Raises:
        OSError, ValueError, KeyError, TypeError, AttributeError: a file that is no such card.
    """
    record = json.loads(path.read_text(encoding="utf-8"))
    if record["format_version"] != version:
        raise ValueError(f"format version {record['format_version']}")
    record["base_fingerprint"] = Fingerprint(**record["base_fingerprint"])
    record["data"] = tuple(Data(**entry) for entry in record["data"])
    card = kind(**record)
    check_types(card)
    return card
