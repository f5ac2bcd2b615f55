"""What a verb says of an index."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from polyrank.progress import note

if TYPE_CHECKING:
    from polyrank.index.multivector import Change, MultiVectorIndex


def tell_change(folder: Path, change: Change, what: str, as_json: bool) -> None:
    note(f"{what}; {folder} is at generation {change.generation}")
    if change.skipped:
        note(f"{change.skipped} ids skipped")
    if change.leftovers:
        note(f"{change.leftovers} leftovers of a killed process removed")
    if as_json:
        print(json.dumps(asdict(change)))


def tell_cut(*noted: Any) -> None:
    """What it means that documents were cut, and what to do."""
    if any(made.kind == "cut" for one in noted for made in getattr(one, "notes", ())):
        note(
            "what stands beyond is not searched: split long documents into passages, or read more "
            "of them with --document-length"
        )


def tell_cost(index: MultiVectorIndex) -> None:
    """What routing 'document' costs a search: by the languages in the index, where those that the
    documents did not name were identified."""
    found = index.info()
    if found.routing == "document" and len(found.languages) > 1:
        note(
            f"routing 'document': a search encodes each query {len(found.languages)} times, once "
            f"per language of the documents ({', '.join(found.languages)})"
        )


def without_text(count: int) -> str:
    return f"; {count} without text, which are kept and never found" if count else ""
